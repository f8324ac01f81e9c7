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
          or within a FINENESSth of the time until then, may not be seen. With the default model
          60 to 250 microseconds a timer (measured), next to nothing an event.
Not here  Which borders: rules/falls.py. What happens then: the timer's step (streams/rounds.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled
from processors.earlier import earlier
from processors.health import HealthScore, steepest_of
from processors.health_score import (
    BAND_AT,
    DAY_MS,
    DWELL,
    HALF_LIFE,
    INPUT,
    KIND,
    KNOWN_FOR,
    LEVEL,
    LEVEL_MAX,
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
LOOK_MS: Final = 365 * int(DAY_MS)
STEP_MS: Final = 60_000
STEEPEST_MIN: Final = (
    1e-12  # points a millisecond: where all points of a model are 0, nothing moves
)
FINENESS: Final = 32  # a step is no longer than this part of the way so far, where it may cross

_SINCE = int(SignalKind.SINCE)
_MEAN = int(SignalKind.MEAN)
_PACE = int(SignalKind.PACE)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled("void(f8[:, ::1], i8, f8[:, ::1], f8, f8, f8)")
def _move(
    registers: Floats,
    event: int,
    future: Floats,
    register: float,
    after_ms: float,
    half_life_ms: float,
) -> None:
    """Move a number on: by its half-life, or, where that is 0, as a time since. NaN stays NaN."""
    at = np.int64(register)
    if half_life_ms > 0.0:
        future[at, 0] = registers[at, event] * halved(after_ms, half_life_ms)
    else:
        future[at, 0] = registers[at, event] + after_ms


@compiled("f8(f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1], i8, f8[:, ::1], f8[:, ::1], f8)")
def level_after(
    components: Floats,
    signals: Floats,
    settings: Floats,
    registers: Floats,
    event: int,
    future: Floats,
    sums: Floats,
    after_ms: float,
) -> float:
    """The level so long after an event's newest time; 0.0 where nothing is known.

    Args:
        components, signals, settings: as in `score`.
        registers: shape (registers, events), as the fold left them.
        future: scratch, shape (registers, 1); `sums` likewise, shape (SUMS, 1).
    """
    place = (registers, event, future)
    _move(*place, settings[KNOWN_FOR], after_ms, 0.0)
    for c in range(components.shape[0]):
        _move(*place, components[c, SINCE], after_ms, 0.0)
    for k in range(signals.shape[0]):
        kind = signals[k, KIND]
        half_life = 0.0 if kind == _SINCE else signals[k, HALF_LIFE]
        _move(*place, signals[k, INPUT], after_ms, half_life)
        if kind == _MEAN:
            _move(*place, signals[k, SECOND], after_ms, half_life)
        elif kind == _PACE:
            _move(*place, signals[k, SECOND], after_ms, signals[k, USUAL_HALF_LIFE])
            _move(*place, signals[k, THIRD], after_ms, 0.0)
    fill_levels(components, signals, settings, future, sums, 1)
    return float(sums[LEVEL, 0])


@compiled("i8(f8, f8[::1])")
def _side(level: float, borders: Floats) -> int:
    """On which side of each border a level is; at a border is a side of its own."""
    level = min(max(level, 0.0), LEVEL_MAX)
    side = 0
    for k in range(borders.shape[0]):
        side += (level >= borders[k]) + (level > borders[k])
    return side


@compiled("f8(f8, f8[::1])")
def _nearest(level: float, borders: Floats) -> float:
    """How far it is to the nearest border."""
    nearest = LEVEL_MAX
    for k in range(borders.shape[0]):
        nearest = min(nearest, abs(borders[k] - level))
    return nearest


@compiled(
    "i8(f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1], i8, f8[:, ::1], f8[:, ::1], f8[::1], f8)"
)
def crossing_in_ms(
    components: Floats,
    signals: Floats,
    settings: Floats,
    registers: Floats,
    event: int,
    future: Floats,
    sums: Floats,
    borders: Floats,
    steepest: float,
) -> int:
    """How long it is until the level is on another side of a border; 0: that is not to be seen.

    The arguments are those of `level_after` and `set_dues`.
    """
    place = (components, signals, settings, registers, event, future, sums)
    level = registers[np.int64(settings[TO_LEVEL]), event]
    side = _side(level, borders)
    low = high = 0
    while _side(level, borders) == side:
        if high >= LOOK_MS:
            return 0
        low = high
        step = max(_nearest(level, borders) / steepest, low / FINENESS, STEP_MS)
        high = min(low + int(step), LOOK_MS)
        level = level_after(*place, high)
    while high - low > 1:
        middle = (low + high) // 2
        if _side(level_after(*place, middle), borders) == side:
            low = middle
        else:
            high = middle
    return max(high, SOON_MS)


@compiled(
    "void(f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1], f8, i8, i8,"
    " i8[:, ::1], i8[::1], i8[::1], i8[::1])"
)
def set_dues(  # noqa: PLR0913, PLR0917  a kernel's arrays
    components: Floats,
    signals: Floats,
    settings: Floats,
    registers: Floats,
    future: Floats,
    sums: Floats,
    borders: Floats,
    steepest: float,
    is_band: int,
    are_timers: int,
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
        if are_timers:
            place = (components, signals, settings, registers, i, future, sums)
            wait_ms = crossing_in_ms(*place, borders, steepest)
        else:
            wait_ms = max(int(min(_nearest(level, borders) / steepest, float(LOOK_MS))), SOON_MS)
        if wait_ms > 0:
            whole[DUE] = earlier(whole[DUE], now_ms[i] + wait_ms)
        dwelt_ms = whole[at + 1] + np.int64(settings[DWELL])
        if is_band and whole[at] != NO_BAND and dwelt_ms > now_ms[i]:
            whole[DUE] = earlier(whole[DUE], max(dwelt_ms, now_ms[i] + SOON_MS))


@dataclass(frozen=True, slots=True, eq=False)
class HealthAhead:
    """Looks ahead for one plan; keeps scratch space from call to call."""

    tables: tuple[Floats, Floats, Floats]  # components, signals and settings
    scratch: tuple[Floats, Floats]  # future and sums
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
            (np.full((registers, 1), np.nan), np.zeros((SUMS, 1))),
            np.array(sorted({*borders, *(health.borders if is_band else ())}), dtype=np.float64),
            max(STEEPEST_MIN, *map(steepest_of, health.model.components)),
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
        future, sums = self.scratch
        set_dues(
            components,
            signals,
            settings,
            registers,
            future,
            sums,
            self.borders,
            self.steepest,
            self.is_band,
            are_timers,
            whole_rows,
            slots,
            now_ms,
            events,
        )
