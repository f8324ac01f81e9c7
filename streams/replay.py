"""Replay: the engine over a history, on the event clock, without services.

Promise   The same rows end in the same profiles, fires and counts as they do live, because it is the same
          decoding, the same step and the same rows; nothing is delivered.
How       Each chunk of the source is one batch. Rows are packed after each batch into a dictionary, as they
          are into Redis, and read back when the table has dropped them.
Limits    The table's bytes, plus packed rows and views of all customers: about a kilobyte each.
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
from processors.batch import DeadLetter, Origin, Records
from processors.decode import decode
from processors.event import Event
from processors.fold import ADMITTED
from processors.layout import Layout
from rules.action import Action
from streams.source import Chunk, Source
from streams.step import Engine, Observed, run

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
    rows: dict[str, bytes]  # by customer, packed
    views: dict[str, bytes]  # by customer: the JSON that Redis would have
    dead: list[DeadLetter]  # the first DEAD_KEPT_MAX


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told while it goes on."""

    observe: Callable[[Observed], None] | None = None  # each batch, as the step saw it
    actions: Callable[[Sequence[Action]], None] | None = None
    progress: Callable[[int], None] | None = None  # rows read so far


@dataclass(slots=True)
class _Totals:
    read: int = 0
    admitted: int = 0
    duplicates: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    shown: list[DeadLetter] = field(default_factory=list)
    codes: dict[tuple[str, str], int] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)
    micros: list[int] = field(default_factory=list)
    fires: Counter[int] = field(default_factory=Counter)

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        self.dead.update(letter.reason for letter in letters)
        self.shown += letters[: DEAD_KEPT_MAX - len(self.shown)]

    def observe(self, seen: Observed) -> None:
        """Count kinds and money of the admitted events, and the fires."""
        self.fires.update(rule for _, rule in seen.fires)
        codes = np.array([self._code(event) for event in seen.events])
        micros = np.array(
            [round(event.amount * MICRO) if event.amount else 0 for event in seen.events]
        )
        admitted = seen.status == ADMITTED
        for code in np.unique(codes[admitted]).tolist():
            chosen = admitted & (codes == code)
            self.counts[code] += int(np.count_nonzero(chosen))
            # One batch's sum fits: AMOUNT_MAX × MICRO × RECORDS_MAX could overflow, so sum in Python.
            self.micros[code] += sum(micros[chosen].tolist())

    def _code(self, event: Event) -> int:
        key = (event.type, event.action)
        code = self.codes.get(key)
        if code is None:
            code = self.codes[key] = len(self.codes)
            self.counts.append(0)
            self.micros.append(0)
        return code

    def by_action(self) -> dict[str, ActionTotal]:
        return {
            f"{kind}.{action}": ActionTotal(self.counts[code], self.micros[code] / MICRO)
            for (kind, action), code in sorted(self.codes.items())
            if self.counts[code]
        }


def replay(
    source: Source,
    engine: Engine,
    now_ms: int,
    watchers: Watchers | None = None,
    table_bytes_max: int | None = None,
) -> Replayed:
    """Run the engine over all rows of the source, in their order.

    Args:
        source: in the order of arrival, as the log would have had it.
        engine: a model and a rule set.
        now_ms: when the rows count as having arrived: events more than a day later are refused.
        watchers: are told while it goes on.
        table_bytes_max: memory of the table, for tests; the engine's own default otherwise.

    Raises:
        SourceError: The source broke off.
    """
    began = perf_counter()
    suppressed = engine.rule_plan.suppressed
    watchers = watchers or Watchers()
    totals = _Totals()
    rows: dict[str, bytes] = {}
    views: dict[str, bytes] = {}
    table = engine.table() if table_bytes_max is None else engine.table(table_bytes_max)

    def observe(seen: Observed) -> None:
        totals.observe(seen)
        if watchers.observe is not None:
            watchers.observe(seen)

    for chunk in _ahead(source.chunks()):
        records = _records(chunk, source.name, now_ms)
        decoded = decode(records)
        customer_ids = [event.customer_id for event in decoded.events]
        missing = table.missing(customer_ids)
        if missing:
            table.insert(missing, [rows.get(each) for each in missing], _layout, customer_ids)
        outcome = run(engine, table, records, decoded, SHARD, observe)
        rows.update(zip(outcome.changed_ids, outcome.rows, strict=True))
        views.update(zip(outcome.changed_ids, outcome.views, strict=True))
        totals.read += len(chunk.values)
        totals.admitted += outcome.admitted
        totals.duplicates += outcome.duplicates
        totals.bury(decoded.dead)
        totals.bury(outcome.dead)
        if watchers.actions is not None and outcome.actions:
            watchers.actions(outcome.actions)
        if watchers.progress is not None:
            watchers.progress(totals.read)
    summary = _summary(engine, totals, views, suppressed, perf_counter() - began)
    return Replayed(summary, rows, views, totals.shown)


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
    views: Mapping[str, bytes],
    suppressed_before: Mapping[str, int],
    seconds: float,
) -> Summary:
    bands = Counter(_BAND.decode(view).band for view in views.values())
    rules = [bound.rule.name for bound in engine.rule_plan.bound]
    return Summary(
        events_read=totals.read,
        events_admitted=totals.admitted,
        duplicates=totals.duplicates,
        dead_letters=dict(sorted(totals.dead.items())),
        customers=len(views),
        by_action=totals.by_action(),
        bands={band or "none": count for band, count in sorted(bands.items(), key=str)},
        fires={name: totals.fires[number] for number, name in enumerate(rules)},
        suppressed={
            name: count - suppressed_before[name]
            for name, count in engine.rule_plan.suppressed.items()
        },
        seconds=round(seconds, 3),
        events_per_second=round(totals.read / seconds, 1),
    )


class _View(msgspec.Struct):
    band: str | None = None


_BAND: Final = msgspec.json.Decoder(_View)
