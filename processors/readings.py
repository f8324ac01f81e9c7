"""Readings: an aggregate's columns as one number, at a given moment.

Promise   A reading changes nothing, and is NaN exactly where there is nothing to read.
How       One kernel over the table of readings, by kind. What changes only when an event comes or the
          oldest one leaves its window is kept in mind beside the row, with the time until which it
          stands: most windows of a customer stand still at most events.
Limits    `now` is never before the newest event in the row.
Not here  Updating (fold.py); windows (windows.py); what the kinds promise (aggregate.py).
"""

import math

import numpy as np
import numpy.typing as npt

from processors.aggregate import MICRO, AggregateKind, Reading
from processors.compiled import compiled
from processors.tables import (
    READ_AT,
    READ_BODY,
    READ_EMPTY,
    READ_HALF_LIFE,
    READ_KIND,
    READ_MEMO,
    READ_READING,
    READ_SIZE,
    READ_TARGET,
    READ_VALUE,
    READ_WINDOW_MS,
)
from processors.windows import FOREVER_MS, read_window

_DECAY = int(AggregateKind.DECAY)
_EVENTS = int(AggregateKind.EVENTS)
_TOTAL = int(AggregateKind.TOTAL)
_MOMENTS = int(AggregateKind.MOMENTS)
_DISTINCT = int(AggregateKind.DISTINCT)
_COUNT = int(Reading.COUNT)
_SUM = int(Reading.SUM)
_MEAN = int(Reading.MEAN)
_SINCE = int(Reading.SINCE)
_DEVIATION = int(Reading.DEVIATION)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled("f8(f8[::1], i8, i8, f8)")
def read_moments(row: Floats, reading: int, at: int, value: float) -> float:
    """Decayed mean, deviation, or how many deviations `value` lies from the mean."""
    if reading == _MEAN:
        return float(row[at + 2])
    deviation = math.sqrt(max(row[at + 3] / row[at + 1], 0.0))
    if deviation == 0.0:
        return math.nan
    return deviation if reading == _DEVIATION else (value - row[at + 2]) / deviation


@compiled("Tuple((f8, i8))(i8[::1], i8, i8, i8, i8)")
def read_distinct(
    whole: Integers, at: int, buckets: int, window_ms: int, now_ms: int
) -> tuple[float, int]:
    """Linear counting: -m ln(share of the m buckets that were not hit in the window).

    And the `now` until which that stays so, when no event comes.
    """
    start = now_ms - window_ms if window_ms > 0 else 0
    empty = 0
    oldest = FOREVER_MS
    for k in range(at, at + buckets):
        if whole[k] <= start:
            empty += 1
        else:
            oldest = min(oldest, whole[k])
    until = oldest + window_ms if window_ms > 0 and oldest < FOREVER_MS else FOREVER_MS
    return buckets * math.log(buckets / max(empty, 1)), until


@compiled("f8(f8[::1], i8[::1], i8[:, ::1], i8, i8[:, ::1], f8, i8)")
def read_one(
    row: Floats,
    whole: Integers,
    reads: Integers,
    read: int,
    windows: Integers,
    event_value: float,
    now_ms: int,
) -> float:
    """One reading at `now_ms` of an aggregate that is not empty; only ZSCORE needs `event_value`."""
    kind = reads[read, READ_KIND]
    reading = reads[read, READ_READING]
    at = reads[read, READ_AT]
    if kind == _EVENTS:
        return read_window(row, whole, reads, read, windows, now_ms)[0]
    if kind == _DECAY:
        return float(row[at + 1] * 2.0 ** ((whole[at] - now_ms) / reads[read, READ_HALF_LIFE]))
    if kind == _TOTAL:
        if reading == _COUNT:
            return float(whole[at])
        if reading == _SUM:
            return float(whole[at + 1] / MICRO)
        return float(whole[at + 1] / MICRO / whole[at])
    if kind == _MOMENTS:
        return read_moments(row, reading, at, event_value)
    if kind == _DISTINCT:
        return read_distinct(
            whole,
            reads[read, READ_BODY],
            reads[read, READ_SIZE],
            reads[read, READ_WINDOW_MS],
            now_ms,
        )[0]
    return float(now_ms - whole[at]) if reading == _SINCE else float(row[at + 1])


@compiled("Tuple((f8, i8))(f8[::1], i8[::1], i8[:, ::1], i8, i8[:, ::1], i8)")
def read_lasting(
    row: Floats, whole: Integers, reads: Integers, read: int, windows: Integers, now_ms: int
) -> tuple[float, int]:
    """A reading that is kept in mind, and until when it stays as it is when no event comes."""
    if whole[reads[read, READ_AT]] == 0:
        return (math.nan if reads[read, READ_EMPTY] else 0.0), FOREVER_MS
    if reads[read, READ_KIND] == _EVENTS:
        return read_window(row, whole, reads, read, windows, now_ms)
    body, size = reads[read, READ_BODY], reads[read, READ_SIZE]
    return read_distinct(whole, body, size, reads[read, READ_WINDOW_MS], now_ms)


@compiled("void(f8[::1], i8[::1], f8[::1], i8[::1], i8[:, ::1], i8[:, ::1], f8[:, ::1], i8, i8)")
def read_all(
    row: Floats,
    whole: Integers,
    memo: Floats,
    whole_memo: Integers,
    reads: Integers,
    windows: Integers,
    registers: Floats,
    event: int,
    now_ms: int,
) -> None:
    """Fill the target registers of all readings for one event.

    Args:
        memo: two words for each reading that is kept in mind: its value, and, in `whole_memo`, which is
            the same memory, the `now` until which that stands.
    """
    for k in range(reads.shape[0]):
        target = reads[k, READ_TARGET]
        place = 2 * reads[k, READ_MEMO]
        if place >= 0:
            if whole_memo[place + 1] <= now_ms:
                memo[place], whole_memo[place + 1] = read_lasting(
                    row, whole, reads, k, windows, now_ms
                )
            registers[target, event] = memo[place]
            continue
        if whole[reads[k, READ_AT]] == 0:  # true for most readings of most customers
            registers[target, event] = math.nan if reads[k, READ_EMPTY] else 0.0
            continue
        value = math.nan
        if reads[k, READ_VALUE] >= 0:
            value = registers[reads[k, READ_VALUE], event]
        registers[target, event] = read_one(row, whole, reads, k, windows, value, now_ms)
