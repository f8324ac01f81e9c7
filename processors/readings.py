"""Readings: an aggregate's columns as one number, at a given moment.

Promise   A reading changes nothing, and is NaN exactly where there is nothing to read.
How       Windows are (now - length, now]. Exact events are counted one by one; of the tiles of older
          events, whole ones count wholly and the oldest counts by the share that the window covers.
Limits    `now` is never before the newest event in the row.
Not here  Updating (fold.py); what the kinds promise (aggregate.py).
"""

import math

import numpy as np
import numpy.typing as npt

from processors.aggregate import (
    MICRO,
    TILES,
    TILES_IN_WINDOW,
    WITH_EXTREMES,
    WITH_SUMS,
    AggregateKind,
    Reading,
)
from processors.compiled import compiled
from processors.tables import (
    READ_AT,
    READ_BODY,
    READ_HALF_LIFE,
    READ_KIND,
    READ_READING,
    READ_SIZE,
    READ_TARGET,
    READ_VALUE,
    READ_WINDOW,
    READ_WINDOW_MS,
    WINDOW_AT,
    WINDOW_BODY,
    WINDOW_MS,
    WINDOW_PARTS,
)

_DECAY = int(AggregateKind.DECAY)
_EVENTS = int(AggregateKind.EVENTS)
_TOTAL = int(AggregateKind.TOTAL)
_MOMENTS = int(AggregateKind.MOMENTS)
_DISTINCT = int(AggregateKind.DISTINCT)
_COUNT = int(Reading.COUNT)
_SUM = int(Reading.SUM)
_MEAN = int(Reading.MEAN)
_MIN = int(Reading.MIN)
_MAX = int(Reading.MAX)
_RATE = int(Reading.RATE)
_APPROXIMATE = int(Reading.APPROXIMATE)
_SINCE = int(Reading.SINCE)
_DEVIATION = int(Reading.DEVIATION)
_DAY_MS = 86_400_000.0

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled("UniTuple(f8, 5)(f8[::1], i8[::1], i8[:, ::1], i8, i8, UniTuple(f8, 4))")
def add_tiles(
    row: Floats,
    whole: Integers,
    windows: Integers,
    window: int,
    start: int,
    exact: tuple[float, float, float, float],
) -> tuple[float, float, float, float, float]:
    """What stands in the tiles after `start`, added to count, sum, least and most of exact events.

    The fifth number is how many events are in the tile that the window only partly covers.
    """
    count, total, low, high = exact
    partial = 0.0
    newest = whole[windows[window, WINDOW_AT]]
    tile_ms = (windows[window, WINDOW_MS] + TILES_IN_WINDOW - 1) // TILES_IN_WINDOW
    oldest = (start + 1) // tile_ms
    for tile in range(max(oldest, newest - TILES + 1), newest + 1):
        k = windows[window, WINDOW_BODY] + tile % TILES
        held = whole[k]
        if held == 0:
            continue
        share = 1.0
        if tile == oldest and start + 1 > tile * tile_ms:
            share = ((tile + 1) * tile_ms - (start + 1)) / tile_ms
            partial += held
        count += share * held
        if windows[window, WINDOW_PARTS] >= WITH_SUMS:
            total += share * row[k + TILES]
        if windows[window, WINDOW_PARTS] >= WITH_EXTREMES:
            low = min(low, row[k + 2 * TILES])
            high = max(high, row[k + 3 * TILES])
    return count, total, low, high, partial


