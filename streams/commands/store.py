"""The Redis of a running Rapport, as commands open it beside those who own its shards."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.commands.options import UsageError, embedded_folder
from streams.errors import ServerError, StoreDownError
from streams.settings import EmbeddedLog, Settings

if TYPE_CHECKING:
    from streams.given_up import GivenUp
    from streams.read import StoreReader
    from streams.store import Connection, StoreAddress


@dataclass(frozen=True, slots=True)
class Store:
    """A Redis that is there."""

    address: "StoreAddress"
    connection: "Connection"
    partitions: int
    reader: "StoreReader"  # only inside the event loop


def url_of(settings: Settings) -> str:
    """The URL of the Redis that the settings mean."""
    from streams.redis_server import RedisServer

    if settings.redis is not None:
        return settings.redis
    if not isinstance(settings.log, EmbeddedLog):
        raise UsageError("the log is Kafka; give --redis URL, that of the workers")
    return RedisServer(settings.log.directory).url


def address_of(settings: Settings) -> "StoreAddress":
    """Where that Redis is."""
    from streams.store import StoreAddress

    return StoreAddress.parse(url_of(settings))


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """The Redis that the settings mean, as long as the block lasts.

    Raises:
        ServerError: It does not answer.
    """
    from streams import partitions
    from streams.read import StoreReader
    from streams.store import Connection
    from streams.store_async import AsyncConnection

    address = address_of(settings)
    connection, asynchronous = Connection(address), AsyncConnection(address)
    try:
        known = partitions.known(connection)
        count = settings.partitions if known is None else known
        yield Store(address, connection, count, StoreReader(asynchronous, count))
    except StoreDownError as error:
        if settings.redis is not None or error.reason != "connection":
            raise
        folder = embedded_folder(settings, "there is no embedded log")
        raise ServerError(
            f"no Rapport runs on {folder}: start it with `rapport up --data {folder}`, or name"
            " another folder with --data"
        ) from error
    finally:
        await asynchronous.close()
        connection.close()


@asynccontextmanager
async def open_given_up(settings: Settings) -> AsyncIterator["GivenUp"]:
    """What was given up there, as long as the block lasts. Raises as `open_store` does."""
    from streams.given_up import GivenUp
    from streams.receipts_redis import RedisReceipts
    from streams.store_async import AsyncConnection

    async with open_store(settings) as store:
        connection, receipts = AsyncConnection(store.address), RedisReceipts(url_of(settings))
        try:
            yield GivenUp(connection, receipts, store.partitions)
        finally:
            await receipts.close()
            await connection.close()
