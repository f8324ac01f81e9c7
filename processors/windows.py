"""Windows: the newest events one by one, older ones in tiles, and what lies in the last so many days.

Promise   While no more than `size` events are inside a window, its readings are exact to the millisecond.
          What is kept does not depend on the order of arrival.
How       The newest events are sorted by time, then value. One too many moves the oldest into the tiles
          of each window that is read. Windows are (now - length, now]; whole tiles count wholly, the
          oldest by the share that the window covers.
Limits    TILES tiles a window: off by at most what is in one of them, a twelfth of the window.
Not here  Which aggregates there are (aggregate.py, tables.py).
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.aggregate import TILES, TILES_IN_WINDOW, WITH_EXTREMES, WITH_SUMS, Reading
from processors.compiled import compiled
from processors.tables import (
    FOLD_AT,
    FOLD_BODY,
    FOLD_SIZE,
    FOLD_VALUE,
    FOLD_WINDOW_FIRST,
    FOLD_WINDOWS,
    READ_AT,
    READ_BODY,
    READ_READING,
    READ_SIZE,
    READ_VALUE,
    READ_WINDOW,
    WINDOW_AT,
    WINDOW_BODY,
    WINDOW_MS,
    WINDOW_PARTS,
)

_COUNT = int(Reading.COUNT)
_SUM = int(Reading.SUM)
_MEAN = int(Reading.MEAN)
_MIN = int(Reading.MIN)
_RATE = int(Reading.RATE)
_APPROXIMATE = int(Reading.APPROXIMATE)
_DAY_MS = 86_400_000.0
FOREVER_MS: Final = 1 << 62

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled("void(f8[::1], i8[::1], i8[:, ::1], i8, i8, f8)")
def add_to_tile(
    row: Floats, whole: Integers, windows: Integers, window: int, at_ms: int, value: float
) -> None:
    """Count an event that no longer fits among the exact ones; one older than all tiles is outside."""
    tile_ms = (windows[window, WINDOW_MS] + TILES_IN_WINDOW - 1) // TILES_IN_WINDOW
    tile = at_ms // tile_ms
    newest = whole[windows[window, WINDOW_AT]]
    if newest != 0 and tile <= newest - TILES:
        return
    counts = windows[window, WINDOW_BODY]
    parts = windows[window, WINDOW_PARTS]
    if tile > newest:
        for passed in range(max(newest + 1, tile - TILES + 1), tile + 1):
            for part in range(parts):
                whole[counts + part * TILES + passed % TILES] = 0
        whole[windows[window, WINDOW_AT]] = tile
    k = counts + tile % TILES
    whole[k] += 1
    if parts >= WITH_SUMS:
        row[k + TILES] += value
    if parts >= WITH_EXTREMES:
        if whole[k] == 1 or value < row[k + 2 * TILES]:
            row[k + 2 * TILES] = value
        if whole[k] == 1 or value > row[k + 3 * TILES]:
            row[k + 3 * TILES] = value


@compiled("i8(f8[::1], i8[::1], i8[:, ::1], i8, i8, f8)")
def _place_of(
    row: Floats, whole: Integers, folds: Integers, fold: int, at_ms: int, value: float
) -> int:
    """Where the event belongs among the exact ones, sorted by time and then value."""
    times = folds[fold, FOLD_BODY]
    values = times + folds[fold, FOLD_SIZE]
    place = int(whole[folds[fold, FOLD_AT]])
    while place > 0 and (
        whole[times + place - 1] > at_ms
        or (
            folds[fold, FOLD_VALUE] >= 0
            and whole[times + place - 1] == at_ms
            and row[values + place - 1] > value
        )
    ):
        place -= 1
    return place


@compiled("void(f8[::1], i8[::1], i8[:, ::1], i8, i8[:, ::1], i8, f8)")
def add_exact(
    row: Floats,
    whole: Integers,
    folds: Integers,
    fold: int,
    windows: Integers,
    at_ms: int,
    value: float,
) -> None:
    """Keep the event among the newest; the oldest one too many moves into the tiles."""
    size = folds[fold, FOLD_SIZE]
    count = whole[folds[fold, FOLD_AT]]
    times = folds[fold, FOLD_BODY]
    values = times + size
    has_values = folds[fold, FOLD_VALUE] >= 0
    place = _place_of(row, whole, folds, fold, at_ms, value)
    if count < size:
        for k in range(count, place, -1):
            whole[times + k] = whole[times + k - 1]
            if has_values:
                row[values + k] = row[values + k - 1]
        whole[folds[fold, FOLD_AT]] = count + 1
    else:
        old_ms = at_ms
        old_value = value
        if place > 0:
            old_ms = whole[times]
            old_value = row[values] if has_values else value
            for k in range(place - 1):
                whole[times + k] = whole[times + k + 1]
                if has_values:
                    row[values + k] = row[values + k + 1]
        first = folds[fold, FOLD_WINDOW_FIRST]
        for k in range(first, first + folds[fold, FOLD_WINDOWS]):
            add_to_tile(row, whole, windows, k, old_ms, old_value)
        place -= 1
    if place >= 0:
        whole[times + place] = at_ms
        if has_values:
            row[values + place] = value


@compiled("Tuple((f8, f8, f8, f8, f8, i8))(f8[::1], i8[::1], i8[:, ::1], i8, i8, UniTuple(f8, 4))")
def add_tiles(
    row: Floats,
    whole: Integers,
    windows: Integers,
    window: int,
    start: int,
    exact: tuple[float, float, float, float],
) -> tuple[float, float, float, float, float, int]:
    """What stands in the tiles after `start`, added to count, sum, least and most of exact events.

    The fifth number is how many events are in the tile that the window only partly covers, the sixth
    the `start` from which on anything of that is otherwise.
    """
    count, total, low, high = exact
    partial = 0.0
    same_until = FOREVER_MS
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
        same_until = min(same_until, max(start + 1, tile * tile_ms))
        count += share * held
        if windows[window, WINDOW_PARTS] >= WITH_SUMS:
            total += share * row[k + TILES]
        if windows[window, WINDOW_PARTS] >= WITH_EXTREMES:
            low = min(low, row[k + 2 * TILES])
            high = max(high, row[k + 3 * TILES])
    return count, total, low, high, partial, same_until


@compiled("f8(i8, f8, f8, f8, f8, b1)")
def _typical(
    reading: int,
    count: float,
    total: float,
    low: float,
    high: float,
    has_values: bool,  # noqa: FBT001  a kernel's arguments have no names
) -> float:
    """Mean or extreme of what a window holds."""
    if count == 0.0:
        return math.nan
    if not has_values:
        return 1.0
    if reading == _MEAN:
        return float(total / count)
    return float(low) if reading == _MIN else float(high)


@compiled("Tuple((f8, i8))(f8[::1], i8[::1], i8[:, ::1], i8, i8[:, ::1], i8)")
def read_window(
    row: Floats, whole: Integers, reads: Integers, read: int, windows: Integers, now_ms: int
) -> tuple[float, int]:
    """Count, sum, mean, extreme or rate of the events in (now - window, now].

    And the `now` until which that stays so, when no event comes.
    """
    reading = reads[read, READ_READING]
    held = whole[reads[read, READ_AT]]
    window = reads[read, READ_WINDOW]
    window_ms = windows[window, WINDOW_MS]
    start = now_ms - window_ms
    times = reads[read, READ_BODY]
    values = times + reads[read, READ_SIZE]
    has_values = reads[read, READ_VALUE] >= 0
    count = 0.0
    total = 0.0
    low = math.inf
    high = -math.inf
    partial = 0.0
    same_until = FOREVER_MS
    for k in range(held - 1, -1, -1):
        if whole[times + k] <= start:
            break
        same_until = whole[times + k]
        count += 1.0
        if has_values:
            value = row[values + k]
            total += value
            low = min(low, value)
            high = max(high, value)
    if whole[windows[window, WINDOW_AT]] != 0:
        older = add_tiles(row, whole, windows, window, start, (count, total, low, high))
        count, total, low, high, partial, of_tiles = older
        same_until = min(same_until, of_tiles)
    value = total if has_values else count
    if reading == _COUNT:
        value = count
    elif reading == _RATE:
        value = count * _DAY_MS / window_ms
    elif reading == _APPROXIMATE:
        value = 1.0 if partial > 0.0 else 0.0
    elif reading != _SUM:
        value = _typical(reading, count, total, low, high, has_values)
    return value, min(same_until, FOREVER_MS - window_ms) + window_ms
