"""One Redis, one number of shards."""

from dataclasses import dataclass, field

import pytest

from streams import partitions
from streams.errors import DamagedError
from streams.partitions import KEY, PartitionsError
from streams.store import Reply


@dataclass
class Strings:
    """The part of Redis that holds the number."""

    found: dict[bytes | str | int, bytes] = field(default_factory=dict)

    def call(self, *command: bytes | str | int) -> Reply:
        name, key, *more = command
        if name == "SET" and key not in self.found:
            self.found[key] = str(more[0]).encode()
        return self.found.get(key)


def test_the_first_writes_the_number_and_the_next_compares() -> None:
    """A customer must be looked for in the shard where the last process has put it."""
    redis = Strings()
    assert partitions.known(redis) is None
    partitions.settle(redis, 4)
    partitions.settle(redis, 4)

    assert partitions.known(redis) == 4
    with pytest.raises(PartitionsError, match="set partitions to 4") as raised:
        partitions.settle(redis, 8)
    assert raised.value.stored == 4


def test_what_is_no_number_is_not_overwritten() -> None:
    """Somebody else uses our name."""
    redis = Strings({KEY: b"many"})

    with pytest.raises(DamagedError, match="is no number of partitions"):
        partitions.settle(redis, 4)
    assert redis.found == {KEY: b"many"}
