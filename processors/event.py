"""The event: the one schema of everything that a customer does.

Promise   What passes `decode` is an `Event` whose fields have these types and keep these limits.
How       A typed msgspec struct; unknown fields are skipped by the decoder and never kept.
Limits    The constants below, each with what it protects.
Not here  Reading bytes (decode.py). Columns (columns.py). What an event does to a profile (fold.py).
"""

from typing import Final

import msgspec

KINDS: Final = ("click", "order", "service", "customer")

EVENT_BYTES_MAX: Final = 32 * 1024  # one record; protects the batch's memory and its latency
DEPTH_MAX: Final = 16  # nested objects and arrays, also inside fields that we skip
ID_CHARS_MAX: Final = 100  # ids become parts of Redis keys and of action ids
NAME_CHARS_MAX: Final = 64  # actions are an open set: they become dictionary codes and metric labels
TEXT_CHARS_MAX: Final = 1024  # page addresses are the longest texts that a rule may look at
AMOUNT_MAX: Final = 1e10  # money; a life's total then stays within the exact range of TOTAL (plan.py)
TIME_MS_MIN: Final = 946_684_800_000  # 2000-01-01T00:00:00Z: before it there was nothing to stream
FUTURE_MS_MAX: Final = 86_400_000  # an event may be a day ahead of its record: clocks and zones are wrong

assert AMOUNT_MAX * 1_000_000 < 2**63, "one amount must fit the micro-units of TOTAL"


class Event(msgspec.Struct, frozen=True, gc=False):
    """One thing that happened to one customer. Times are milliseconds since 1970, UTC."""

    id: str
    type: str
    action: str
    customer_id: str
    at_ms: int
    amount: float | None = None
    items_count: float | None = None
    score: float | None = None
    sentiment: float | None = None
    page: str | None = None
    product_id: str | None = None
    category: str | None = None
    session_id: str | None = None
    channel: str | None = None
    campaign: str | None = None
    order_id: str | None = None
    currency: str | None = None
    terminal: str | None = None
    device: str | None = None
    ip: str | None = None
    payment_method: str | None = None
    ticket_id: str | None = None
    priority: str | None = None
    attributes: msgspec.Raw | None = None


NUMBER_FIELDS: Final = ("amount", "items_count", "score", "sentiment")
TEXT_FIELDS: Final = (
    "page",
    "product_id",
    "category",
    "session_id",
    "channel",
    "campaign",
    "order_id",
    "currency",
    "terminal",
    "device",
    "ip",
    "payment_method",
    "ticket_id",
    "priority",
)
