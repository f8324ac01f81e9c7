"""The health kernel: measures of one customer to points, levels, confidence, band and top reason.

Promise   Level and points depend only on the event's registers, never on what was scored before; only
          the band has a memory (two words of the row). The points of all signals and the weighted
          starts of the components add up to the level.
How       Which components have data, their shares, each signal's points within its limit, each component
          within 0..100, the level as their weighted mean. Formulas: health.py. Signal by signal, the
          inner loop over events, because registers lie that way; only the bands go event by event.
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

# Columns of the table of components. "Register" stands for its number.
WEIGHT, START, SILENCE_COUNTS, SINCE, LEVEL_TARGET, SIGNAL_FIRST, SIGNALS = range(7)
COMPONENT_COLUMNS: Final = 7
# Columns of the table of signals; INPUT, SECOND and THIRD are registers.
KIND, INPUT, SECOND, THIRD, HALF_LIFE, USUAL_HALF_LIFE, EVIDENCE = range(7)
SHAPE, X_FIRST, X_LAST, AT_FIRST, AT_LAST, POINTS_TARGET, COSTS, GIVES = range(7, 15)
SIGNAL_COLUMNS: Final = 15
# The settings: registers, then bands and limits, then the place of the band's state in the row.
TO_LEVEL, TO_BAND, TO_CONFIDENCE, TO_REASON, KNOWN_FOR = range(5)
AMBER, GREEN, MARGIN, DWELL, POINTS_MAX, FRESHNESS, BAND_AT = range(5, 12)
SETTINGS: Final = 12
# Rows of the scratch space, a number an event each. SHARE, GAINS and LOSSES: of one component.
KNOWN, SILENCE, LEVEL, SHARE, GAINS, LOSSES = range(6)
SUMS: Final = 6

NO_BAND, RED, BAND_AMBER, BAND_GREEN = range(4)
LEVEL_MAX: Final = 100.0
BAND_WORDS: Final = 2  # the band, and since when
REASON_POINTS_MIN: Final = 1.0  # what costs less is no reason while something else gives more
DAY_MS: Final = 86_400_000.0
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
        return float(signal[AT_FIRST] + along * (signal[AT_LAST] - signal[AT_FIRST]))
    x = max(x, 0.0)
    return float(signal[AT_FIRST] * x / (x + signal[X_FIRST]))


@compiled("f8(f8[::1], f8)")
def span_ratio(signal: Floats, span_ms: float) -> float:
    """What a steady rate over `span_ms` leaves in the count of short half-life, over the long one's."""
    if span_ms <= 0.0:
        return 1.0
    late = signal[HALF_LIFE] * (1.0 - halved(span_ms, signal[HALF_LIFE]))
    usual = signal[USUAL_HALF_LIFE] * (1.0 - halved(span_ms, signal[USUAL_HALF_LIFE]))
    return float(late / usual)


@compiled("void(f8[::1], f8[:, ::1], i8)")
def fill_points(signal: Floats, registers: Floats, count: int) -> None:
    """The points of one signal at each event, before any limit; 0 where it has nothing to say."""
    target = registers[np.int64(signal[POINTS_TARGET])]
    measure = registers[np.int64(signal[INPUT])]
    second = registers[np.int64(signal[SECOND])]
    third = registers[np.int64(signal[THIRD])]
    kind = signal[KIND]
    evidence = signal[EVIDENCE]
    for i in range(count):
        x = measure[i]
        points = 0.0
        if math.isnan(x):
            pass
        elif kind == _SINCE:
            points = shaped(signal, x / DAY_MS)
        elif kind == _MEAN:
            if second[i] > 0.0:
                points = shaped(signal, x / second[i]) * (second[i] / (second[i] + evidence))
        elif kind == _PACE:
            if not math.isnan(third[i]):
                expected = second[i] * span_ratio(signal, third[i])
                points = shaped(signal, (x + evidence) / (expected + evidence))
        else:
            points = shaped(signal, x)
        target[i] = points


@compiled("void(f8[:, ::1], f8[::1], f8[:, ::1], f8[:, ::1], i8)")
def weigh(
    components: Floats, settings: Floats, registers: Floats, sums: Floats, count: int
) -> None:
    """Fill sums[KNOWN], the weight that has data, 0 where nothing is known; and the confidence.

    Finds in sums[SILENCE] how much silence is worth by now.
    """
    fresh = registers[np.int64(settings[TO_CONFIDENCE])]
    known = sums[KNOWN]
    seen = sums[LEVEL]
    total = 0.0
    for i in range(count):
        fresh[i] = known[i] = seen[i] = 0.0
    for c in range(components.shape[0]):
        weight = components[c, WEIGHT]
        total += weight
        silence_counts = components[c, SILENCE_COUNTS] != 0.0
        since_ms = registers[np.int64(components[c, SINCE])]
        for i in range(count):
            never = math.isnan(since_ms[i])
            if not never:
                seen[i] = 1.0
            if silence_counts:
                known[i] += weight
                fresh[i] += weight * sums[SILENCE, i]
            elif not never:
                known[i] += weight
                fresh[i] += weight * halved(since_ms[i], settings[FRESHNESS])
    for i in range(count):
        known[i] *= seen[i]
        fresh[i] *= seen[i] / total


