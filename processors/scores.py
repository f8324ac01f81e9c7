"""Scores: everything that a model computes of a customer, as the step sees it.

Promise   After `run`, every score register of an admitted event holds the score as it is right after that
          event, wherever batches are cut; `views` renders the customers that changed. Pure.
How       `compile` asks the builder for aggregates, state and registers (so it comes before
          `builder.build()`); `run` calls the health kernel and then the anomaly kernel.
Limits    health.trend is known only after the time averages and the SCORE program have run: call `views`
          after them.
Not here  What a model says (model.py), the scores (health.py, anomaly.py), the JSON (view.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from processors.anomaly import AnomalyScore
from processors.health import HealthScore
from processors.model import Model
from processors.plan import PlanBuilder
from processors.view import View

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The compiled model of one plan; holds no state of customers."""

    model: Model
    health: HealthScore
    anomaly: AnomalyScore
    view: View

    @classmethod
    def compile(cls, builder: PlanBuilder, model: Model) -> Self:
        """Ask the builder for all that the model needs and register its names for rules.

        Names: health, health.band, health.trend, health.confidence, health.top_reason, health.COMPONENT,
        health.COMPONENT.SIGNAL (points), anomaly.DETECTOR, anomaly.DETECTOR.alert, events_count,
        orders_count, orders_amount, returns_count, returns_amount, tickets_open.
        """
        health = HealthScore.compile(builder, model.health)
        anomaly = AnomalyScore.compile(builder, model.detectors, model.anomalies_kept)
        return cls(model, health, anomaly, View.compile(builder, model.id, health, anomaly))

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
        """Score the first `count` events in order; events that were not admitted are passed over.

        To be called after `fold_events`, with the same arrays, and before the time averages.

        Args:
            registers: shape (registers, at least count); event and feature registers are read, score
                registers of admitted events are written.
            rows: shape (slots, words); state is updated.
            whole_rows: the same memory as int64.
            slots: the row of each event.
            now_ms: as `fold_events` filled it in.
            status: the same.
            count: how many events.
        """
        self.health.run(registers, whole_rows, slots, now_ms, status, count)
        self.anomaly.run(registers, rows, whole_rows, slots, now_ms, status, count)

    def views(
        self,
        registers: Floats,
        whole_rows: Integers,
        slots: Integers,
        now_ms: Integers,
        customer_ids: Sequence[str],
        events: Integers,
    ) -> list[bytes]:
        """The JSON views of the customers that a batch changed, in the order of `customer_ids`.

        To be called last, when all score registers, time averages included, are known.

        Args:
            registers: of the batch, as in `run`.
            whole_rows: the rows after the batch.
            slots: of the batch, as in `run`.
            now_ms: the same.
            customer_ids: customers with at least one admitted event in the batch.
            events: of each of them, the index in the batch of its last admitted event (int64).
        """
        return self.view.render(registers, whole_rows, slots, now_ms, customer_ids, events)
