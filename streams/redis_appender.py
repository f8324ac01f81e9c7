"""The way into the embedded log: events become entries of their shard's stream.

Promise   When `append` returns, the events are as durable as Redis'
          `appendfsync` says; the embedded server runs with `always`, so they are on disk.
How       One XADD an event, all of a call in one write. Redis syncs its file once for everything that
          it has read in a turn (16 KB of each caller), so many callers share the wait.
Limits    LOG_RECORDS_MAX records a shard. When one is full, the whole call is refused, and may be
          made again later.
Not here  Reading: redis_log.py. Checking events: whoever appends has decoded them.

Measured by benchmarks/append.py (Redis 7.0, 2 cores that other work kept busy)
    callers × events a call     everysec                      always
    1 × 1                       p50 0.07 ms                   p50 3.1 ms
    64 × 1                      11,750 events/s               7,120 events/s
    1 × 1,000                   98,700 events/s               22,300 events/s
"""

from collections.abc import Sequence
from typing import Final

from processors.event import Event
from processors.partition import partition_of
from streams.appender import AppendError
from streams.errors import LogFullError, StoreError
from streams.keys import Keys
from streams.store import Command, checked, number_of
from streams.store_async import AsyncConnection

LOG_RECORDS_MAX: Final = 250_000  # waiting to be read: about 100 MB of Redis a shard
VALUE: Final = b"v"  # the one field of an entry


class RedisAppender:
    """The Appender of the embedded log."""

    def __init__(
        self, connection: AsyncConnection, partitions: int, *, records_max: int = LOG_RECORDS_MAX
    ) -> None:
        self._connection = connection
        self._logs = [Keys.of(number).log for number in range(partitions)]
        self._records_max = records_max
        self._lengths = [0] * partitions  # as of the last call that asked

    async def append(self, records: Sequence[tuple[Event, bytes]]) -> tuple[()]:
        """Append in order; return when durable. Nothing is ever refused.

        Raises:
            LogFullError: A log is full; nothing was appended.
            AppendError: Some may be durable and some not; appending all of them again is right.
        """
        if not records:
            return ()
        partitions = len(self._logs)
        numbers = [partition_of(event.customer_id, partitions) for event, _ in records]
        touched = sorted(set(numbers))
        commands: list[Command] = [
            ("XADD", self._logs[number], "*", VALUE, value)
            for number, (_, value) in zip(numbers, records, strict=True)
        ]
        commands += [("XLEN", self._logs[number]) for number in touched]
        try:
            await self._make_sure_of_room(touched)
            replies = [checked(reply) for reply in await self._connection.ask(commands)]
            for number, reply in zip(touched, replies[len(records) :], strict=True):
                self._lengths[number] = number_of(reply)
        except StoreError as error:
            raise AppendError(str(error)) from error
        return ()

    async def _make_sure_of_room(self, touched: Sequence[int]) -> None:
        full = [number for number in touched if self._lengths[number] >= self._records_max]
        if not full:
            return
        replies = await self._connection.ask([("XLEN", self._logs[number]) for number in full])
        for number, reply in zip(full, replies, strict=True):
            self._lengths[number] = number_of(reply)
            if self._lengths[number] >= self._records_max:
                raise LogFullError(number, self._lengths[number])
