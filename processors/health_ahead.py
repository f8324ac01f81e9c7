"""Health ahead: when silence alone will take a customer's health past a border.

Promise   A customer is due at the very millisecond at which the level would be found on another side of a
          border, if no event came, or before that, to be looked at again; a second after the newest event
          or timer at the earliest. Where the band waits for its dwell time, no later than the end of that.
How       At an event: when a border could be reached at the earliest, by the steepest way that the model has.
          Most customers come back before. At a timer: when it will be. What the signals read moves in silence
          by known laws: decayed numbers halve, times since grow. The kernel of the score (health_score.py)
          works on such futures as it does on events. From each of them no border is nearer than by the
          steepest way; so far the next is, or a little further. Halving finds the millisecond.
Limits    LOOK_MS ahead; nothing is said of later. A level that crosses a border and is back within STEP_MS,
          or within a FINENESSth of the time until then, may not be seen. A millisecond a timer at most.
Not here  Which borders: rules/falls.py. What happens then: the timer's step (streams/rounds.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled
from processors.health import HealthScore, steepest_of
from processors.health_score import (
    BAND_AT,
    DWELL,
    HALF_LIFE,
    INPUT,
    KIND,
    KNOWN_FOR,
    LEVEL,
    NO_BAND,
    SECOND,
    SINCE,
    SUMS,
    THIRD,
    TO_LEVEL,
    USUAL_HALF_LIFE,
    fill_levels,
    halved,
)
from processors.model import SignalKind
from processors.tables import DUE

SOON_MS: Final = 1_000  # no sooner: so batches need not be cut between events that are closer
LOOK_MS: Final = 365 * 86_400_000
STEP_MS: Final = 60_000
FINENESS: Final = 32  # a step is no longer than this part of the way so far, where it may cross

_SINCE = int(SignalKind.SINCE)
_MEAN = int(SignalKind.MEAN)
_PACE = int(SignalKind.PACE)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled("void(f8[:, ::1], i8, f8[:, ::1], f8, f8[::1], f8, i8)")
def _move(
    registers: Floats,
    event: int,
    future: Floats,
    register: float,
    times_ms: Floats,
    half_life_ms: float,
    count: int,
) -> None:
    """Move a number on: by its half-life, or, where that is 0, as a time since. NaN stays NaN."""
    at = np.int64(register)
    for g in range(count):
        if half_life_ms > 0.0:
            future[at, g] = registers[at, event] * halved(times_ms[g], half_life_ms)
        else:
            future[at, g] = registers[at, event] + times_ms[g]


@compiled(
    "void(f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1], i8, f8[:, ::1], f8[:, ::1], f8[::1], i8)"
)
def fill_futures(
    components: Floats,
    signals: Floats,
    settings: Floats,
    registers: Floats,
    event: int,
    future: Floats,
    sums: Floats,
    times_ms: Floats,
    count: int,
) -> None:
    """The levels of the first `count` of these times after an event, into sums[LEVEL].

    Args:
        components, signals, settings: as in `score`.
        registers: shape (registers, events), as the fold left them.
        future: scratch, shape (registers, at least count); `sums` likewise, shape (SUMS, at least count).
        times_ms: from the customer's newest time on.
    """
    place = (registers, event, future)
    _move(*place, settings[KNOWN_FOR], times_ms, 0.0, count)
    for c in range(components.shape[0]):
        _move(*place, components[c, SINCE], times_ms, 0.0, count)
    for k in range(signals.shape[0]):
        kind = signals[k, KIND]
        half_life = 0.0 if kind == _SINCE else signals[k, HALF_LIFE]
        _move(*place, signals[k, INPUT], times_ms, half_life, count)
        if kind == _MEAN:
            _move(*place, signals[k, SECOND], times_ms, half_life, count)
        elif kind == _PACE:
            _move(*place, signals[k, SECOND], times_ms, signals[k, USUAL_HALF_LIFE], count)
            _move(*place, signals[k, THIRD], times_ms, 0.0, count)
    fill_levels(components, signals, settings, future, sums, count)


@compiled("i8(f8, f8[::1])")
def _side(level: float, borders: Floats) -> int:
    """On which side of each border a level is; at a border is a side of its own."""
    level = min(max(level, 0.0), 100.0)
    side = 0
    for k in range(borders.shape[0]):
        side += (level >= borders[k]) + (level > borders[k])
    return side


@compiled("f8(f8, f8[::1])")
def _nearest(level: float, borders: Floats) -> float:
    """How far it is to the nearest border."""
    nearest = 100.0
    for k in range(borders.shape[0]):
        nearest = min(nearest, abs(borders[k] - level))
    return nearest


@compiled(
    "i8(f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1], i8, f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], f8)"
)
def crossing_in_ms(
    components: Floats,
    signals: Floats,
    settings: Floats,
    registers: Floats,
    event: int,
    future: Floats,
    sums: Floats,
    times_ms: Floats,
    borders: Floats,
    steepest: float,
) -> int:
    """How long it is until the level is on another side of a border; 0: that is not to be seen.

    `times_ms` is scratch of one number; the others are as in `fill_futures` and `set_dues`.
    """
    tables = (components, signals, settings, registers, event, future, sums, times_ms)
    level = registers[np.int64(settings[TO_LEVEL]), event]
    side = _side(level, borders)
    low = high = 0
    while _side(level, borders) == side:
        if high >= LOOK_MS:
            return 0
        low = high
        step = max(_nearest(level, borders) / steepest, low / FINENESS, STEP_MS)
        high = min(low + int(step), LOOK_MS)
        times_ms[0] = high
        fill_futures(*tables, 1)
        level = sums[LEVEL, 0]
    while high - low > 1:
        middle = (low + high) // 2
        times_ms[0] = middle
        fill_futures(*tables, 1)
        if _side(sums[LEVEL, 0], borders) == side:
            low = middle
        else:
            high = middle
    return max(high, SOON_MS)


@compiled(
    "void(f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], f8, b1, b1,"
    " i8[:, ::1], i8[::1], i8[::1], i8[::1])"
)
def set_dues(  # noqa: PLR0913, PLR0917  a kernel's arrays
    components: Floats,
    signals: Floats,
    settings: Floats,
    registers: Floats,
    future: Floats,
    sums: Floats,
    times_ms: Floats,
    borders: Floats,
    steepest: float,
    is_band: bool,  # noqa: FBT001  compiled
    are_timers: bool,  # noqa: FBT001
    whole_rows: Integers,
    slots: Integers,
    now_ms: Integers,
    events: Integers,
) -> None:
    """Bring the due time of each customer forward to when health passes a border; `events` are their last."""
    at = np.int64(settings[BAND_AT])
    for e in range(events.shape[0]):
        i = events[e]
        whole = whole_rows[slots[i]]
        level = registers[np.int64(settings[TO_LEVEL]), i]
        if np.isnan(level):
            continue
        wait_ms = max(int(min(_nearest(level, borders) / steepest, float(LOOK_MS))), SOON_MS)
        if are_timers:
            tables = (components, signals, settings, registers, i, future, sums, times_ms)
            wait_ms = crossing_in_ms(*tables, borders, steepest)
        due_ms = now_ms[i] + wait_ms if wait_ms > 0 else 0
        if is_band and whole[at] != NO_BAND:
            dwelt_ms = whole[at + 1] + np.int64(settings[DWELL])
            if dwelt_ms > now_ms[i]:
                dwelt_ms = max(dwelt_ms, now_ms[i] + SOON_MS)
                due_ms = dwelt_ms if due_ms == 0 else min(due_ms, dwelt_ms)
        if due_ms > 0:
            whole[DUE] = due_ms if whole[DUE] == 0 else min(whole[DUE], due_ms)


@dataclass(frozen=True, slots=True, eq=False)
class HealthAhead:
    """Looks ahead for one plan; keeps scratch space from call to call."""

    tables: tuple[Floats, Floats, Floats]  # components, signals and settings
    scratch: tuple[Floats, Floats, Floats]  # future, sums and times
    borders: Floats
    steepest: float  # points a millisecond
    is_band: bool

    @classmethod
    def of(
        cls, health: HealthScore, registers: int, borders: Sequence[float], *, is_band: bool
    ) -> Self:
        """For a plan of so many registers; `is_band`: the borders of the bands are wanted, too."""
        return cls(
            (health.components, health.signals, health.settings),
            (np.full((registers, 1), np.nan), np.zeros((SUMS, 1)), np.zeros(1)),
            np.array(sorted({*borders, *(health.borders if is_band else ())}), dtype=np.float64),
            max(map(steepest_of, health.model.components)),
            is_band,
        )

    def run(
        self,
        registers: Floats,
        whole_rows: Integers,
        slots: Integers,
        now_ms: Integers,
        events: Integers,
        *,
        are_timers: bool,
    ) -> None:
        """Set when each customer is due, after the rules have set what they wait for.

        Args:
            registers, whole_rows, slots, now_ms: of the batch, as in `Scores.run`.
            events: of each customer that the batch changed, the index of the last admitted event.
            are_timers: whether these are timers.
        """
        components, signals, settings = self.tables
        future, sums, times_ms = self.scratch
        set_dues(
            components,
            signals,
            settings,
            registers,
            future,
            sums,
            times_ms,
            self.borders,
            self.steepest,
            self.is_band,
            are_timers,
            whole_rows,
            slots,
            now_ms,
            events,
        )
