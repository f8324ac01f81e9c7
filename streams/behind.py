"""Behind a value: what a row still knows of the events that it comes from.

Promise   Only what the row says: how many there were, the first and the last of them, the window. What it
          does not keep is None; nothing is guessed.
How       By the kind of aggregate (processors/aggregate.py). A window keeps its newest events one by one;
          where it had to put older ones into tiles, the first one's time is lost.
Not here  Which events they were: a row has no ids. Causes of actions are in their records (read.py).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.aggregate import AggregateKind, Reading
from processors.machine import Op
from processors.readings import read_one
from processors.register import Stage
from processors.tables import (
    READ_AT,
    READ_BODY,
    READ_HALF_LIFE,
    READ_KIND,
    READ_READING,
    READ_TARGET,
    READ_WINDOW_MS,
    Plan,
)
from streams.moment import Moment

_NEWEST_AT_HEAD: Final = (AggregateKind.DECAY, AggregateKind.MOMENTS, AggregateKind.DISTINCT)
_ONE_EVENT: Final = (
    AggregateKind.LAST,
    AggregateKind.FIRST,
    AggregateKind.MINIMUM,
    AggregateKind.MAXIMUM,
)

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Behind:
    """The events behind a value. None: the row does not know."""

    count: float | None = None
    is_exact: bool = True  # the count; a window that lost its oldest events to tiles estimates
    first_ms: int | None = None
    last_ms: int | None = None
    from_ms: int | None = None  # of the window: after that
    to_ms: int | None = None
    half_life_ms: int | None = None
    is_kept: bool = True  # False: it is counted from the customer's next event on


def behind(plan: Plan, register: int, moment: Moment) -> Behind | None:
    """What is known of the events behind the reading in that register; None: it is no reading."""
    found = _read_of(plan, register)
    if found is None:
        return None
    reads, place = found
    read = reads[place]
    window_ms, half_life_ms = int(read[READ_WINDOW_MS]), int(read[READ_HALF_LIFE])
    from_ms = moment.at_ms - window_ms if window_ms else None
    spans = Behind(
        from_ms=from_ms,
        to_ms=moment.at_ms if window_ms else None,
        half_life_ms=half_life_ms or None,
        is_kept=_is_kept(plan, read, moment),
    )
    return _filled(plan, reads, place, moment, spans)


def _read_of(plan: Plan, register: int) -> tuple[Integers, int] | None:
    """The table and the row of the reading that fills the register, or whose multiple it is."""
    wanted = {register}
    for operation, target, *operands in plan.asked.operations[Stage.FEATURE]:
        if target == register and operation == Op.MUL:  # a rate with a half-life
            wanted.update(operands)
    for reads in (plan.after, plan.before):
        for place in range(len(reads)):
            if int(reads[place, READ_TARGET]) in wanted:
                return reads, place
    return None


def _is_kept(plan: Plan, read: Integers, moment: Moment) -> bool:
    """Whether the row was written by rules that asked for this."""
    columns = plan.layout.columns
    name = next(name for name, (first, _) in columns.items() if first == int(read[READ_BODY]))
    return moment.stored.columns.get(name, (0, 0))[1] == columns[name][1]


def _filled(plan: Plan, reads: Integers, place: int, moment: Moment, spans: Behind) -> Behind:
    read, row = reads[place], moment.row
    kind, head = AggregateKind(int(read[READ_KIND])), int(row[read[READ_AT]])
    known: dict[str, float | int | bool | None] = {}
    if head == 0:
        known = {"count": 0.0} if kind == AggregateKind.TOTAL or spans.from_ms is not None else {}
    elif kind == AggregateKind.EVENTS:
        known = _of_window(plan, reads, place, moment)
    elif kind == AggregateKind.TOTAL:
        known = {"count": float(head)}
    elif kind in _NEWEST_AT_HEAD:
        known = {"last_ms": head}
    elif kind in _ONE_EVENT:
        is_first, is_last = kind == AggregateKind.FIRST, kind == AggregateKind.LAST
        known = {
            "first_ms": None if is_last else head,
            "last_ms": None if is_first else head,
        }
    made = {name: getattr(spans, name) for name in Behind.__slots__}
    return Behind(**{**made, **known})


def _of_window(
    plan: Plan, reads: Integers, place: int, moment: Moment
) -> dict[str, float | int | bool | None]:
    asked = reads.copy()

    def reading(how: Reading) -> float:
        asked[place, READ_READING] = how
        row = moment.row.view(np.float64)
        return float(
            read_one(row, moment.row, asked, place, plan.windows, float("nan"), moment.at_ms)
        )

    read = reads[place]
    start_ms = moment.at_ms - int(read[READ_WINDOW_MS])
    body, held = int(read[READ_BODY]), int(moment.row[read[READ_AT]])
    inside = [at_ms for at_ms in moment.row[body : body + held].tolist() if at_ms > start_ms]
    count = reading(Reading.COUNT)
    return {
        "count": count,
        "is_exact": reading(Reading.APPROXIMATE) == 0.0,
        "first_ms": inside[0] if inside and count == len(inside) else None,
        "last_ms": inside[-1] if inside else None,
    }