@compiled("f8(f8[::1], i8[::1], i8[:, ::1], i8, i8[:, ::1], i8)")
def read_window(
    row: Floats, whole: Integers, reads: Integers, read: int, windows: Integers, now_ms: int
) -> float:
    """Count, sum, mean, extreme or rate of the events in (now - window, now]."""
    reading = reads[read, READ_READING]
    held = whole[reads[read, READ_AT]]
    if held == 0:
        return math.nan if _MEAN <= reading <= _MAX else 0.0
    window = reads[read, READ_WINDOW]
    start = now_ms - windows[window, WINDOW_MS]
    times = reads[read, READ_BODY]
    values = times + reads[read, READ_SIZE]
    has_values = reads[read, READ_VALUE] >= 0
    count = 0.0
    total = 0.0
    low = math.inf
    high = -math.inf
    partial = 0.0
    for k in range(held - 1, -1, -1):
        if whole[times + k] <= start:
            break
        count += 1.0
        if has_values:
            value = row[values + k]
            total += value
            low = min(low, value)
            high = max(high, value)
    if whole[windows[window, WINDOW_AT]] != 0:
        older = add_tiles(row, whole, windows, window, start, (count, total, low, high))
        count, total, low, high, partial = older
    if reading == _COUNT:
        return count
    if reading == _SUM:
        return total if has_values else count
    if reading == _RATE:
        return count * _DAY_MS / windows[window, WINDOW_MS]
    if reading == _APPROXIMATE:
        return 1.0 if partial > 0.0 else 0.0
    if count == 0.0:
        return math.nan
    if not has_values:
        return 1.0
    if reading == _MEAN:
        return float(total / count)
    return float(low if reading == _MIN else high)


@compiled("f8(f8[::1], i8[::1], i8, i8, f8)")
def read_moments(row: Floats, whole: Integers, reading: int, at: int, value: float) -> float:
    """Decayed mean, deviation, or how many deviations `value` lies from the mean."""
    if whole[at] == 0:
        return math.nan
    if reading == _MEAN:
        return float(row[at + 2])
    deviation = math.sqrt(max(row[at + 3] / row[at + 1], 0.0))
    if deviation == 0.0:
        return math.nan
    return deviation if reading == _DEVIATION else (value - row[at + 2]) / deviation


@compiled("f8(i8[::1], i8, i8, i8, i8)")
def read_distinct(whole: Integers, at: int, buckets: int, window_ms: int, now_ms: int) -> float:
    """Linear counting: -m ln(share of the m buckets that were not hit in the window)."""
    start = now_ms - window_ms if window_ms > 0 else 0
    empty = 0
    for k in range(at, at + buckets):
        if whole[k] <= start:
            empty += 1
    if empty == 0:
        return buckets * math.log(buckets)
    return buckets * math.log(buckets / empty)


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
    """One reading of one aggregate at `now_ms`; `event_value` only matters to ZSCORE."""
    kind = reads[read, READ_KIND]
    reading = reads[read, READ_READING]
    at = reads[read, READ_AT]
    if kind == _EVENTS:
        return read_window(row, whole, reads, read, windows, now_ms)
    if kind == _DECAY:
        if whole[at] == 0:
            return 0.0
        return float(row[at + 1] * 2.0 ** ((whole[at] - now_ms) / reads[read, READ_HALF_LIFE]))
    if kind == _TOTAL:
        if reading == _COUNT:
            return float(whole[at])
        if reading == _SUM:
            return float(whole[at + 1] / MICRO)
        return float(whole[at + 1] / MICRO / whole[at]) if whole[at] > 0 else math.nan
    if kind == _MOMENTS:
        return read_moments(row, whole, reading, at, event_value)
    if kind == _DISTINCT:
        if whole[at] == 0:
            return 0.0
        return read_distinct(
            whole,
            reads[read, READ_BODY],
            reads[read, READ_SIZE],
            reads[read, READ_WINDOW_MS],
            now_ms,
        )
    if whole[at] == 0:
        return math.nan
    return float(now_ms - whole[at]) if reading == _SINCE else float(row[at + 1])


@compiled("void(f8[::1], i8[::1], i8[:, ::1], i8[:, ::1], f8[:, ::1], i8, i8)")
def read_all(
    row: Floats,
    whole: Integers,
    reads: Integers,
    windows: Integers,
    registers: Floats,
    event: int,
    now_ms: int,
) -> None:
    """Fill the target registers of all readings for one event."""
    for k in range(reads.shape[0]):
        value = math.nan
        if reads[k, READ_VALUE] >= 0:
            value = registers[reads[k, READ_VALUE], event]
        target = reads[k, READ_TARGET]
        registers[target, event] = read_one(row, whole, reads, k, windows, value, now_ms)
