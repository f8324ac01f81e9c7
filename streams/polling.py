"""Polling: messages from librdkafka with the least latency, and how long it had nothing to give.

Promise   A message is handed over when it comes, together with all that came with it.
How       Wait for one, then take what is there: asking for many at once would wait for many. A poll that
          brings less than it may has emptied the queue, in which what was fetched first comes first; so
          between two such polls whoever was silent had nothing to say. That is what the quiet clock
          counts (align.py).
Limits    POLL_RECORDS_MAX messages a poll.
Not here  What is done with them (data_plane.py).
"""

from collections.abc import Callable
from typing import Final, Protocol

from confluent_kafka import Message

from processors.batch import RECORDS_MAX

POLL_RECORDS_MAX: Final = 8_192  # what was allocated for one poll is used again for the next
POLLS_A_BATCH: Final = RECORDS_MAX // POLL_RECORDS_MAX
SECONDS_IDLE: Final = 0.1  # also how long a new target may go unseen
SECONDS_BRIEF: Final = 0.005


class Source(Protocol):
    """The part of a librdkafka consumer that is polled."""

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]: ...


class Polling:
    """The polls of one thread."""

    def __init__(self, source: Source, now_ms: Callable[[], int]) -> None:
        """Poll this, by this monotonic clock."""
        self.quiet_ms = 0
        self.has_more = False  # the last poll has not emptied the queue
        self._source = source
        self._now_ms = now_ms
        self._was_emptied = False
        self._polled_ms = now_ms()

    def messages(
        self, *, at_once: bool, briefly: bool = False, within_ms: int | None = None
    ) -> list[Message]:
        """The next messages; without waiting, waiting SECONDS_BRIEF, or SECONDS_IDLE; or less."""
        if at_once:
            found = self._source.consume(POLL_RECORDS_MAX, 0)
        else:
            seconds = SECONDS_BRIEF if briefly else SECONDS_IDLE
            if within_ms is not None:
                seconds = min(seconds, within_ms / 1_000)
            found = self._source.consume(1, seconds)
            if found:
                found += self._source.consume(POLL_RECORDS_MAX - 1, 0)
        now_ms = self._now_ms()
        self.has_more = len(found) == POLL_RECORDS_MAX
        is_emptied = not self.has_more
        if is_emptied and self._was_emptied:
            self.quiet_ms += now_ms - self._polled_ms
        self._was_emptied, self._polled_ms = is_emptied, now_ms
        return found
