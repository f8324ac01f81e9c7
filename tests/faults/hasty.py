"""Rapport's command line, but with a way in that says yes before the log has the events.

It is what a gateway becomes that keeps events in memory to write them together. Run as a script, with
the arguments of `rapport up` or `rapport gateway`.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final
from unittest.mock import patch

from processors.event import Event
from streams import cli, gateway, up
from streams.kafka_producer import KafkaAppender
from streams.redis_appender import RedisAppender

LATER_SECONDS: Final = 0.1

Records = Sequence[tuple[Event, bytes]]


class HastyKafkaAppender(KafkaAppender):
    async def append(self, records: Records) -> tuple[()]:
        later(super().append(records))
        return ()


class HastyRedisAppender(RedisAppender):
    async def append(self, records: Records) -> tuple[()]:
        later(super().append(records))
        return ()


under_way: set["asyncio.Task[None]"] = set()


def later(appending: Awaitable[object]) -> None:
    """Append in a moment."""

    async def wait() -> None:
        await asyncio.sleep(LATER_SECONDS)
        await appending

    task = asyncio.create_task(wait())
    under_way.add(task)
    task.add_done_callback(under_way.discard)


if __name__ == "__main__":
    with (
        patch.object(gateway, "KafkaAppender", HastyKafkaAppender),
        patch.object(up, "RedisAppender", HastyRedisAppender),
    ):
        cli.main()
