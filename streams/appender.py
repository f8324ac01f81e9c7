"""The appender: the way into a log for who has whole events in hand.

Promise   When `append` returns, the events that it did not refuse are durable.
How       A port with an implementation for each log, and one over HTTP (gateway_appender.py).
Limits    Who appends again relies on ids, and a customer's last `duplicates_kept` (64) are remembered:
          a repetition that comes after more events of that customer counts twice.
Not here  Checking events: whoever appends has decoded them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from processors.event import EVENT_BYTES_MAX, Event
from streams.errors import StreamsError

APPEND_EVENTS_MAX: Final = 1000  # of one call
APPEND_BYTES_MAX: Final = (
    1024 * 1024
)  # of one call; a request's body stays below usual proxy limits

assert EVENT_BYTES_MAX <= APPEND_BYTES_MAX, "one event must fit"


class AppendError(StreamsError):
    """The events may not be durable; the same call may be made again."""


class AppendRefusedError(StreamsError):
    """Nothing is taken from us, and trying again is no use."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One event that the log would not take, while it took the others."""

    index: int
    reason: str
    detail: str


class Appender(Protocol):
    """Somewhere to put events."""

    async def append(self, records: Sequence[tuple[Event, bytes]]) -> Sequence[Refused]:
        """Append in order; return when durable.

        Args:
            records: events, each with the bytes that it was decoded from; at most
                APPEND_EVENTS_MAX, and APPEND_BYTES_MAX together.

        Returns:
            Those that were left out; empty for a log that takes every event.

        Raises:
            AppendError: They may not be durable; appending them again is right, because their ids
                let the engine see duplicates.
        """
