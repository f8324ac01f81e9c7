"""Health: how well things stand with a customer, 0 to 100, higher is healthier.

Promise   The level does not depend on the order of arrival (rounding aside), lies within 0..100, and is
          missing until something is known. No one signal moves it by more than `signal_points_max`.
          Band, dwell and trend have a memory, so they depend on the way: on the levels at each event.
How       Of each component c with weight w_c that has data, W the sum of their weights:
              points(s)  = the shaped measure of signal s, within ± signal_points_max · W / w_c
              level(c)   = start_c + Σ points(s), within 0..100
              health     = Σ w_c / W · level(c)
              confidence = Σ w_c · fresh(c) / Σ of all w; fresh(c) = 2^(−time since its last event / H);
                           where silence counts, 1 − 2^(−time known / H): the longer, the surer
              trend      = average of short half-life − average of long half-life (averages.py)
          Measures: decayed counts, sums and means; days since; pace = (n + e) / (E + e), n the decayed
          count of short half-life h, E what the usual rate of half-life u lets expect of it: with a the
          time since the first one, E = count of half-life u · h(1 − 2^(−a/h)) / (u(1 − 2^(−a/u))).
          e keeps few events near 1. A mean's points count by n / (n + e), n its decayed count.
Limits    Health is judged at events, and where rules look at it (health_ahead.py) when silence takes it past
          their borders; else it stays what it was at the last event. A component that starts to have data
          changes the shares of the others, and may so raise or lower the level.
Not here  The kernel (health_score.py), the model (model.py), what rules may ask (plan.py).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from processors.aggregate import AggregateKind, Reading
from processors.health_score import (
    AMBER,
    BAND_WORDS,
    COMPONENT_COLUMNS,
    DAY_MS,
    GREEN,
    MARGIN,
    SETTINGS,
    SIGNAL_COLUMNS,
    SUMS,
    score,
)
from processors.machine import Op
from processors.model import Component, Health, Shape, Signal, SignalKind
from processors.plan import PlanBuilder
from processors.register import Named, Register

BAND_TEXTS: Final = ("none", "red", "amber", "green")
NO_REASON: Final = "nothing stands out"

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SignalPlace:
    """Where the points of a signal stand, and the phrases for them."""

    component: str
    signal: Signal
    register: Register


@dataclass(frozen=True, slots=True, eq=False)
class HealthScore:
    """The health score compiled for one plan: tables for the kernel, registers for the view."""

    model: Health
    level: Register
    band: Register
    trend: Register
    confidence: Register
    places: tuple[SignalPlace, ...]
    components: Floats
    signals: Floats
    settings: Floats

    @classmethod
    def compile(cls, builder: PlanBuilder, health: Health) -> Self:
        """Ask for measures, state and registers; see the module's head for the names' meaning."""
        level = builder.score("health")
        band = builder.score("health.band", BAND_TEXTS)
        confidence = builder.score("health.confidence")
        known_for = builder.read(
            builder.aggregate(AggregateKind.FIRST, builder.whole), Reading.SINCE
        )
        phrases = _phrases(health)
        reason = builder.score("health.top_reason", tuple(phrases))
        components: list[list[float]] = []
        signals: list[list[float]] = []
        places: list[SignalPlace] = []
        for component in health.components:
            first = len(signals)
            for signal in component.signals:
                target = builder.score(f"health.{component.name}.{signal.name}")
                places.append(SignalPlace(component.name, signal, target))
                signals.append(_signal_row(builder, signal, target, phrases))
            components.append(_component_row(builder, component, first))
        settings = [
            *(each.number for each in (level, band, confidence, reason, known_for)),
            health.bands.amber,
            health.bands.green,
            health.bands.margin,
            health.bands.dwell_ms,
            health.signal_points_max,
            health.freshness_half_life_ms,
            builder.state("health.band", BAND_WORDS),
        ]
        # score - average of half-life d is trend(health, d); the difference of two is short - long.
        trend = builder.apply(
            Op.SUB,
            builder.time_average(level, health.trend_long_ms),
            builder.time_average(level, health.trend_short_ms),
        )
        builder.names["health.trend"] = Named(trend)
        return cls(
            model=health,
            level=level,
            band=band,
            trend=trend,
            confidence=confidence,
            places=tuple(places),
            components=_table(components, COMPONENT_COLUMNS),
            signals=_table(signals, SIGNAL_COLUMNS),
            settings=_table([settings], SETTINGS)[0],
        )

    @property
    def borders(self) -> tuple[float, ...]:
        """The levels at which the band may change."""
        margin = self.settings[MARGIN]
        levels = (self.settings[AMBER], self.settings[GREEN])
        return tuple(float(each + side) for each in levels for side in (-margin, margin))

    def run(
        self,
        registers: Floats,
        whole_rows: Integers,
        slots: Integers,
        now_ms: Integers,
        status: Integers,
        count: int,
    ) -> None:
        """Score the admitted among the first `count` events; see Scores.run for the arrays."""
        score(
            self.components,
            self.signals,
            self.settings,
            np.empty((SUMS, count)),
            registers,
            whole_rows,
            slots,
            now_ms,
            status,
            count,
        )


def _table(rows: list[list[float]], columns: int) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(len(rows), columns)


def _phrases(health: Health) -> dict[str, int]:
    """Every phrase of the model and its code; 0 stands for none."""
    codes = {NO_REASON: 0}
    for component in health.components:
        for signal in component.signals:
            for phrase in (signal.costs, signal.gives):
                if phrase:
                    codes.setdefault(phrase, len(codes))
    return codes


def any_of(builder: PlanBuilder, events: Iterable[str]) -> Register:
    """1.0 where the event is one of "kind.action"; the action "*" is any."""
    registers = [builder.action(*each.split(".", 1)) for each in events]
    return reduce(lambda left, right: builder.apply(Op.OR, left, right), registers)


def _counted(builder: PlanBuilder, signal: Signal) -> Register:
    """1.0 where the event counts for the signal: it is one of those named, and has the value."""
    where = any_of(builder, signal.of)
    if signal.value is None:
        return where
    return builder.apply(Op.AND, where, builder.apply(Op.HAS, builder.number(signal.value)))


def _component_row(builder: PlanBuilder, component: Component, first: int) -> list[float]:
    wheres = list(dict.fromkeys(_counted(builder, signal) for signal in component.signals))
    where = reduce(lambda left, right: builder.apply(Op.OR, left, right), wheres)
    last = builder.aggregate(AggregateKind.LAST, where)
    return [
        component.weight,
        component.start,
        component.silence_counts,
        builder.read(last, Reading.SINCE).number,
        builder.score(f"health.{component.name}").number,
        first,
        len(component.signals),
    ]


def _decayed(
    builder: PlanBuilder, where: Register, value: Register | None, half_life_ms: int
) -> int:
    aggregate = builder.aggregate(AggregateKind.DECAY, where, value, half_life_ms=half_life_ms)
    return builder.read(aggregate, Reading.VALUE).number


def _inputs(builder: PlanBuilder, signal: Signal) -> tuple[int, int, int]:
    """The registers that the kernel reads for the signal; those that its kind does not need are 0."""
    where = _counted(builder, signal)
    if signal.kind == SignalKind.SINCE:
        last = builder.aggregate(AggregateKind.LAST, where)
        return builder.read(last, Reading.SINCE).number, 0, 0
    value = None if signal.value is None else builder.number(signal.value)
    late = _decayed(builder, where, value, signal.half_life_ms)
    if signal.kind == SignalKind.MEAN:
        return late, _decayed(builder, where, None, signal.half_life_ms), 0
    if signal.kind == SignalKind.PACE:
        first = builder.aggregate(AggregateKind.FIRST, where)
        usual = _decayed(builder, where, None, signal.usual_half_life_ms)
        return late, usual, builder.read(first, Reading.SINCE).number
    return late, 0, 0


def _signal_row(
    builder: PlanBuilder, signal: Signal, target: Register, phrases: dict[str, int]
) -> list[float]:
    points = signal.points
    return [
        signal.kind,
        *_inputs(builder, signal),
        signal.half_life_ms,
        signal.usual_half_life_ms,
        signal.evidence,
        points.shape,
        points.first,
        points.last,
        points.at_first,
        points.at_last,
        target.number,
        phrases.get(signal.costs, 0),
        phrases.get(signal.gives, 0),
    ]


def steepest_of(component: Component) -> float:
    """How fast the component's level can move in silence at most, in points a millisecond.

    That of health is the weighted mean of its components', and what limits them makes no way steeper.
    """
    return sum(map(_steepest_of, component.signals))


def _steepest_of(signal: Signal) -> float:
    """Of the points of a signal: by the slopes of the shapes (health.py), where they are steepest."""
    points = signal.points
    is_line = points.shape == Shape.LINE
    if is_line:
        most = max(abs(points.at_first), abs(points.at_last))
        slope = abs(points.at_last - points.at_first) / abs(points.last - points.first)
        by_factor = slope * max(
            abs(points.first), abs(points.last)
        )  # while x halves, within the line
    else:
        most = abs(points.at_first)
        slope = most / points.first  # where x is 0
        by_factor = most / 4  # x · d/dx of x / (x + h), where x is h
    if signal.kind == SignalKind.SINCE:
        return slope / DAY_MS
    late = math.log(2.0) / signal.half_life_ms
    if signal.kind == SignalKind.MEAN:
        return most * late / 4  # the mean stands still, and n / (n + evidence) falls
    if signal.kind == SignalKind.PACE:
        # n falls by `late`, the usual count by `usual`, and what it lets expect by half the difference.
        usual = math.log(2.0) / signal.usual_half_life_ms
        return by_factor * (late + usual + abs(late - usual) / 2)
    return by_factor * late