@compiled("void(f8[::1], f8[:, ::1], f8[::1], f8[:, ::1], f8[:, ::1], i8)")
def add_component(
    component: Floats,
    signals: Floats,
    settings: Floats,
    registers: Floats,
    sums: Floats,
    count: int,
) -> None:
    """Add the component to sums[LEVEL], and fill in what each of its signals does to health.

    Beyond 0 or 100 the points that push further count for less, by one factor, so that the sum holds.
    """
    since_ms = registers[np.int64(component[SINCE])]
    levels = registers[np.int64(component[LEVEL_TARGET])]
    silence_counts = component[SILENCE_COUNTS] != 0.0
    share, gains, costs = sums[SHARE], sums[GAINS], sums[LOSSES]
    for i in range(count):
        has_data = sums[KNOWN, i] > 0.0 and (silence_counts or not math.isnan(since_ms[i]))
        share[i] = component[WEIGHT] / sums[KNOWN, i] if has_data else 0.0
        gains[i] = costs[i] = 0.0
    for k in range(signals.shape[0]):
        fill_points(signals[k], registers, count)
        points = registers[np.int64(signals[k, POINTS_TARGET])]
        for i in range(count):
            # Without data the share is 0, and so are the points.
            limit = settings[POINTS_MAX] / share[i] if share[i] > 0.0 else 0.0
            points[i] = min(max(points[i], -limit), limit)
            gains[i] += max(points[i], 0.0)
            costs[i] += min(points[i], 0.0)
    start = component[START]
    for i in range(count):
        level = min(max(start + gains[i] + costs[i], 0.0), LEVEL_MAX)
        sums[LEVEL, i] += share[i] * level
        levels[i] = level if share[i] > 0.0 else math.nan
        gain = cost = share[i]
        if start + gains[i] + costs[i] > LEVEL_MAX:
            gain *= (LEVEL_MAX - start - costs[i]) / gains[i]
        elif start + gains[i] + costs[i] < 0.0:
            cost *= (start + gains[i]) / -costs[i]
        gains[i] = gain
        costs[i] = cost
    for k in range(signals.shape[0]):
        points = registers[np.int64(signals[k, POINTS_TARGET])]
        for i in range(count):
            points[i] = points[i] * (gains[i] if points[i] > 0.0 else costs[i]) + 0.0  # no -0.0


@compiled("void(f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1], f8[:, ::1], i8)")
def fill_levels(
    components: Floats,
    signals: Floats,
    settings: Floats,
    registers: Floats,
    sums: Floats,
    count: int,
) -> None:
    """Fill sums[KNOWN] and sums[LEVEL], the confidence, the components' levels and the signals' points."""
    known_ms = registers[np.int64(settings[KNOWN_FOR])]
    for i in range(count):
        sums[SILENCE, i] = 1.0 - halved(known_ms[i], settings[FRESHNESS])
    weigh(components, settings, registers, sums, count)
    sums[LEVEL] = 0.0
    for c in range(components.shape[0]):
        first = np.int64(components[c, SIGNAL_FIRST])
        own = signals[first : first + np.int64(components[c, SIGNALS])]
        add_component(components[c], own, settings, registers, sums, count)


@compiled("void(f8[:, ::1], f8[::1], f8[:, ::1], f8[:, ::1], i8)")
def fill_reasons(
    signals: Floats, settings: Floats, registers: Floats, sums: Floats, count: int
) -> None:
    """The phrase of what costs most or, where nothing costs a point, of what gives most; 0: none."""
    reasons = registers[np.int64(settings[TO_REASON])]
    most = sums[GAINS]
    for i in range(count):
        reasons[i] = most[i] = 0.0
    for k in range(signals.shape[0]):
        points = registers[np.int64(signals[k, POINTS_TARGET])]
        for i in range(count):
            # Once something costs a point, `most` is negative, and what gives no longer matters.
            if points[i] <= -REASON_POINTS_MIN and points[i] < most[i]:
                most[i] = points[i]
                reasons[i] = signals[k, COSTS]
            elif most[i] >= 0.0 and points[i] > most[i]:
                most[i] = points[i]
                reasons[i] = signals[k, GIVES]


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
    return int(band)


@compiled(
    "void(f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1], f8[:, ::1], i8[:, ::1], i8[::1], i8[::1],"
    " i8[::1], i8)"
)
def score(
    components: Floats,
    signals: Floats,
    settings: Floats,
    sums: Floats,
    registers: Floats,
    whole_rows: Integers,
    slots: Integers,
    now_ms: Integers,
    status: Integers,
    count: int,
) -> None:
    """Score the admitted among the first `count` events, in order; see Scores.run for the arrays.

    `sums` is scratch space of shape (SUMS, at least count).
    """
    fill_levels(components, signals, settings, registers, sums, count)
    fill_reasons(signals, settings, registers, sums, count)
    levels = registers[np.int64(settings[TO_LEVEL])]
    bands = registers[np.int64(settings[TO_BAND])]
    for i in range(count):
        levels[i] = math.nan
        bands[i] = NO_BAND
        if status[i] == ADMITTED and sums[KNOWN, i] > 0.0:
            levels[i] = min(max(sums[LEVEL, i], 0.0), LEVEL_MAX)
            bands[i] = next_band(levels[i], whole_rows[slots[i]], now_ms[i], settings)
