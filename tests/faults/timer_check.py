"""What the oracle says of each life, beside what was decided.

Promise   Of each customer the events are read from Kafka, shown to a `Person` in the order of their times,
          and what it says must fire has been decided, once, and nothing else; and no timer was decided
          before its time by the clock on the wall.
How       Actions and their number come from Redis' file, so that what was decided twice is there twice. The
          views must count each event once.
Unclear   A timer fires when its time has come and the log was read as far as it then went (docs/rules.md,
          streams/firing.py). So two things depend on luck, and docs promise neither: an event that
          comes to the log at its customer's timer's time or later, and is dated before it; and two events
          in two topics, of which the first came to the log after the date of the second. Lives in which
          Kafka acknowledged an event so late are told apart by acknowledgements alone, whatever came of
          them. Of these it is only asked that nothing is decided twice, and nothing too early.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from streams.kafka_settings import KafkaSettings
from tests.faults.experiment import p99
from tests.faults.fences import Action
from tests.faults.oracle import Verdict
from tests.faults.outbox_watch import Seen
from tests.faults.records import records
from tests.faults.timer_load import GUARD_MS, Place, happening
from tests.faults.timer_rules import DELAY_MS_MAX, Happening, Person

# An event that comes to the log nearer to a timer than this may be fetched after it.
NEAR_MS: Final = GUARD_MS - 200
UNCLEAR_SHARE_MAX: Final = 0.05
# While its owner is dead a shard fires nothing: up to 25 s where both were killed one after the other, on a
# slow machine. Beyond this nobody was looking for what is due.
LATE_MS_P99_MAX: Final = 60_000

Cause = tuple[str, str, str]
"""Customer, rule, and event or timer."""


@dataclass(frozen=True, slots=True)
class Read:
    """An event as it is in the log."""

    each: Happening
    topic: int
    place: Place


@dataclass
class Expected:
    """What must come of a log."""

    events: Counter[str] = field(default_factory=Counter)  # by customer
    causes: Counter[Cause] = field(default_factory=Counter)
    unclear: set[str] = field(default_factory=set)  # customers, who have no causes here
    in_silence: dict[Cause, int] = field(default_factory=dict)
    """Timers after the last event of their customer: only the clock fires them; and when."""
    held_back: int = 0
    broken: int = 0


def read(settings: KafkaSettings) -> dict[str, list[Read]]:
    """All events by customer, in the order of their times, then of the topics."""
    found: dict[str, list[Read]] = defaultdict(list)
    for number, topic in enumerate(settings.inputs):
        for message in records(settings, topic):
            customer, each = happening(message.value() or b"")
            place = (topic, message.partition() or 0, message.offset() or 0)
            found[customer].append(Read(each, number, place))
    for events in found.values():
        events.sort(key=lambda one: (one.each.at_ms, one.topic, one.place[2]))
    return found


def expected(lives: Mapping[str, Sequence[Read]], acked_ms: Mapping[Place, int]) -> Expected:
    """What the oracle says."""
    found = Expected()
    for customer, events in lives.items():
        found.events[customer] = len(events)
        person = Person()
        if not _lived(person, events, acked_ms):
            found.unclear.add(customer)
            continue
        found.held_back += person.held_back
        found.broken += person.broken
        last_ms = events[-1].each.at_ms
        for rule, name in person.causes:
            cause = (customer, rule, name)
            found.causes[cause] += 1
            due_ms = due_of(name)
            if due_ms is not None and due_ms > last_ms:
                found.in_silence[cause] = due_ms
    return found


def _lived(person: Person, events: Sequence[Read], acked_ms: Mapping[Place, int]) -> bool:
    """Show all events, and what is due after them; whether it is clear what must come of them."""
    before: Read | None = None
    for one in events:
        at_ms, acked = one.each.at_ms, acked_ms[one.place]
        person.until(at_ms)
        if any(due_ms - NEAR_MS < acked for due_ms in person.dues_ms()):
            return False
        if before is not None and before.topic != one.topic and acked_ms[before.place] > at_ms:
            return False
        person.show(one.each)
        before = one
    person.until(events[-1].each.at_ms + DELAY_MS_MAX)
    return True


def due_of(cause: str) -> int | None:
    """When the timer was due that is this cause; None: it is an event.

    >>> due_of("timer:1700"), due_of("e17")
    (1700, None)
    """
    kind, _, at_ms = cause.partition(":")
    return int(at_ms) if kind == "timer" else None


def cause_of(action: Action) -> Cause:
    """Without what tells the runs of one rule apart: keys are the engine's own numbers."""
    return action.customer, action.rule, action.cause.partition("#")[0]


