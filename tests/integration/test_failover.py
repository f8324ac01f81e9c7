"""A primary is demoted and lives on, and its address leads to the one that was promoted."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from streams.errors import StoreDownError
from streams.fence import Fence, take
from streams.keys import Keys
from streams.receipts import Changes
from streams.receipts_redis import RedisReceipts
from streams.store import Connection, StoreAddress
from tests.contracts.receipts import NONCE, NOW_MS, done
from tests.faults.proxy import FaultProxy, fault_proxy
from tests.integration.redis_server import RedisServer, running_redis

NOBODY = 1  # a port at which no primary is


@dataclass
class Address:
    """Where clients are sent, and what was there first."""

    proxy: FaultProxy
    first: RedisServer
    second: RedisServer

    @property
    def url(self) -> str:
        return f"unix://{self.proxy.address}"

    def fail_over(self) -> None:
        """The first refuses writes from now on, and keeps its connections; the second is found."""
        with self.first.client() as client:
            client.replicaof("127.0.0.1", NOBODY)
        self.proxy.target = self.second.socket


@pytest.fixture
def address() -> Iterator[Address]:
    """Two servers with the same fence; how the second came by it is replication's matter."""
    fence = Fence(NOW_MS, NONCE, 0, {}).encode()
    with running_redis() as first, running_redis() as second:
        for server in (first, second):
            with server.client() as client:
                client.set(Keys.of(0).fence, fence)
        with fault_proxy(first.socket) as proxy:
            yield Address(proxy, first, second)


async def test_the_relay_finds_the_promoted_server(address: Address) -> None:
    """A connection to the demoted one would refuse its records for ever."""
    receipts = RedisReceipts(address.url)
    await receipts.write(0, NONCE, Changes([done(1)]))
    address.fail_over()
    with pytest.raises(StoreDownError, match="READONLY"):
        await receipts.write(0, NONCE, Changes([done(2)]))
    await receipts.write(0, NONCE, Changes([done(2)]))
    await receipts.close()

    with address.second.client() as client:
        assert client.hlen(Keys.of(0).actions) == 1


def test_an_owner_finds_the_promoted_server(address: Address) -> None:
    """So does a claim."""
    connection = Connection(StoreAddress.parse(address.url))
    take(connection, 0, 0, NOW_MS, "ours")
    address.fail_over()
    with pytest.raises(StoreDownError, match="READONLY"):
        take(connection, 0, 0, NOW_MS, "ours")
    claim = take(connection, 0, 0, NOW_MS, "ours")
    connection.close()

    with address.second.client() as client:
        assert client.get(Keys.of(0).fence) == claim.stored
