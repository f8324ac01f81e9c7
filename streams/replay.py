"""Replay: the engine over a history, on the event clock, without services.

Promise   The same rows end in the same profiles, fires and counts as they do live, because it is the same
          decoding, the same step and the same rows; nothing is delivered.
How       Each chunk of the source is one batch. Before the table must drop rows, those that have changed
          are packed into a dictionary, as they would be into Redis, and are read back when they return.
Limits    The table's bytes, plus the packed rows of all customers that it has dropped.
Not here  Reading (source.py, query.py), the step (step.py), the file of features (features.py).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

import msgspec
import numpy as np

from processors.aggregate import MICRO
from processors.batch import RECORDS_MAX, DeadLetter, Origin, Records
from processors.decode import decode
from processors.fold import ADMITTED
from processors.layout import Layout, Packer
from processors.profiles import TABLE_BYTES_MAX, Table
from rules.action import Action
from streams.outcome import Outcome
from streams.rounds import Rounds, fire_until
from streams.source import Chunk, Source
from streams.step import Engine, Observed

DEAD_KEPT_MAX: Final = 100  # dead letters kept to be shown; all are counted
SHARD: Final = 0  # a replay is one shard, whatever the log's number of partitions


class ActionTotal(msgspec.Struct):
    """What the admitted events of one kind and action come to."""

    count: int
    amount: float  # summed in millionths, so exact to the cent at any size


class Summary(msgspec.Struct):
    """What is printed. Scripts depend on these names."""

    events_read: int
    events_admitted: int
    duplicates: int
    dead_letters: dict[str, int]  # by reason, the late ones ("too_late") included
    customers: int
    by_action: dict[str, ActionTotal]
    bands: dict[str, int]  # customers by their last band of health
    fires: dict[str, int]  # of every rule, also of those that never fired
    suppressed: dict[str, int]  # would have fired but for their cooldown
    seconds: float
    events_per_second: float


@dataclass(slots=True)
class Replayed:
    """A finished replay."""

    summary: Summary
    rows: dict[str, bytes]  # by customer, packed; with the views empty unless they were to be kept
    views: dict[str, bytes]  # by customer: the JSON that Redis would have
    dead: list[DeadLetter]  # the first DEAD_KEPT_MAX


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told while it goes on."""

    observe: Callable[[Observed], None] | None = None  # each batch, as the step saw it
    actions: Callable[[Sequence[Action]], None] | None = None
    progress: Callable[[int], None] | None = None  # rows read so far


class _Codes(dict[tuple[str, str], int]):
    """A number for each kind and action, given when it is first asked for."""

    def __missing__(self, key: tuple[str, str]) -> int:
        self[key] = len(self)
        return self[key]


@dataclass(slots=True)
class _Totals:
    read: int = 0
    admitted: int = 0
    duplicates: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    shown: list[DeadLetter] = field(default_factory=list)
    newest_ms: int = 0  # event time
    codes: _Codes = field(default_factory=_Codes)
    counts: Counter[int] = field(default_factory=Counter)
    micros: Counter[int] = field(default_factory=Counter)
    fires: Counter[int] = field(default_factory=Counter)
    bands: dict[str, float] = field(default_factory=dict)  # of each customer, the code of the last

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        self.dead.update(letter.reason for letter in letters)
        self.shown += letters[: DEAD_KEPT_MAX - len(self.shown)]

    def observe(self, seen: Observed, band: int) -> None:
        """Count kinds and money of the admitted events, and the fires; note the bands."""
        self.fires.update(rule for _, rule, _ in seen.fires)
        if seen.are_timers:
            return
        chosen = np.flatnonzero(seen.status == ADMITTED)
        events = [seen.events[index] for index in chosen.tolist()]
        codes = np.array([self.codes[event.type, event.action] for event in events])
        amounts = np.array([event.amount for event in events], dtype=np.float64)
        micros = np.rint(np.nan_to_num(amounts) * MICRO).astype(np.int64)
        for code in np.unique(codes).tolist():
            same = micros[codes == code].tolist()
            self.counts[code] += len(same)
            self.micros[code] += sum(same)  # of unbounded Python integers
        customer_ids = [event.customer_id for event in events]
        self.newest_ms = max(self.newest_ms, *(event.at_ms for event in events), 0)
        self.bands.update(zip(customer_ids, seen.registers[band, chosen].tolist(), strict=True))

    def by_action(self) -> dict[str, ActionTotal]:
        return {
            f"{kind}.{action}": ActionTotal(self.counts[code], self.micros[code] / MICRO)
            for (kind, action), code in sorted(self.codes.items())
        }


