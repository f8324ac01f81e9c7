"""Rounds: a batch in which timers come due, so that each fires in its place.

Promise   A customer's timers fire before the customer's next event whose time is theirs or later, wherever
          batches are cut. All customers of the batch must be in the table.
How       1. The timers that are due before the first event of their customer are stepped, until there
             are none.
          2. Then the events, up to the first of a customer who has had one in this round and may have
             timers due between the two. And so on.
          Customers do not know of each other, so their order among each other is free. Most batches are
          one round without a timer.
Limits    As many events or timers a step as the engine takes at once. A plan without timers costs
          nothing.
Not here  When a timer of a customer without events is due by the clock (timers.py).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.batch import Decoded, Origin, Records
from processors.compiled import compiled
from processors.event import Event
from processors.profiles import Table
from processors.tables import DUE
from streams.outcome import Outcome
from streams.step import STAGES, Engine, Observer, run

TIMER_KIND: Final = "timer"
CHAIN_MAX: Final = (
    10_000  # timers of one customer up to one moment: more than all rules can ask for
)

Integers = npt.NDArray[np.int64]


@compiled("i8(i8[::1], i8[::1], i8[:, ::1], i8[::1], i8[::1], i8, i8, i8, i8)")
def first_cut(
    slots: Integers,
    times_ms: Integers,
    whole_rows: Integers,
    seen: Integers,
    first_ms: Integers,
    stamp: int,
    timer_ms: int,
    granule_ms: int,
    start: int,
) -> int:
    """The first event that may have timers between it and the events of its customer from `start` on.

    Args:
        slots, times_ms: of each event.
        whole_rows: the rows, as they are before `start`.
        seen, first_ms: scratch, one word a row; `stamp` was in `seen` never before.
        timer_ms, granule_ms: as in RulePlan.
    """
    for i in range(start, slots.shape[0]):
        slot, at_ms = slots[i], times_ms[i]
        if seen[slot] != stamp:
            seen[slot] = stamp
            first_ms[slot] = at_ms
            continue
        if 0 < whole_rows[slot, DUE] <= at_ms:
            return i
        if timer_ms > 0 and at_ms - first_ms[slot] >= timer_ms:
            return i
        if granule_ms > 0 and at_ms // granule_ms != first_ms[slot] // granule_ms:
            return i
        first_ms[slot] = min(first_ms[slot], at_ms)
    return int(slots.shape[0])


@compiled("i8(i8[::1], i8[::1], i8[:, ::1], i8[::1], i8, i8, i8[::1])")
def due_before(
    slots: Integers,
    times_ms: Integers,
    whole_rows: Integers,
    seen: Integers,
    stamp: int,
    start: int,
    found: Integers,
) -> int:
    """The customers' first events from `start` on that have a timer due before them; how many."""
    count = 0
    for i in range(start, slots.shape[0]):
        slot = slots[i]
        if seen[slot] != stamp:
            seen[slot] = stamp
            if 0 < whole_rows[slot, DUE] <= times_ms[i]:
                found[count] = i
                count += 1
    return count


class Rounds:
    """Steps batches of one thread; keeps scratch space from call to call."""

    def __init__(self) -> None:
        self._seen = np.zeros(0, dtype=np.int64)
        self._first_ms = np.zeros(0, dtype=np.int64)
        self._stamp = 0

    def run(
        self,
        engine: Engine,
        table: Table,
        records: Records,
        decoded: Decoded,
        shard: int,
        observe: Observer | None = None,
        *,
        slots: Sequence[int] | None = None,
        encode: bool = True,
    ) -> Outcome:
        """Step a batch as `step.run` does, and the timers that are due within it."""
        count = len(decoded.events)
        listed = table.slots(decoded.customer_ids) if slots is None else slots
        is_one = not engine.rule_plan.has_timers or not count or _is_alone(decoded, table, listed)
        if is_one and count <= engine.scratch.events_max:
            return run(engine, table, records, decoded, shard, observe, slots=listed, encode=encode)
        self._grow(len(table.whole_rows))
        rows = np.array(listed, dtype=np.int64)
        times_ms = np.array(_times_ms(decoded), dtype=np.int64)
        outcomes: list[Outcome] = []
        start = 0
        while start < count:
            while (due := self._due(rows, times_ms, table, start)).size:
                waiting = [
                    (decoded.customer_ids[index], int(table.whole_rows[listed[index], DUE]))
                    for index in due.tolist()
                ]
                outcomes += timers(
                    engine, table, waiting, shard, observe, due.tolist(), encode=encode
                )
            stop = self._cut(engine, rows, times_ms, table, start)
            stop = min(stop, start + engine.scratch.events_max)
            part = decoded if stop - start == count else _part(decoded, start, stop)
            of_part = listed[start:stop]
            found = run(engine, table, records, part, shard, observe, slots=of_part, encode=encode)
            outcomes.append(found.later(start))
            start = stop
        return outcomes[0] if len(outcomes) == 1 else Outcome.of_rounds(outcomes, len(STAGES))

    def _grow(self, rows: int) -> None:
        if len(self._seen) < rows:
            self._seen = np.zeros(rows, dtype=np.int64)
            self._first_ms = np.zeros(rows, dtype=np.int64)

    def _due(self, slots: Integers, times_ms: Integers, table: Table, start: int) -> Integers:
        self._stamp += 1
        found = np.empty(len(slots) - start, dtype=np.int64)
        rows = table.whole_rows
        count = due_before(slots, times_ms, rows, self._seen, self._stamp, start, found)
        return found[:count]

    def _cut(
        self, engine: Engine, slots: Integers, times_ms: Integers, table: Table, start: int
    ) -> int:
        self._stamp += 1
        scratch = (self._seen, self._first_ms, self._stamp)
        plan = engine.rule_plan
        delays = (plan.timer_ms, plan.granule_ms)
        return first_cut(slots, times_ms, table.whole_rows, *scratch, *delays, start)


