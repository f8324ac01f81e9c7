"""The view: a customer as others read it, JSON at rapport:{p}:customer:<id>.

Promise   The fields and their meaning are stable (docs/profile.md). The same events in the same order
          give the same bytes: the time of computation is the customer's own newest event time.
How       One kernel gathers what the view shows of each changed customer, rounded; msgspec writes it.
          Totals are exact: sums in millionths, printed as the shortest decimal that says the same.
Limits    REASONS_MAX reasons; as many anomalies as the model keeps. A total is exact up to nine
          thousand million units of money.
Not here  The scores (health.py, anomaly.py). Writing to Redis (streams/store.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from processors.aggregate import AggregateKind, Reading
from processors.anomaly import AnomalyScore
from processors.anomaly_score import (
    KEPT_AT_MS,
    KEPT_DETECTOR,
    KEPT_USUAL,
    KEPT_VALUE,
    KEPT_WORDS,
    KEPT_Z,
)
from processors.compiled import compiled
from processors.health import BAND_TEXTS, HealthScore
from processors.life_totals import open_tickets, total_of
from processors.plan import PlanBuilder
from processors.register import Named
from processors.tables import EVENTS, FIRST, NEWEST
from processors.view_fields import (
    ANOMALIES,
    BAND,
    COMPUTED_MS,
    EVENTS_COUNT,
    FIRST_MS,
    INTEGERS,
    LAST_MS,
    NUMBERS,
    ORDERS,
    ORDERS_AMOUNT,
    REASONS,
    REASONS_MAX,
    ShownAnomaly,
    ShownCustomer,
    ShownReason,
)
from processors.view_text import VIEWS_AT_ONCE, ViewText

POINTS_MIN: Final = 0.5  # what moves health less is not told
_HUNDREDTHS: Final = 100.0

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


_ENCODE: Final = msgspec.json.Encoder().encode


@compiled("f8(f8)")
def hundredths(value: float) -> float:
    """Rounded, so that the last bits of a sum, which depend on its order, do not show."""
    return float(np.rint(value * _HUNDREDTHS) / _HUNDREDTHS + 0.0)  # no negative zero


@compiled("i8(i8[::1], f8[:, ::1], i8, i8[::1], f8[::1])")
def pick_reasons(
    places: Integers, registers: Floats, event: int, picked: Integers, points: Floats
) -> int:
    """The signals that move health most, the largest first; how many there are."""
    held = 0
    for k in range(places.shape[0]):
        worth = registers[places[k], event]
        if abs(worth) < POINTS_MIN:
            continue
        at = held if held < REASONS_MAX else REASONS_MAX - 1
        if held == REASONS_MAX and abs(worth) <= abs(points[at]):
            continue
        while at > 0 and abs(points[at - 1]) < abs(worth):
            points[at] = points[at - 1]
            picked[at] = picked[at - 1]
            at -= 1
        points[at] = worth
        picked[at] = k
        held = min(held + 1, REASONS_MAX)
    for k in range(held):
        points[k] = hundredths(points[k])
    return held


@compiled("i8(f8[::1], i8[::1], i8, i8, i8[::1], f8[::1])")
def list_anomalies(
    row: Floats, whole: Integers, kept_at: int, kept: int, integers: Integers, numbers: Floats
) -> int:
    """The kept anomalies, the newest first: detector and time, value, usual and z; how many."""
    ever = whole[kept_at]
    held = int(min(ever, kept))
    for k in range(held):
        at = kept_at + 1 + (ever - 1 - k) % kept * KEPT_WORDS
        integers[2 * k] = whole[at + KEPT_DETECTOR]
        integers[2 * k + 1] = whole[at + KEPT_AT_MS]
        numbers[3 * k] = hundredths(row[at + KEPT_VALUE])
        numbers[3 * k + 1] = hundredths(row[at + KEPT_USUAL])
        numbers[3 * k + 2] = hundredths(row[at + KEPT_Z])
    return held


@compiled(
    "void(i8[::1], i8[::1], f8[:, ::1], f8[:, ::1], i8[:, ::1], i8[::1], i8[::1], i8[::1],"
    " f8[:, ::1], i8[:, ::1])"
)
def gather(
    shown: Integers,
    places: Integers,
    registers: Floats,
    rows: Floats,
    whole_rows: Integers,
    slots: Integers,
    now_ms: Integers,
    events: Integers,
    numbers: Floats,
    integers: Integers,
) -> None:
    """Fill one row of numbers and one of integers for each of `events`.

    Args:
        shown: registers of the first NUMBERS numbers, then of BAND, ORDERS, RETURNS and TICKETS; then
            where the anomalies stand in the row, and how many fit.
        places: registers of the signals' points.
        registers: of the batch, as are rows, whole_rows, slots and now_ms; see Scores.views.
        rows: the same memory as whole_rows.
        whole_rows: after the batch.
        slots: the row of each event.
        now_ms: its customer's newest event time.
        events: the last admitted event of each customer.
        numbers: NUMBERS, then points of reasons, then three for each anomaly.
        integers: INTEGERS, then places of reasons, then two for each anomaly.
    """
    for k in range(events.shape[0]):
        event = events[k]
        row = rows[slots[event]]
        whole = whole_rows[slots[event]]
        for field in range(NUMBERS):
            value = registers[shown[field], event]
            numbers[k, field] = value if field >= ORDERS_AMOUNT else hundredths(value)
        integers[k, BAND] = np.int64(registers[shown[NUMBERS], event])
        integers[k, EVENTS_COUNT] = whole[EVENTS]
        for field in range(3):
            integers[k, ORDERS + field] = np.int64(registers[shown[NUMBERS + 1 + field], event])
        integers[k, FIRST_MS] = whole[FIRST]
        integers[k, LAST_MS] = whole[NEWEST]
        integers[k, COMPUTED_MS] = now_ms[event]
        integers[k, REASONS] = pick_reasons(
            places, registers, event, integers[k, INTEGERS:], numbers[k, NUMBERS:]
        )
        integers[k, ANOMALIES] = list_anomalies(
            row,
            whole,
            shown[NUMBERS + 4],
            shown[NUMBERS + 5],
            integers[k, INTEGERS + REASONS_MAX :],
            numbers[k, NUMBERS + REASONS_MAX :],
        )


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What to show of a customer, compiled for one plan."""

    model_id: str
    shown: Integers
    places: Integers
    phrases: tuple[tuple[tuple[str, str], tuple[str, str]], ...]
    """Of each place, the phrase and the component: where it gives points, and where it costs some."""
    detectors: tuple[str, ...]
    kept: int
    numbers: Floats  # scratch space of `render`, as is integers: one thread at a time
    integers: Integers
    text: ViewText

    @classmethod
    def compile(
        cls, builder: PlanBuilder, model_id: str, health: HealthScore, anomaly: AnomalyScore
    ) -> Self:
        """Ask for the counts of a whole life, which rules may name too."""
        orders = total_of(builder, "orders", "order.placed")
        returns = total_of(builder, "returns", "order.returned")
        tickets = open_tickets(builder)
        events = builder.aggregate(AggregateKind.TOTAL, builder.whole)
        builder.names["events_count"] = Named(builder.read(events, Reading.COUNT))
        shown = [health.level, health.trend, health.confidence, orders[1], returns[1]]
        shown += [health.band, orders[0], returns[0], tickets]
        phrases = tuple(
            ((each.signal.gives, each.component), (each.signal.costs, each.component))
            for each in health.places
        )
        return cls(
            model_id=model_id,
            shown=np.array(
                [*(each.number for each in shown), anomaly.kept_at, anomaly.kept], dtype=np.int64
            ),
            places=np.array([each.register.number for each in health.places], dtype=np.int64),
            phrases=phrases,
            detectors=anomaly.names,
            kept=anomaly.kept,
            numbers=np.empty((VIEWS_AT_ONCE, NUMBERS + REASONS_MAX + 3 * anomaly.kept)),
            integers=np.empty((VIEWS_AT_ONCE, INTEGERS + REASONS_MAX + 2 * anomaly.kept), np.int64),
            text=ViewText(model_id, phrases),
        )

    def render(
        self,
        registers: Floats,
        whole_rows: Integers,
        slots: Integers,
        now_ms: Integers,
        customer_ids: Sequence[str],
        events: Integers,
    ) -> list[bytes]:
        """The views of these customers; see Scores.views for the arrays."""
        views: list[bytes] = []
        for first in range(0, len(customer_ids), VIEWS_AT_ONCE):
            end = first + VIEWS_AT_ONCE
            part = customer_ids[first:end]
            of = events[first:end]
            numbers = self.numbers[: len(part)]
            integers = self.integers[: len(part)]
            place = (registers, whole_rows.view(np.float64), whole_rows, slots, now_ms)
            gather(self.shown, self.places, *place, of, numbers, integers)
            written = self.text.write(part, numbers, integers)
            views += [
                self._one(part[k], numbers[k], integers[k]) if view is None else view
                for k, view in enumerate(written)
            ]
        return views

    def _one(self, customer_id: str, numbers: Floats, integers: Integers) -> bytes:
        """One view in the general way, for what ViewText leaves; missing numbers become null."""
        plain, counts = numbers.tolist(), integers.tolist()
        level, trend, confidence, orders_amount, returns_amount, *points = plain
        band, events, orders, returns, tickets, first_ms, last_ms, now_ms, moved, odd, *at = counts
        texts = self.phrases
        return _ENCODE(
            ShownCustomer(
                customer_id,
                level,
                BAND_TEXTS[band],
                trend,
                confidence,
                [_reason(texts[at[k]][points[k] < 0], points[k]) for k in range(moved)],
                self._anomalies(numbers, integers, odd),
                events,
                orders,
                orders_amount,
                returns,
                returns_amount,
                tickets,
                first_ms,
                last_ms,
                self.model_id,
                now_ms,
            )
        )

    def _anomalies(self, numbers: Floats, integers: Integers, count: int) -> list[ShownAnomaly]:
        anomalies = []
        for k in range(count):
            detector, at_ms = integers[INTEGERS + REASONS_MAX + 2 * k :][:2].tolist()
            measured = numbers[NUMBERS + REASONS_MAX + 3 * k :][:3].tolist()
            anomalies.append(ShownAnomaly(self.detectors[detector], at_ms, *measured))
        return anomalies


def _reason(phrase: tuple[str, str], points: float) -> ShownReason:
    return ShownReason(phrase[0], phrase[1], points)
