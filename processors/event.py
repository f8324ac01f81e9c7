"""The event: the one schema of everything that a customer does.

Promise   What passes `decode` is an `Event` whose fields have these types and keep these limits.
How       A typed msgspec struct; unknown fields are skipped by the decoder and never kept. The limits
          are part of the types, so that the decoder checks them in C and the JSON Schema tells them.
Limits    The constants below, each with what it protects. What depends on several fields or on the
          record (an order's amount, a score's scale, times in the future) is checked by fault.py.
Not here  Reading bytes (decode.py). What is wrong with a bad one (fault.py). Columns (columns.py).
          What an event does to a profile (fold.py).
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

KINDS: Final = ("click", "order", "service", "customer")

EVENT_BYTES_MAX: Final = 32 * 1024  # one record; protects the batch's memory and its latency
DEPTH_MAX: Final = 16  # nested objects and arrays, also inside fields that we skip
ID_CHARS_MAX: Final = 100  # ids become parts of Redis keys and of action ids
NAME_CHARS_MAX: Final = 64  # actions are an open set, and become codes and metric labels
CONSENTS_MAX: Final = 16  # channels in one event; a person is reached over a handful
TEXT_CHARS_MAX: Final = 1024  # page addresses are the longest texts that a rule may look at
AMOUNT_MAX: Final = 1e10  # money; a life's total stays in the exact range of TOTAL (plan.py)
TIME_MS_MIN: Final = 946_684_800_000  # 2000-01-01T00:00:00Z: before it there was nothing to stream
TIME_MS_MAX: Final = 253_402_300_799_999  # the end of year 9999, the last of calendars
FUTURE_MS_MAX: Final = 86_400_000  # how far ahead of its record: clocks and zones are wrong

assert AMOUNT_MAX * 1_000_000 < 2**63, "one amount must fit the micro-units of TOTAL"
assert TIME_MS_MAX < 2**53, "a time must be exact as a float64 column"

Id = Annotated[str, Meta(min_length=1, max_length=ID_CHARS_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS_MAX)]
Text = Annotated[str, Meta(max_length=TEXT_CHARS_MAX)]
TimeMs = Annotated[int, Meta(ge=TIME_MS_MIN, le=TIME_MS_MAX)]
Quantity = Annotated[float, Meta(ge=0, le=AMOUNT_MAX)]
Score = Annotated[float, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
Sentiment = Annotated[float, Meta(ge=-1, le=1)]
Consent = Annotated[dict[Name, bool], Meta(max_length=CONSENTS_MAX)]


class Event(msgspec.Struct, frozen=True, gc=False):
    """One thing that happened to one customer. Times are milliseconds since 1970, UTC."""

    id: Id
    type: Name
    action: Name
    customer_id: Id
    at_ms: TimeMs
    amount: Quantity | None = None  # never negative: a refund is an action of its own
    items_count: Quantity | None = None
    score: Score | None = None
    sentiment: Sentiment | None = None
    page: Text | None = None
    product_id: Text | None = None
    category: Text | None = None
    session_id: Text | None = None
    channel: Text | None = None
    campaign: Text | None = None
    order_id: Text | None = None
    currency: Text | None = None
    terminal: Text | None = None
    device: Text | None = None
    ip: Text | None = None
    payment_method: Text | None = None
    ticket_id: Text | None = None
    priority: Text | None = None
    attributes: dict[str, Any] | None = None  # what is told of a customer, by events of that kind
    consent: Consent | None = None  # by channel: given or withdrawn; what is not named stays


EVENTS: Final = msgspec.json.Decoder(Event)

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
