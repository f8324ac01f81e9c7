"""Anomalies: what is unusual for this customer, measured by this customer's own habit.

Promise   A z-score before anything is learnt from its event; missing while the history is short and at
          events that the detector does not watch. Unchanged when all values of a customer are
          multiplied by one factor, the absolute floor aside.
How       Watched are values of events (an order's amount), or events counted in periods that begin with
          an event (activity, so that a session across midnight is one). With decayed weight n, mean m
          and squared deviations M2 of the customer's observations before this one:
              scale = max(sqrt((M2 + k (p m)²) / (n + k)), absolute floor, relative floor · |m|)
              z     = (x − m) / scale
          where p and k are the presumed spread and its weight (found to work on card payments: .5 and
          5). An observation is learnt as at most m ± clip · scale (winsorised): an outlier does not
          hide the next, while a new level is accepted after some repetitions. A period that is not yet
          over can only be unusually busy: its z is never below 0.
Limits    Habits depend a little on the order of arrival, because clipping does; a late event is learnt as
          if it came now. After an alert the detector keeps quiet for its cool-down.
Not here  The kernel (anomaly_score.py), the model (model.py). A detector for number series (SCORES).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from processors.anomaly_score import DETECTOR_COLUMNS, HABIT_WORDS, KEPT_WORDS, score
from processors.health import any_of
from processors.model import Detector
from processors.plan import PlanBuilder

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AnomalyScore:
    """The detectors compiled for one plan."""

    names: tuple[str, ...]
    detectors: Floats
    kept_at: int  # first word of the kept anomalies
    kept: int

    @classmethod
    def compile(cls, builder: PlanBuilder, detectors: tuple[Detector, ...], kept: int) -> Self:
        """Ask for state and registers: anomaly.NAME (z) and anomaly.NAME.alert (0 or 1)."""
        names = tuple(each.name for each in detectors)
        # The names are part of the column's name: a kept anomaly names its detector by number.
        kept_at = builder.state(f"anomaly.kept|{','.join(names)}|{kept}", 1 + kept * KEPT_WORDS)
        table = [_detector_row(builder, each) for each in detectors]
        return cls(
            names=names,
            detectors=np.array(table, dtype=np.float64).reshape(len(table), DETECTOR_COLUMNS),
            kept_at=kept_at,
            kept=kept,
        )

    def run(
        self,
        registers: Floats,
        rows: Floats,
        whole_rows: Integers,
        slots: Integers,
        now_ms: Integers,
        status: Integers,
        count: int,
    ) -> None:
        """Judge the admitted among the first `count` events; see Scores.run for the arrays."""
        score(
            self.detectors,
            self.kept_at,
            self.kept,
            registers,
            rows,
            whole_rows,
            slots,
            now_ms,
            status,
            count,
        )


def _detector_row(builder: PlanBuilder, detector: Detector) -> list[float]:
    where = any_of(builder, detector.of)
    value = -1 if detector.value is None else builder.number(detector.value).number
    # A habit of other events, values or periods is another habit, and starts anew.
    habit = f"anomaly.{detector.name}|{where.name}|{detector.value}|{detector.period_ms}"
    return [
        where.number,
        value,
        detector.period_ms,
        detector.half_life_ms,
        detector.history_min,
        detector.presumed_spread,
        detector.presumed_weight,
        detector.floor_absolute,
        detector.floor_relative,
        detector.clip,
        detector.alert,
        detector.low_too,
        detector.cool_down_ms,
        builder.score(f"anomaly.{detector.name}").number,
        builder.score(f"anomaly.{detector.name}.alert").number,
        builder.state(habit, HABIT_WORDS),
    ]
