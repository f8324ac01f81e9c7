"""The number of shards, as Redis remembers it.

Promise   A Redis whose customers are spread over one number of shards is not used with another: their
          profiles would be looked for in the wrong place and begun anew.
How       The first to use a Redis writes the number down; whoever comes later compares.
Not here  Changing it: that moves customers between shards. Their history is taken in anew, into another
          Redis (docs/operations.md).
"""

from typing import Final, Protocol

from streams.errors import DamagedError, StreamsError
from streams.store import Reply, text_of

KEY: Final = b"rapport:partitions"


class Asked(Protocol):
    """A connection to Redis: `Connection`, and what tests have."""

    def call(self, *command: bytes | str | int) -> Reply: ...


class PartitionsError(StreamsError):
    """This Redis is for another number of shards."""

    def __init__(self, ours: int, stored: int) -> None:
        super().__init__(
            f"this Redis holds customers in {stored} partitions, and the settings say {ours};"
            f" set partitions to {stored}, or use another Redis or data folder and ingest the history anew"
        )
        self.stored = stored


def settle(connection: Asked, partitions: int) -> None:
    """Write the number down, or compare it with what is written.

    Raises:
        PartitionsError: It is another.
        StoreError: Redis cannot be asked, or holds no number there.
    """
    connection.call("SET", KEY, partitions, "NX")
    stored = known(connection)
    if stored != partitions:
        raise PartitionsError(partitions, stored or 0)


def known(connection: Asked) -> int | None:
    """The number, where there is one.

    Raises:
        StoreError: Redis cannot be asked, or holds no number there.
    """
    stored = text_of(connection.call("GET", KEY))
    if stored is None:
        return None
    if not stored.isdigit():
        raise DamagedError(KEY, "is no number of partitions")
    return int(stored)