@dataclass(frozen=True, slots=True)
class Checked:
    verdict: Verdict
    figures: Mapping[str, float]


def checked(
    wanted: Expected,
    actions: Iterable[Action],
    seen: Seen,
    views: Mapping[str, Mapping[str, object]],
) -> Checked:
    """What was decided and counted, beside what must be."""
    actions = list(actions)
    clear = Counter(cause_of(each) for each in actions if each.customer not in wanted.unclear)
    ids = Counter(each.id for each in actions if each.customer in wanted.unclear)
    missing, surplus = wanted.causes - clear, clear - wanted.causes
    twice = [name for name, count in ids.items() if count > 1]
    counted = Counter({name: _count(view) for name, view in views.items()})
    lost, again = wanted.events - counted, counted - wanted.events
    early, unseen, late_ms = _times(wanted, actions, seen)
    unclear_share = len(wanted.unclear) / max(1, len(wanted.events))
    wrong = [f"Missing: {' '.join(each)}." for each in missing]
    wrong += [f"Too many: {' '.join(each)}." for each in surplus]
    wrong += [f"Decided twice: {name}." for name in twice]
    wrong += [f"{count} events of {name} are not counted." for name, count in lost.items()]
    wrong += [f"{count} events of {name} are counted again." for name, count in again.items()]
    wrong += early
    late_ms_p99 = p99(late_ms) or 0.0
    wrong += _shows_little(wanted, unseen, late_ms_p99, unclear_share)
    return Checked(
        Verdict(
            applied=counted.total(),
            decided=len(actions),
            missing=missing.total() + lost.total(),
            surplus=surplus.total() + len(twice) + again.total(),
            wrong=tuple(wrong),
        ),
        {
            "timers_fired": sum(due_of(cause_of(each)[2]) is not None for each in actions),
            "fired_in_silence": len(late_ms),
            "taken_back_by_events": wanted.broken,
            "held_back": wanted.held_back,
            "before_their_time": len(early),
            "unclear_customers": len(wanted.unclear),
            "customers": len(wanted.events),
            "late_ms_p99": late_ms_p99,
        },
    )


def _shows_little(
    wanted: Expected, unseen: int, late_ms_p99: float, unclear_share: float
) -> Iterable[str]:
    """Sentences of what is wrong with the run as a whole."""
    if unseen:
        yield f"Of {unseen} actions nobody has seen when they were stored."
    if unclear_share > UNCLEAR_SHARE_MAX:
        yield f"Of {unclear_share:.0%} of all customers it is not clear what must be."
    if late_ms_p99 > LATE_MS_P99_MAX:
        yield f"Timers were decided up to {late_ms_p99:.0f} ms after their time."
    if not (wanted.held_back and wanted.broken and wanted.in_silence):
        yield "No cap held, or no event broke, or silence set off nothing: this shows little."


def _times(
    wanted: Expected, actions: Sequence[Action], seen: Seen
) -> tuple[list[str], int, list[float]]:
    """Sentences of what came too early, how many nobody saw, and how late what silence set off was."""
    early: list[str] = []
    late_ms: list[float] = []
    unseen = 0
    for action in actions:
        cause = cause_of(action)
        at_ms, due_ms = seen.get(action.entry), due_of(cause[2])
        if at_ms is None:
            unseen += 1
        elif due_ms is not None and at_ms < due_ms:
            early.append(f"{' '.join(cause)} was decided {due_ms - at_ms} ms before its time.")
        elif cause in wanted.in_silence and due_ms is not None:
            late_ms.append(float(at_ms - due_ms))
    return early, unseen, late_ms


def _count(view: Mapping[str, object]) -> int:
    count = view.get("events_count")
    assert isinstance(count, int), "a view counts its events"
    return count
