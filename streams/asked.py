"""What is asked of us by name: a rule, a customer, a time; and what is said where there is no such thing.

Promise   Cheap to import, for whoever only asks.
Not here  The answers (inquiry.py).
"""

from datetime import UTC, datetime

from processors.event import TIME_MS_MAX
from streams.errors import StreamsError


class UnknownError(StreamsError):
    """There is no such rule or customer."""

    def __init__(self, what: str, name: str, mend: str = "") -> None:
        super().__init__(f"there is no {what} {name!r} here" + (f"; {mend}" if mend else ""))
        self.what = what
        self.name = name


class RowError(StreamsError):
    """A customer's profile row that is none."""

    def __init__(self, customer_id: str, detail: str) -> None:
        super().__init__(f"the profile row of {customer_id!r} cannot be read: {detail}")
        self.customer_id = customer_id


class TimeTextError(StreamsError):
    """A time that cannot be read."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text[:80]!r} is no time; write it as 2024-05-01T12:00, or in milliseconds since 1970"
        )


def clock_text(at_ms: int) -> str:
    """A time for people, UTC.

    >>> clock_text(1_714_564_800_123)
    '2024-05-01 12:00:00'
    """
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def utc_ms(given: datetime) -> int:
    """Milliseconds since 1970; UTC without a zone. Raises OverflowError beyond the calendar."""
    return round((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp() * 1_000)


def time_ms(text: str) -> int:
    """A time as a caller gives it: milliseconds since 1970, or ISO 8601, which is UTC without a zone.

    Raises:
        TimeTextError: It is neither.

    >>> time_ms("1714564800000") == time_ms("2024-05-01T12:00") == time_ms("2024-05-01T14:00+02:00")
    True
    """
    if text.isascii() and text.isdigit():
        found = int(text) if len(text) <= len(str(TIME_MS_MAX)) else TIME_MS_MAX + 1
    else:
        try:
            found = utc_ms(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            raise TimeTextError(text) from None
    if not 0 <= found <= TIME_MS_MAX:
        raise TimeTextError(text)
    return found
