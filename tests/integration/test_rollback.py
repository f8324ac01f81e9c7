"""What Redis has lost is found out by looking, and its loss is told by whoever owned the shard."""

from collections.abc import Iterator

import pytest

from streams.commit import StandingWatch
from streams.errors import FencedError, MismatchError, StoreDownError
from streams.fence import Fence, take
from streams.keys import Keys
from streams.store import Connection, StoreAddress
from tests.integration.redis_server import RedisServer

ALSO = ("GET", "nothing")


class Owner:
    """One claim of shard 0, and its commits."""

    def __init__(self, server: RedisServer, nonce: str) -> None:
        self.address = StoreAddress.parse(server.url)
        connection = Connection(self.address)
        claim = take(connection, 0, 0, 1, nonce)
        self.watch = StandingWatch(connection, 0, claim)
        self.fence = claim.fence

    def commit(self) -> bytes:
        """Commit, and answer with the fence as it then stands."""
        fence = self.fence
        offsets = {"orders": str(fence.commits)}
        self.fence = Fence(fence.epoch, fence.nonce, 0, offsets, 0, fence.commits + 1)
        self.watch.begin(self.fence.encode(), [], ALSO)
        self.watch.finish()
        return self.watch.stored


@pytest.fixture
def owner(redis_server: RedisServer) -> Iterator[Owner]:
    made = Owner(redis_server, "ours")
    yield made
    made.watch.close()


def test_a_look_finds_nothing_where_nothing_is_wrong(
    redis_server: RedisServer, owner: Owner
) -> None:
    """Also on a connection that broke: the commit after it is as guarded as ever."""
    owner.commit()
    owner.watch.look()
    redis_server.kill()
    redis_server.start()
    owner.watch.look()
    stored = owner.commit()

    with redis_server.client() as client:
        assert client.get(Keys.of(0).fence) == stored


def test_a_look_finds_commits_that_are_lost(redis_server: RedisServer, owner: Owner) -> None:
    """No event may come for hours, and no commit that would find out."""
    before = owner.commit()
    owner.commit()
    with redis_server.client() as client:
        client.set(Keys.of(0).fence, before)

    with pytest.raises(MismatchError):
        owner.watch.look()


def test_a_look_finds_another_owner(redis_server: RedisServer, owner: Owner) -> None:
    """An owner that does not know it yet."""
    other = Owner(redis_server, "theirs")
    with pytest.raises(FencedError):
        owner.watch.look()
    other.watch.close()


def test_who_looked_at_a_new_connection_still_commits_with_a_guard(
    redis_server: RedisServer, owner: Owner
) -> None:
    """A connection that was opened to look watches nothing by itself."""
    redis_server.kill()
    with pytest.raises(StoreDownError):
        owner.watch.look()
    redis_server.start()
    owner.watch.look()
    other = Owner(redis_server, "theirs")
    with pytest.raises(FencedError):
        owner.commit()
    other.watch.close()