def timers(
    engine: Engine,
    table: Table,
    waiting: Sequence[tuple[str, int]],
    shard: int,
    observe: Observer | None = None,
    causes: Sequence[int] | None = None,
    *,
    encode: bool = True,
) -> list[Outcome]:
    """Step one timer each of these customers, who are in the table.

    Args:
        engine, table, shard, observe, encode: as for `step.run`.
        waiting: customer and time of each timer.
        causes: what the actions of each timer are to name in `Outcome.causes`; by default its place here.
    """
    places = list(range(len(waiting))) if causes is None else causes
    outcomes = []
    for first in range(0, len(waiting), engine.scratch.events_max):
        part = waiting[first : first + engine.scratch.events_max]
        indexes = places[first : first + engine.scratch.events_max]
        events = [timer(customer_id, due_ms) for customer_id, due_ms in part]
        decoded = Decoded(events, list(indexes), [each.customer_id for each in events], [])
        found = run(
            engine, table, _NOTHING, decoded, shard, observe, encode=encode, are_timers=True
        )
        outcomes.append(found.caused_by(indexes))
    return outcomes


def fire_until(
    engine: Engine,
    table: Table,
    customer_ids: Sequence[str],
    now_ms: int,
    shard: int,
    observe: Observer | None = None,
    *,
    encode: bool = True,
) -> Outcome:
    """Step all timers of these customers that are due by `now_ms`; they are in the table.

    Raises:
        AssertionError: A timer sets itself again and again, which no rule can ask for.
    """
    outcomes: list[Outcome] = []
    waiting = list(customer_ids)
    for _ in range(CHAIN_MAX):
        slots = table.slots(waiting)
        due_ms = table.whole_rows[slots, DUE]
        chosen = np.flatnonzero((due_ms > 0) & (due_ms <= now_ms)).tolist()
        if not chosen:
            return Outcome.of_rounds(outcomes, len(STAGES))
        waiting = [waiting[place] for place in chosen]
        pairs = list(zip(waiting, due_ms[chosen].tolist(), strict=True))
        outcomes += timers(engine, table, pairs, shard, observe, encode=encode)
    raise AssertionError(f"timers of {waiting[:3]} are due again and again")


def timer(customer_id: str, due_ms: int) -> Event:
    """What stands in the place of an event when a timer is due."""
    return Event(f"{TIMER_KIND}:{due_ms}", TIMER_KIND, "due", customer_id, due_ms)


def _is_alone(decoded: Decoded, table: Table, slots: Sequence[int]) -> bool:
    """Whether this is one event, with no timer due before it: by far most batches at low rates."""
    if len(slots) != 1:
        return False
    return not 0 < table.whole_rows[slots[0], DUE] <= decoded.events[0].at_ms


def _times_ms(decoded: Decoded) -> Sequence[int] | Integers:
    if decoded.columns is not None:
        return decoded.columns.at_ms
    return [event.at_ms for event in decoded.events]


def _part(decoded: Decoded, start: int, stop: int) -> Decoded:
    """Some of the events, as objects: columns are of whole batches."""
    return Decoded(
        [decoded.events[index] for index in range(start, stop)],
        decoded.indexes[start:stop],
        decoded.customer_ids[start:stop],
        [],
    )


def _no_origin(index: int) -> Origin:
    raise AssertionError(f"timer {index} is no record")


_NOTHING: Final = Records([], [], _no_origin)
