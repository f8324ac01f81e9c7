"""The fields of the view, in their order: what stands in the JSON of a customer.

Promise   Names and meaning are stable; docs/profile.md tells them, and a test compares.
How       Structs, which msgspec writes faster than any dictionary.
Not here  Where the values come from (view.py).
"""

from typing import Final

import msgspec

REASONS_MAX: Final = 4

# Columns of the numbers and of the integers that view.py gathers of each customer.
LEVEL, TREND, CONFIDENCE, ORDERS_AMOUNT, RETURNS_AMOUNT = range(5)
NUMBERS: Final = 5  # then the points of reasons, then three numbers for each anomaly
BAND, EVENTS_COUNT, ORDERS, RETURNS, TICKETS, FIRST_MS, LAST_MS, COMPUTED_MS = range(8)
REASONS, ANOMALIES = 8, 9
INTEGERS: Final = 10  # then the places of reasons, then two integers for each anomaly


class ShownReason(msgspec.Struct, gc=False):
    reason: str
    component: str
    points: float


class ShownAnomaly(msgspec.Struct, gc=False):
    detector: str
    at_ms: int
    value: float
    usual: float
    z: float


class ShownCustomer(msgspec.Struct, gc=False):
    """The JSON, in its order; docs/profile.md says what each means."""

    customer_id: str
    health: float
    band: str
    trend: float
    confidence: float
    reasons: list[ShownReason]
    anomalies: list[ShownAnomaly]
    events_count: int
    orders_count: int
    orders_amount: float
    returns_count: int
    returns_amount: float
    tickets_open: int
    first_at_ms: int
    last_at_ms: int
    model: str
    computed_at_ms: int
