"""A backtest: what rules would have done over a history, and how well that foretold an outcome.

Promise   The same engine as live, with its timers; nothing is delivered. What came before the judged time
          counts for the profiles, and for nothing else.
How       One replay; fires and outcomes are noted while it runs, and joined in the end (foretold.py). With
          units, fires and outcomes of these orders alone count. A rule that fires for the held out or in
          shadow counts like any other.
Limits    FIRES_MAX fires and outcomes; SAMPLES samples a rule, the newest.
Not here  Ranking (ranking.py). Two sets of rules against each other: `compare`.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec
import numpy as np

from processors.batch import DeadLetter
from processors.event import Event
from processors.fold import ADMITTED
from rules.action import Action, one_of_each_fire
from rules.duration import iso
from streams.errors import StreamsError
from streams.fire_lines import FireLines
from streams.foretold import Fired, Foretold, Lead, foretold
from streams.ranking import average_precision
from streams.replay import Watchers, replay
from streams.source import Source
from streams.step import Engine, Observed

FIRES_MAX: Final = 5_000_000
SAMPLES: Final = 5
SHOWN_MAX: Final = 20  # customers of a difference

Progress: TypeAlias = Callable[[int], None]


class BacktestError(StreamsError):
    """The backtest cannot be made; one sentence that says why, and the mend."""


class RuleReport(msgspec.Struct):
    """What one rule would have done in the judged time."""

    fires: int
    customers: int
    fires_per_day: dict[str, int]  # by day, UTC
    suppressed: dict[str, int]  # by restraint, over the whole history
    samples: list[dict[str, str]]
    foretold: Foretold | None = None


class Report(msgspec.Struct):
    """What is printed. Scripts depend on these names."""

    events_read: int
    events_per_second: float
    seconds: float
    judged_from: str
    judged_until: str
    fires: int
    customers: int
    rules: dict[str, RuleReport]
    dead_letters: dict[str, int]  # rows that nothing was made of, by reason
    precision: float | None = None
    recall: float | None = None
    lead_time: Lead | None = None
    average_precision: float | None = None


@dataclass(frozen=True, slots=True)
class Judging:
    """What is judged, and by what."""

    from_ms: int | None = None
    until_ms: int | None = None
    since_ms: int | None = None  # before the end of the history; instead of `from_ms`
    outcome: str | None = None  # "order.chargeback"
    within_ms: int = 30 * 86_400_000
    units: str | None = None  # the events that are ranked, "order.placed"


@dataclass(slots=True)
class History:
    """What is noted while the replay runs."""

    outcome: tuple[str, str] | None
    units: tuple[str, str] | None
    fires: list[Fired] = field(default_factory=list)
    outcomes: list[Fired] = field(default_factory=list)
    ranked: list[tuple[str, int, int]] = field(
        default_factory=list
    )  # order, time, rules that fired
    dead: list[DeadLetter] = field(default_factory=list)  # the first of them
    lines: FireLines | None = None
    samples: dict[str, deque[Action]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=SAMPLES))
    )
    oldest_ms: int = 1 << 62
    newest_ms: int = 0
    judged: range = range(0)  # milliseconds
    outcomes_in: range = range(0)
    orders: frozenset[str | None] = (
        frozenset()
    )  # the units of the judged time, where there are units

    def judge(self, judged: range, within_ms: int) -> None:
        """Say what is judged, in milliseconds, and how long after it an outcome counts."""
        self.judged = judged
        self.outcomes_in = range(judged.start, judged.stop + within_ms)
        self.orders = frozenset(order for order, at_ms, _ in self.ranked if at_ms in judged)

    def counts(self, each: Fired) -> bool:
        """Whether a fire, or an outcome, is judged: with units, those of the judged orders alone."""
        if self.units is not None and each.order_id not in self.orders:
            return False
        return each.at_ms in (self.outcomes_in if each.rule < 0 else self.judged)

    def observe(self, seen: Observed) -> None:
        fired: Counter[int] = Counter()
        for index, rule in dict.fromkeys((index, rule) for index, rule, _ in seen.fires):
            fired[index] += 1
            self.fires.append(_noted(rule, seen.events[index]))
        if not seen.are_timers:
            for index in np.flatnonzero(seen.status == ADMITTED).tolist():
                self._event(seen.events[index], fired[index])
        if len(self.fires) + len(self.outcomes) > FIRES_MAX:
            raise BacktestError(
                f"there are more than {FIRES_MAX:,} fires and outcomes: test fewer rules at a time, give"
                " them a cooldown, or take a shorter history"
            )

    def _event(self, event: Event, fired_count: int) -> None:
        self.oldest_ms = min(self.oldest_ms, event.at_ms)
        self.newest_ms = max(self.newest_ms, event.at_ms)
        kind = (event.type, event.action)
        if kind == self.outcome:
            self.outcomes.append(_noted(-1, event))
        if kind == self.units and event.order_id is not None:
            self.ranked.append((event.order_id, event.at_ms, fired_count))

    def note(self, actions: Sequence[Action]) -> None:
        fires = one_of_each_fire(actions)
        if self.lines is not None:
            self.lines.note(fires)
        for each in fires:
            self.samples[each.rule].append(each)

    def samples_of(self, rule: str) -> list[dict[str, str]]:
        """Some fires of the judged time."""
        return [
            {"customer_id": each.customer_id, "at": iso(each.at_ms), "reason": each.reason}
            for each in self.samples[rule]
            if each.at_ms in self.judged
        ]


def _noted(rule: int, event: Event) -> Fired:
    return Fired(rule, event.customer_id, event.order_id, event.at_ms)


def backtest(
    source: Source,
    engine: Engine,
    now_ms: int,
    judging: Judging,
    progress: Progress,
    lines: FireLines | None = None,
) -> tuple[Report, History]:
    """Replay the source, and judge what the rules did; all fires go into the `lines`.

    Raises:
        BacktestError: There are too many fires.
        FireLinesError: The lines cannot be written.
        SourceError: The source broke off.
    """
    history = History(_kind(judging.outcome), _kind(judging.units), lines=lines)
    before = engine.rule_plan.suppressed_by
    watchers = Watchers(observe=history.observe, actions=history.note, progress=progress)
    replayed = replay(source, engine, now_ms, watchers)
    summary, history.dead = replayed.summary, replayed.dead
    until_ms = history.newest_ms + 1 if judging.until_ms is None else judging.until_ms
    from_ms = 0 if judging.from_ms is None else judging.from_ms
    if judging.since_ms is not None:
        from_ms = until_ms - judging.since_ms
    history.judge(range(from_ms, until_ms), judging.within_ms)
    if lines is not None:
        lines.finish(history.judged)
    judged = [each for each in history.fires if history.counts(each)]
    outcomes = None
    if judging.outcome is not None:
        outcomes = [each for each in history.outcomes if history.counts(each)]
    rules = _reports(engine, history, judged, outcomes, judging.within_ms, before)
    report = Report(
        events_read=summary.events_read,
        events_per_second=summary.events_per_second,
        seconds=summary.seconds,
        judged_from=iso(max(from_ms, min(history.oldest_ms, until_ms))),
        judged_until=iso(until_ms),
        fires=len(judged),
        customers=len({each.customer_id for each in judged}),
        rules=rules,
        dead_letters=summary.dead_letters,
    )
    if outcomes is not None:
        all_of_it = foretold(judged, outcomes, judging.within_ms)
        report.precision, report.recall = all_of_it.precision, all_of_it.recall
        report.lead_time = all_of_it.lead_time
        report.average_precision = _ranked(history)
    return report, history


def _reports(
    engine: Engine,
    history: History,
    judged: Sequence[Fired],
    outcomes: Sequence[Fired] | None,
    within_ms: int,
    before: Mapping[str, Mapping[str, int]],
) -> dict[str, RuleReport]:
    """What each rule did; `before`: how often it had been held back before this history."""
    by_rule: defaultdict[int, list[Fired]] = defaultdict(list)
    for each in judged:
        by_rule[each.rule].append(each)
    names = [bound.rule.name for bound in engine.rule_plan.bound]
    held_back = engine.rule_plan.suppressed_by
    return {
        name: RuleReport(
            fires=len(mine := by_rule[number]),
            customers=len({each.customer_id for each in mine}),
            fires_per_day=dict(sorted(Counter(iso(each.at_ms)[:10] for each in mine).items())),
            suppressed={
                why: count - before[name].get(why, 0) for why, count in held_back[name].items()
            },
            samples=history.samples_of(name),
            foretold=None if outcomes is None else foretold(mine, outcomes, within_ms),
        )
        for number, name in enumerate(names)
    }


def _ranked(history: History) -> float | None:
    """Average precision of the units of the judged time, by how many rules fired at each."""
    if history.units is None:
        return None
    bad = {each.order_id for each in history.outcomes}
    units = [(order, fired) for order, at_ms, fired in history.ranked if at_ms in history.judged]
    return average_precision([fired for _, fired in units], [order in bad for order, _ in units])


def compare(ours: tuple[Report, History], theirs: tuple[Report, History]) -> dict[str, object]:
    """Which customers each rule reaches here only, there only, and in both."""
    here, there = (_reached(*each) for each in (ours, theirs))
    return {
        name: {
            "fires_here": ours[0].rules[name].fires if name in ours[0].rules else None,
            "fires_there": theirs[0].rules[name].fires if name in theirs[0].rules else None,
            "both": len(here[name] & there[name]),
            "only_here": len(here[name] - there[name]),
            "only_there": len(there[name] - here[name]),
            "only_here_customers": sorted(here[name] - there[name])[:SHOWN_MAX],
            "only_there_customers": sorted(there[name] - here[name])[:SHOWN_MAX],
        }
        for name in sorted({*ours[0].rules, *theirs[0].rules})
    }


def _reached(report: Report, history: History) -> defaultdict[str, set[str]]:
    names = list(report.rules)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for each in history.fires:
        if each.at_ms in history.judged:
            found[names[each.rule]].add(each.customer_id)
    return found


def _kind(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    kind, _, action = text.partition(".")
    return kind, action
