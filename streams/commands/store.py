"""The Redis of a running Rapport, as commands that only look at it open it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.commands.options import UsageError, embedded_folder
from streams.errors import ServerError, StoreDownError
from streams.settings import EmbeddedLog, Settings

if TYPE_CHECKING:
    from streams.read import StoreReader
    from streams.store import Connection, StoreAddress


@dataclass(frozen=True, slots=True)
class Store:
    """A Redis that is there."""

    address: "StoreAddress"
    connection: "Connection"
    partitions: int
    reader: "StoreReader"  # only inside the event loop


def address_of(settings: Settings) -> "StoreAddress":
    """Where the Redis is that the settings mean."""
    from streams.redis_server import RedisServer
    from streams.store import StoreAddress

    if settings.redis is not None:
        return StoreAddress.parse(settings.redis)
    if not isinstance(settings.log, EmbeddedLog):
        raise UsageError("the log is Kafka; give --redis URL, that of the workers")
    return RedisServer(settings.log.directory).address


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
