"""The health kernel: measures of one customer to points, levels, confidence, band and top reason.

Promise   Level and points depend only on the event's registers, never on what was scored before; only
          the band has a memory (two words of the row). The points of all signals and the weighted
          starts of the components add up to the level.
How       For each event: which components have data, their shares, each signal's points within its
          limit, each component within 0..100, the level as their weighted mean. Formulas: health.py.
          Models are tables of numbers (columns below), so a new model compiles nothing.
Not here  Filling the tables (health.py).
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled
from processors.fold import ADMITTED
from processors.model import Shape, SignalKind
from processors.tables import EVENTS, FIRST

# Columns of the table of components. "Register" stands for its number.
WEIGHT, START, SILENCE_COUNTS, SINCE, LEVEL_TARGET, SIGNAL_FIRST, SIGNALS = range(7)
COMPONENT_COLUMNS: Final = 7
# Columns of the table of signals; INPUT, SECOND and THIRD are registers.
KIND, INPUT, SECOND, THIRD, HALF_LIFE, USUAL_HALF_LIFE, EVIDENCE = range(7)
SHAPE, X_FIRST, X_LAST, AT_FIRST, AT_LAST, POINTS_TARGET, COSTS, GIVES = range(7, 15)
SIGNAL_COLUMNS: Final = 15
# The settings: registers, then bands and limits, then the place of the band's state in the row.
TO_LEVEL, TO_BAND, TO_CONFIDENCE, TO_REASON, TO_EVENTS = range(5)
AMBER, GREEN, MARGIN, DWELL, POINTS_MAX, FRESHNESS, BAND_AT = range(5, 12)
SETTINGS: Final = 12

NO_BAND, RED, BAND_AMBER, BAND_GREEN = range(4)
LEVEL_MAX: Final = 100.0
BAND_WORDS: Final = 2  # the band, and since when
REASON_POINTS_MIN: Final = 1.0  # what costs less is no reason while something else gives more
_DAY_MS: Final = 86_400_000.0
_LN2: Final = math.log(2.0)

_LINE = int(Shape.LINE)
_MEAN = int(SignalKind.MEAN)
_SINCE = int(SignalKind.SINCE)
_PACE = int(SignalKind.PACE)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled("f8(f8, f8)")
def halved(age_ms: float, half_life_ms: float) -> float:
    """What is left of 1.0 after `age_ms`."""
    return math.exp(-_LN2 * age_ms / half_life_ms)


@compiled("f8(f8[::1], f8)")
def shaped(signal: Floats, x: float) -> float:
    """The points of a measure, by the signal's shape."""
    if signal[SHAPE] == _LINE:
        along = (x - signal[X_FIRST]) / (signal[X_LAST] - signal[X_FIRST])
        along = min(max(along, 0.0), 1.0)
        return signal[AT_FIRST] + along * (signal[AT_LAST] - signal[AT_FIRST])
    x = max(x, 0.0)
    return signal[AT_FIRST] * x / (x + signal[X_FIRST])


@compiled("f8(f8[::1], f8[:, ::1], i8)")
def points_of(signal: Floats, registers: Floats, event: int) -> float:
    """The points of one signal at one event, before any limit; 0 where it has nothing to say."""
    x = registers[np.int64(signal[INPUT]), event]
    if math.isnan(x):
        return 0.0
    kind = signal[KIND]
    if kind == _SINCE:
        return shaped(signal, x / _DAY_MS)
    if kind == _MEAN:
        weight = registers[np.int64(signal[SECOND]), event]
        if weight <= 0.0:
            return 0.0
        return shaped(signal, x / weight) * (weight / (weight + signal[EVIDENCE]))
    if kind == _PACE:
        span_ms = registers[np.int64(signal[THIRD]), event]
        if math.isnan(span_ms):
            return 0.0
        expected = registers[np.int64(signal[SECOND]), event]
        if span_ms > 0.0:
            late = signal[HALF_LIFE] * (1.0 - halved(span_ms, signal[HALF_LIFE]))
            usual = signal[USUAL_HALF_LIFE] * (1.0 - halved(span_ms, signal[USUAL_HALF_LIFE]))
            expected *= late / usual
        return shaped(signal, (x + signal[EVIDENCE]) / (expected + signal[EVIDENCE]))
    return shaped(signal, x)


