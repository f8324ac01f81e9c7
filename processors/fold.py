"""The fold: profile rows times events gives changed rows and one feature column an event.

Promise   Features are what they are right after (or right before) their event, wherever batches are cut.
          A duplicate or a late event changes nothing.
How       One kernel over the events of a batch in order: admit, read what is asked "before", update each
          aggregate whose filter holds, read what is asked "after". Rows are float64 words; `whole` is
          the same memory as int64, for times and counts. A timer (TIMER in place of the hash of an id)
          adds nothing: it moves the customer's clock on, and readings are taken.
Limits    A duplicate is recognised among the customer's last `duplicates_kept` ids. "Now" is the newest
          time of the customer's events and timers, never a clock of the machine.
Not here  What the aggregates mean (aggregate.py), windows (windows.py), readings (readings.py).
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.aggregate import MICRO, TOTAL_MAX, AggregateKind
from processors.compiled import compiled
from processors.readings import read_all
from processors.tables import (
    CLOCK,
    EVENTS,
    FIRST,
    FOLD_AT,
    FOLD_BODY,
    FOLD_HALF_LIFE,
    FOLD_KIND,
    FOLD_MEMO_FIRST,
    FOLD_MEMOS,
    FOLD_SIZE,
    FOLD_VALUE,
    FOLD_WHERE,
    NEWEST,
    RECENT_IDS,
)
from processors.windows import add_exact

ADMITTED: Final = 0
DUPLICATE: Final = 1
LATE: Final = 2
TIMER: Final = 0  # in place of the hash of an event's id

_DECAY = int(AggregateKind.DECAY)
_EVENTS = int(AggregateKind.EVENTS)
_TOTAL = int(AggregateKind.TOTAL)
_LAST = int(AggregateKind.LAST)
_FIRST = int(AggregateKind.FIRST)
_MINIMUM = int(AggregateKind.MINIMUM)
_MOMENTS = int(AggregateKind.MOMENTS)
_DISTINCT = int(AggregateKind.DISTINCT)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled("i8(i8[::1], i8, i8, i8, i8)")
def admit(whole: Integers, at_ms: int, id_hash: int, kept: int, lateness_ms: int) -> int:
    """Decide on one event and, if it is admitted, remember its id and time in the row."""
    ring = RECENT_IDS + 1
    for k in range(ring, ring + kept):
        if whole[k] == id_hash:
            return DUPLICATE
    if at_ms < whole[NEWEST] - lateness_ms:
        return LATE
    place = whole[RECENT_IDS]
    whole[ring + place] = id_hash
    whole[RECENT_IDS] = (place + 1) % kept
    return ADMITTED


@compiled("void(f8[::1], i8[::1], i8, i8, f8, i8)")
def add_decayed(
    row: Floats, whole: Integers, at: int, at_ms: int, value: float, half_life_ms: int
) -> None:
    """Forward decay: a late event adds less and never moves the time back."""
    newest = max(whole[at], at_ms)
    if whole[at] == 0:
        row[at + 1] = value
    else:
        row[at + 1] = row[at + 1] * 2.0 ** ((whole[at] - newest) / half_life_ms) + value * 2.0 ** (
            (at_ms - newest) / half_life_ms
        )
    whole[at] = newest


@compiled("void(f8[::1], i8[::1], i8, i8, f8, i8)")
def add_moment(
    row: Floats, whole: Integers, at: int, at_ms: int, value: float, half_life_ms: int
) -> None:
    """Weighted mean and squared deviations (West 1979); all weights decay alike, so means stay."""
    newest = max(whole[at], at_ms)
    kept = 0.0 if whole[at] == 0 else 2.0 ** ((whole[at] - newest) / half_life_ms)
    weight = 2.0 ** ((at_ms - newest) / half_life_ms)
    total = row[at + 1] * kept + weight
    step = value - row[at + 2]
    row[at + 3] = row[at + 3] * kept + weight * (row[at + 1] * kept / total) * step * step
    row[at + 2] += step * (weight / total)
    row[at + 1] = total
    whole[at] = newest


@compiled("void(f8[::1], i8[::1], i8, i8, i8, f8)")
def add_point(row: Floats, whole: Integers, kind: int, at: int, at_ms: int, value: float) -> None:
    """LAST, FIRST, MINIMUM, MAXIMUM: replace the kept event if this one is the better."""
    kept_ms = whole[at]
    kept = row[at + 1]
    better = kept_ms == 0
    if kind == _LAST:
        better = better or at_ms > kept_ms or (at_ms == kept_ms and value > kept)
    elif kind == _FIRST:
        better = better or at_ms < kept_ms or (at_ms == kept_ms and value < kept)
    elif kind == _MINIMUM:
        better = better or value < kept or (value == kept and at_ms > kept_ms)
    else:
        better = better or value > kept or (value == kept and at_ms > kept_ms)
    if better:
        whole[at] = at_ms
        row[at + 1] = value


@compiled("i8(i8, f8)")
def add_saturated(total: int, value: float) -> int:
    """Add to a sum in millionths, which stays at its limit: then values of one sign keep any order."""
    step = int(max(min(np.rint(value * MICRO), TOTAL_MAX), -TOTAL_MAX))
    if step > 0:
        return min(total, TOTAL_MAX - step) + step
    return max(total, -TOTAL_MAX - step) + step


@compiled("void(f8[::1], i8[::1], i8[:, ::1], i8, i8[:, ::1], i8, f8)")
def update(
    row: Floats,
    whole: Integers,
    folds: Integers,
    fold: int,
    windows: Integers,
    at_ms: int,
    value: float,
) -> None:
    """Add one event to one aggregate."""
    kind = folds[fold, FOLD_KIND]
    at = folds[fold, FOLD_AT]
    if kind == _DECAY:
        add_decayed(row, whole, at, at_ms, value, folds[fold, FOLD_HALF_LIFE])
    elif kind == _EVENTS:
        add_exact(row, whole, folds, fold, windows, at_ms, value)
    elif kind == _TOTAL:
        whole[at] += 1
        whole[at + 1] = add_saturated(whole[at + 1], value)
    elif kind == _MOMENTS:
        add_moment(row, whole, at, at_ms, value, folds[fold, FOLD_HALF_LIFE])
    elif kind == _DISTINCT:
        bucket = folds[fold, FOLD_BODY] + np.int64(value) % folds[fold, FOLD_SIZE]
        whole[bucket] = max(whole[bucket], at_ms)
        whole[at] = max(whole[at], at_ms)
    else:
        add_point(row, whole, kind, at, at_ms, value)


@compiled("void(f8[::1], i8[::1], i8[::1], i8[:, ::1], i8[:, ::1], f8[:, ::1], i8, i8)")
def update_all(
    row: Floats,
    whole: Integers,
    whole_memo: Integers,
    folds: Integers,
    windows: Integers,
    registers: Floats,
    event: int,
    at_ms: int,
) -> None:
    """Add one event to the aggregates whose filter holds, and forget what was read of them."""
    for k in range(folds.shape[0]):
        if registers[folds[k, FOLD_WHERE], event] != 0.0:
            value = 1.0 if folds[k, FOLD_VALUE] < 0 else registers[folds[k, FOLD_VALUE], event]
            if not math.isnan(value):
                update(row, whole, folds, k, windows, at_ms, value)
                first = folds[k, FOLD_MEMO_FIRST]
                for place in range(first, first + folds[k, FOLD_MEMOS]):
                    whole_memo[2 * place + 1] = 0


@compiled(
    "void(f8[:, ::1], i8[:, ::1], f8[:, ::1], i8[:, ::1], f8[:, ::1], i8[::1], i8[::1], i8[::1],"
    " i8[:, ::1], i8[:, ::1], i8[:, ::1], i8[:, ::1], i8, i8, i8[::1], i8[::1], i8)"
)
def fold_events(  # noqa: PLR0913, PLR0917  one crossing into compiled code a batch takes all that it needs
    rows: Floats,
    whole_rows: Integers,
    memos: Floats,
    whole_memos: Integers,
    registers: Floats,
    slots: Integers,
    times_ms: Integers,
    id_hashes: Integers,
    folds: Integers,
    windows: Integers,
    before: Integers,
    after: Integers,
    duplicates_kept: int,
    lateness_ms: int,
    status: Integers,
    now_ms: Integers,
    count: int,
) -> None:
    """Fold `count` events into their rows, in order.

    Args:
        rows: shape (slots, words); `whole_rows` is the same memory as int64.
        memos: shape (slots, twice the readings that are kept in mind), as `read_all` has them;
            `whole_memos` is the same memory as int64.
        registers: shape (registers, at least count): event registers are read, readings written.
            Readings of an event that is not admitted are left as they were: never look at them.
        slots: row of each event. `times_ms`, `id_hashes`: its time and the hash of its id, or TIMER.
        status: filled with ADMITTED, DUPLICATE or LATE; a timer is admitted.
        now_ms: filled with the customer's newest time, this event or timer included.
    """
    for i in range(count):
        row = rows[slots[i]]
        whole = whole_rows[slots[i]]
        memo = memos[slots[i]]
        whole_memo = whole_memos[slots[i]]
        at_ms = times_ms[i]
        now = max(whole[NEWEST], whole[CLOCK])
        if id_hashes[i] == TIMER:
            status[i] = ADMITTED
            now_ms[i] = whole[CLOCK] = max(now, at_ms)
            read_all(row, whole, memo, whole_memo, before, windows, registers, i, now_ms[i])
            read_all(row, whole, memo, whole_memo, after, windows, registers, i, now_ms[i])
            continue
        status[i] = admit(whole, at_ms, id_hashes[i], duplicates_kept, lateness_ms)
        if status[i] != ADMITTED:
            now_ms[i] = now
            continue
        now_ms[i] = now = max(now, at_ms)
        read_all(row, whole, memo, whole_memo, before, windows, registers, i, now)
        whole[NEWEST] = max(whole[NEWEST], at_ms)
        whole[FIRST] = at_ms if whole[EVENTS] == 0 else min(whole[FIRST], at_ms)
        whole[EVENTS] += 1
        update_all(row, whole, whole_memo, folds, windows, registers, i, at_ms)
        read_all(row, whole, memo, whole_memo, after, windows, registers, i, now)
