"""The anomaly kernel: one number against a customer's own habit, remembered with a firm hand.

Promise   A z-score is taken before its observation is learnt; what is learnt is clipped, so one outlier
          does not hide the next; one alert an episode. Bounded state, all zero where nothing happened.
How       A habit is a decayed mean and deviation (West 1979) of clipped observations. Formulas: anomaly.py.
          Detectors are a table of numbers (columns below), so a new model compiles nothing.
Not here  Filling the table (anomaly.py).
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled
from processors.fold import ADMITTED

# Columns of the table of detectors; WHERE, VALUE (-1: count in periods), Z_TARGET, ALERT_TARGET: registers.
WHERE, VALUE, PERIOD, HALF_LIFE, HISTORY_MIN, PRESUMED_SPREAD, PRESUMED_WEIGHT = range(7)
FLOOR_ABSOLUTE, FLOOR_RELATIVE, CLIP, ALERT, LOW_TOO, COOL_DOWN = range(7, 13)
Z_TARGET, ALERT_TARGET, HABIT_AT = range(13, 16)
DETECTOR_COLUMNS: Final = 16

# Words of a habit in the row.
SEEN, LEARNT_MS, HABIT_WEIGHT, MEAN, SQUARES, ALERTED_MS, PERIOD_START, IN_PERIOD = range(8)
HABIT_WORDS: Final = 8
# Words of one kept anomaly; before them stands how many there ever were.
KEPT_AT_MS, KEPT_DETECTOR, KEPT_VALUE, KEPT_USUAL, KEPT_Z = range(5)
KEPT_WORDS: Final = 5

CLIP_FROM: Final = 3  # observations learnt whole, before there is anything to clip by
Z_MAX: Final = 1e6  # finite, whatever the floor

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled("f8(f8[::1], i8, f8[::1])")
def scale_of(row: Floats, at: int, detector: Floats) -> float:
    """The habit's deviation, pulled towards the presumed one and never below the floors."""
    mean = abs(row[at + MEAN])
    presumed = detector[PRESUMED_WEIGHT]
    spread = detector[PRESUMED_SPREAD] * mean
    weight = row[at + HABIT_WEIGHT] + presumed
    variance = (row[at + SQUARES] + presumed * spread * spread) / weight if weight > 0.0 else 0.0
    floor = max(detector[FLOOR_ABSOLUTE], detector[FLOOR_RELATIVE] * mean)
    return float(max(math.sqrt(max(variance, 0.0)), floor))


@compiled("f8(f8[::1], i8[::1], i8, f8[::1], f8)")
def z_of(row: Floats, whole: Integers, at: int, detector: Floats, value: float) -> float:
    """How many scales the value lies above the mean; missing while the history is short."""
    if whole[at + SEEN] < detector[HISTORY_MIN]:
        return math.nan
    z = (value - row[at + MEAN]) / scale_of(row, at, detector)
    return float(min(max(z, -Z_MAX), Z_MAX))


@compiled("void(f8[::1], i8[::1], i8, f8[::1], f8, i8)")
def learn(
    row: Floats, whole: Integers, at: int, detector: Floats, value: float, now_ms: int
) -> None:
    """Add one observation to the habit, clipped to CLIP scales around the mean."""
    if whole[at + SEEN] >= CLIP_FROM:
        reach = detector[CLIP] * scale_of(row, at, detector)
        value = min(max(value, row[at + MEAN] - reach), row[at + MEAN] + reach)
    kept = 0.0
    if whole[at + SEEN] > 0:
        kept = 2.0 ** ((whole[at + LEARNT_MS] - now_ms) / detector[HALF_LIFE])
    old = row[at + HABIT_WEIGHT] * kept
    total = old + 1.0
    step = value - row[at + MEAN]
    row[at + SQUARES] = row[at + SQUARES] * kept + old / total * step * step
    row[at + MEAN] += step / total
    row[at + HABIT_WEIGHT] = total
    whole[at + SEEN] += 1
    whole[at + LEARNT_MS] = now_ms


@compiled("f8(f8[::1], i8[::1], i8, f8[::1], i8)")
def count_in_period(row: Floats, whole: Integers, at: int, detector: Floats, now_ms: int) -> float:
    """Count this event in the customer's running period; one that is over is learnt first."""
    start = whole[at + PERIOD_START]
    if start == 0 or now_ms - start >= detector[PERIOD]:
        if start != 0:
            learn(row, whole, at, detector, row[at + IN_PERIOD], now_ms)
        whole[at + PERIOD_START] = now_ms
        row[at + IN_PERIOD] = 0.0
    row[at + IN_PERIOD] += 1.0
    return float(row[at + IN_PERIOD])


@compiled("void(f8[::1], i8[::1], i8, i8, i8, i8, f8, f8, f8)")
def keep(
    row: Floats,
    whole: Integers,
    kept_at: int,
    kept: int,
    now_ms: int,
    detector: int,
    value: float,
    usual: float,
    z: float,
) -> None:
    """Remember an anomaly in place of the oldest kept one."""
    at = kept_at + 1 + whole[kept_at] % kept * KEPT_WORDS
    whole[kept_at] += 1
    whole[at + KEPT_AT_MS] = now_ms
    whole[at + KEPT_DETECTOR] = detector
    row[at + KEPT_VALUE] = value
    row[at + KEPT_USUAL] = usual
    row[at + KEPT_Z] = z


@compiled(
    "void(f8[:, ::1], i8, i8, f8[:, ::1], f8[:, ::1], i8[:, ::1], i8[::1], i8[::1], i8[::1], i8)"
)
def score(
    detectors: Floats,
    kept_at: int,
    kept: int,
    registers: Floats,
    rows: Floats,
    whole_rows: Integers,
    slots: Integers,
    now_ms: Integers,
    status: Integers,
    count: int,
) -> None:
    """Judge the admitted among the first `count` events, in order; see Scores.run for the arrays."""
    for i in range(count):
        if status[i] != ADMITTED:
            continue
        row = rows[slots[i]]
        whole = whole_rows[slots[i]]
        now = now_ms[i]
        for d in range(detectors.shape[0]):
            detector = detectors[d]
            z = math.nan
            alert = 0.0
            value = 1.0
            counts = detector[VALUE] < 0.0
            if not counts:
                value = registers[np.int64(detector[VALUE]), i]
            if registers[np.int64(detector[WHERE]), i] != 0.0 and not math.isnan(value):
                at = int(detector[HABIT_AT])
                if counts:
                    value = count_in_period(row, whole, at, detector, now)
                z = z_of(row, whole, at, detector, value)
                if counts:
                    z = max(z, 0.0) if not math.isnan(z) else z  # a period begins with few events
                far = z >= detector[ALERT] or (detector[LOW_TOO] != 0.0 and z <= -detector[ALERT])
                alerted = whole[at + ALERTED_MS]
                if far and (alerted == 0 or now - alerted >= detector[COOL_DOWN]):
                    alert = 1.0
                    whole[at + ALERTED_MS] = now
                    keep(row, whole, kept_at, kept, now, d, value, row[at + MEAN], z)
                if not counts:
                    learn(row, whole, at, detector, value, now)
            registers[np.int64(detector[Z_TARGET]), i] = z
            registers[np.int64(detector[ALERT_TARGET]), i] = alert