@compiled("f8(f8[::1], f8[:, ::1], f8[:, ::1], i8, f8, f8[::1])")
def component_level(
    component: Floats,
    signals: Floats,
    registers: Floats,
    event: int,
    share: float,
    settings: Floats,
) -> float:
    """The component's level; fills in what each of its signals does to health, in points.

    Beyond 0 or 100 the points that push further count for less, by one factor, so that the sum holds.
    """
    limit = settings[POINTS_MAX] / share
    gains = 0.0
    costs = 0.0
    first = np.int64(component[SIGNAL_FIRST])
    end = first + np.int64(component[SIGNALS])
    for k in range(first, end):
        points = min(max(points_of(signals[k], registers, event), -limit), limit)
        registers[np.int64(signals[k, POINTS_TARGET]), event] = points
        gains += max(points, 0.0)
        costs += min(points, 0.0)
    level = component[START] + gains + costs
    gain = share
    cost = share
    if level > LEVEL_MAX:
        gain *= (LEVEL_MAX - component[START] - costs) / gains
        level = LEVEL_MAX
    elif level < 0.0:
        cost *= (component[START] + gains) / -costs
        level = 0.0
    for k in range(first, end):
        target = np.int64(signals[k, POINTS_TARGET])
        points = registers[target, event]
        registers[target, event] = points * (gain if points > 0.0 else cost)
    registers[np.int64(component[LEVEL_TARGET]), event] = level
    return level


@compiled("i8(f8[:, ::1], f8[:, ::1], i8)")
def top_reason(signals: Floats, registers: Floats, event: int) -> int:
    """The phrase of what costs most or, where nothing costs a point, of what gives most; 0: none."""
    worst = -REASON_POINTS_MIN
    best = 0.0
    costs = 0
    gives = 0
    for k in range(signals.shape[0]):
        points = registers[np.int64(signals[k, POINTS_TARGET]), event]
        if points <= worst:
            worst = points
            costs = np.int64(signals[k, COSTS])
        elif points > best:
            best = points
            gives = np.int64(signals[k, GIVES])
    return costs if costs > 0 else gives


@compiled("i8(f8, i8[::1], i8, f8[::1])")
def next_band(level: float, whole: Integers, now_ms: int, settings: Floats) -> int:
    """The band after this level; remembers a change. Moves past a border only beyond the margin."""
    at = np.int64(settings[BAND_AT])
    held = whole[at]
    band = held
    if band == NO_BAND:
        band = BAND_GREEN if level >= settings[GREEN] else BAND_AMBER
        band = band if level >= settings[AMBER] else RED
    elif now_ms - whole[at + 1] >= settings[DWELL]:
        margin = settings[MARGIN]
        if band == RED and level >= settings[AMBER] + margin:
            band = BAND_AMBER
        if band == BAND_AMBER and level >= settings[GREEN] + margin:
            band = BAND_GREEN
        if band == BAND_GREEN and level < settings[GREEN] - margin:
            band = BAND_AMBER
        if band == BAND_AMBER and level < settings[AMBER] - margin:
            band = RED
    if band != held:
        whole[at] = band
        whole[at + 1] = now_ms
    return band


@compiled(
    "void(f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1], i8[:, ::1], i8[::1], i8[::1], i8[::1], i8)"
)
def score(
    components: Floats,
    signals: Floats,
    settings: Floats,
    registers: Floats,
    whole_rows: Integers,
    slots: Integers,
    now_ms: Integers,
    status: Integers,
    count: int,
) -> None:
    """Score the admitted among the first `count` events, in order; see Scores.run for the arrays."""
    for i in range(count):
        if status[i] != ADMITTED:
            continue
        whole = whole_rows[slots[i]]
        registers[np.int64(settings[TO_EVENTS]), i] = whole[EVENTS]
        silence = 1.0 - halved(now_ms[i] - whole[FIRST], settings[FRESHNESS])
        seen = False
        total = 0.0
        known = 0.0
        fresh = 0.0
        for c in range(components.shape[0]):
            weight = components[c, WEIGHT]
            total += weight
            since_ms = registers[np.int64(components[c, SINCE]), i]
            seen = seen or not math.isnan(since_ms)
            if components[c, SILENCE_COUNTS] != 0.0:
                known += weight
                fresh += weight * silence
            elif not math.isnan(since_ms):
                known += weight
                fresh += weight * halved(since_ms, settings[FRESHNESS])
        level = 0.0
        for c in range(components.shape[0]):
            has_data = components[c, SILENCE_COUNTS] != 0.0 or not math.isnan(
                registers[np.int64(components[c, SINCE]), i]
            )
            if seen and has_data:
                share = components[c, WEIGHT] / known
                level += share * component_level(
                    components[c], signals, registers, i, share, settings
                )
            else:
                registers[np.int64(components[c, LEVEL_TARGET]), i] = math.nan
                first = np.int64(components[c, SIGNAL_FIRST])
                for k in range(first, first + np.int64(components[c, SIGNALS])):
                    registers[np.int64(signals[k, POINTS_TARGET]), i] = 0.0
        level = min(max(level, 0.0), LEVEL_MAX) if seen else math.nan
        band = next_band(level, whole, now_ms[i], settings) if seen else NO_BAND
        registers[np.int64(settings[TO_LEVEL]), i] = level
        registers[np.int64(settings[TO_BAND]), i] = band
        registers[np.int64(settings[TO_CONFIDENCE]), i] = fresh / total if seen else 0.0
        registers[np.int64(settings[TO_REASON]), i] = top_reason(signals, registers, i)