class _Profiles:
    """The rows: those in the table, and packed those that it has dropped."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.packed: dict[str, bytes] = {}
        self._changed: dict[str, None] = {}

    def load(self, customer_ids: list[str]) -> None:
        """Have the rows of these customers in the table; they count as changed."""
        missing = self.table.missing(customer_ids)
        if missing:
            if not self.table.has_room(len(missing)):
                self.pack()
            blobs = [self.packed.get(each) for each in missing]
            self.table.insert(missing, blobs, _layout, customer_ids)
        self._changed.update(dict.fromkeys(customer_ids))

    def parts(self, customer_ids: list[str]) -> Iterator[list[str]]:
        """These customers, as many at once as a table has room for, with their rows in it."""
        for first in range(0, len(customer_ids), RECORDS_MAX):
            part = customer_ids[first : first + RECORDS_MAX]
            self.load(part)
            yield part

    def pack(self) -> None:
        """Pack what has changed, so that the table may drop it."""
        names = list(self._changed)
        slots = np.array(self.table.slots(names), dtype=np.int64)
        rows = Packer(self.table.layout).pack(self.table.whole_rows, slots)
        self.packed.update(zip(names, rows, strict=True))
        self._changed.clear()


def replay(
    source: Source,
    engine: Engine,
    now_ms: int,
    watchers: Watchers | None = None,
    *,
    keep: bool = False,
    until_ms: int | None = None,
    table_bytes_max: int = TABLE_BYTES_MAX,
) -> Replayed:
    """Run the engine over all rows of the source, in their order.

    Args:
        source: in the order of arrival, as the log would have had it.
        engine: a model and a rule set.
        now_ms: when the rows count as having arrived: events more than a day later are refused.
        watchers: are told while it goes on.
        keep: whether the rows and views of all customers are wanted at the end.
        until_ms: how far time goes on after the last row, for timers; by default to the newest event.
        table_bytes_max: memory of the table.

    Raises:
        SourceError: The source broke off.
    """
    began = perf_counter()
    suppressed = engine.rule_plan.suppressed
    watchers = watchers or Watchers()
    totals = _Totals()
    views: dict[str, bytes] = {}
    profiles = _Profiles(engine.table(table_bytes_max))
    rounds = Rounds()
    band = engine.plan.names["health.band"].register.number

    def observe(seen: Observed) -> None:
        totals.observe(seen, band)
        if watchers.observe is not None:
            watchers.observe(seen)

    def take(outcome: Outcome) -> None:
        views.update(zip(outcome.changed_ids, outcome.views, strict=True))
        totals.admitted += outcome.admitted
        totals.duplicates += outcome.duplicates
        totals.bury(outcome.dead)
        if watchers.actions is not None and outcome.actions:
            watchers.actions([each for each in outcome.actions if not each.resolves])

    for chunk in _ahead(source.chunks()):
        records = _records(chunk, source.name, now_ms)
        decoded = decode(records)
        profiles.load(decoded.customer_ids)
        outcome = rounds.run(engine, profiles.table, records, decoded, SHARD, observe, encode=keep)
        totals.read += len(chunk.values)
        totals.bury(decoded.dead)
        take(outcome)
        if watchers.progress is not None:
            watchers.progress(totals.read)
    if engine.rule_plan.has_timers:
        end_ms = totals.newest_ms if until_ms is None else until_ms
        for part in profiles.parts(list(totals.bands)):
            take(fire_until(engine, profiles.table, part, end_ms, SHARD, observe, encode=keep))
    if keep:
        profiles.pack()
    summary = _summary(engine, totals, suppressed, perf_counter() - began)
    return Replayed(summary, profiles.packed if keep else {}, views, totals.shown)


def _layout(fingerprint: bytes) -> Layout:
    raise AssertionError(f"a replay has one layout, not {fingerprint.hex()}")


def _records(chunk: Chunk, name: str, now_ms: int) -> Records:
    def origin(index: int) -> Origin:
        return Origin(name, SHARD, str(chunk.rows[index]), None, (), now_ms)

    return Records(chunk.values, [now_ms] * len(chunk.values), origin)


def _ahead(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks, each read by another thread while the one before is computed."""
    with ThreadPoolExecutor(1, "replay-source") as reader:
        coming = reader.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = reader.submit(next, chunks, None)
            yield chunk


def _summary(
    engine: Engine,
    totals: _Totals,
    suppressed_before: Mapping[str, int],
    seconds: float,
) -> Summary:
    texts = engine.plan.names["health.band"].texts or ()
    bands = Counter(
        texts[int(code)] if 0 <= code < len(texts) else "none" for code in totals.bands.values()
    )
    rules = [bound.rule.name for bound in engine.rule_plan.bound]
    return Summary(
        events_read=totals.read,
        events_admitted=totals.admitted,
        duplicates=totals.duplicates,
        dead_letters=dict(sorted(totals.dead.items())),
        customers=len(totals.bands),
        by_action=totals.by_action(),
        bands=dict(sorted(bands.items())),
        fires={name: totals.fires[number] for number, name in enumerate(rules)},
        suppressed={
            name: count - suppressed_before[name]
            for name, count in engine.rule_plan.suppressed.items()
        },
        seconds=round(seconds, 3),
        events_per_second=round(totals.read / seconds, 1),
    )
