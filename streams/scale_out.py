"""What the processes of the scale-out share: a Redis that fits the topics, and HTTP.

Not here  The processes: worker.py, gateway.py, lone_relay.py.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streams import partitions, topics
from streams.errors import ServerError
from streams.kafka_settings import KafkaSettings
from streams.read import StoreReader
from streams.safety import check
from streams.settings import Settings
from streams.store import Connection, StoreAddress
from streams.store_async import AsyncConnection
from streams.web import Ports, listening


def redis_of(settings: Settings) -> str:
    """The URL of the Redis that the workers share.

    Raises:
        ServerError: The settings name none.
    """
    if settings.redis is None:
        raise ServerError(
            "with Kafka as the log, workers share a Redis: set redis to redis://HOST:PORT in"
            " rapport.toml, or give --redis URL"
        )
    return settings.redis


async def shards_of(kafka: KafkaSettings) -> int:
    """How many shards there are, by the topics.

    Raises:
        LogDownError: No broker answers.
        TopicsError: The topics are not as they must be.
    """
    return topics.check(kafka, await asyncio.to_thread(topics.partition_counts, kafka))


async def prepare(store: StoreAddress, count: int, settings: Settings) -> None:
    """Make sure that this Redis keeps what it is given, and is for as many shards as the topics.

    Raises:
        UnsafeStoreError: It would lose state.
        PartitionsError: It is for another number of shards.
        StoreError: It cannot be asked.
    """

    def look() -> None:
        connection = Connection(store)
        try:
            check(connection, log_inside=False, allowed=settings.unsafe)
            partitions.settle(connection, count)
        finally:
            connection.close()

    await asyncio.to_thread(look)


@asynccontextmanager
async def open_reader(store: StoreAddress, count: int) -> AsyncIterator[StoreReader]:
    """A reader of all shards, as long as the block lasts."""
    connection = AsyncConnection(store)
    try:
        yield StoreReader(connection, count)
    finally:
        await connection.close()


@asynccontextmanager
async def serving(ports: Ports, settings: Settings) -> AsyncIterator[str]:
    """HTTP where the settings say, as long as the block lasts; its URL.

    Raises:
        ListenError: Nobody can be served there.
    """
    runner, address = await listening(ports, settings.http, settings.token)
    try:
        yield f"http://{address.host}:{address.port}"
    finally:
        await runner.cleanup()


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000
