"""The commit against a real Redis: once and only once, by the owner and nobody else."""

import contextlib
import random
from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from streams.commit import CONTEST_ATTEMPTS_MAX
from streams.errors import FencedError, MismatchError, StaleError, StoreDownError
from streams.fence import Fence
from streams.store import Connection, StoreAddress
from tests.faults.proxy import FaultProxy, Faults, fault_proxy
from tests.integration.counting_owner import KEYS, CountingOwner, story
from tests.integration.redis_server import RedisServer

CUSTOMERS = [b"ann", b"bob", b"cid"]
COMMITS = 200
LOSS = 0.1


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[FaultProxy]:
    with fault_proxy(redis_server.socket, seed=20, redis=True) as proxy:
        yield proxy


def test_a_commit_stores_everything_or_nothing(redis_server: RedisServer) -> None:
    """Position, rows, views and outbox are one state: any two of them apart is a wrong profile."""
    owner = CountingOwner(redis_server.url, "a")
    for customer in CUSTOMERS:
        owner.commit(customer)
    owner.close()

    found = story(redis_server.url, CUSTOMERS)
    assert found.agrees
    assert found.position == len(CUSTOMERS)


def test_a_commit_of_a_former_owner_is_refused(redis_server: RedisServer) -> None:
    """A worker that was frozen during a rebalance wakes up and believes that it still owns the shard."""
    zombie = CountingOwner(redis_server.url, "zombie")
    zombie.commit(b"ann")
    owner = CountingOwner(redis_server.url, "owner")
    with pytest.raises(FencedError):
        zombie.commit(b"ann")
    owner.commit(b"bob")
    with pytest.raises(FencedError):
        zombie.commit(b"ann")
    owner.commit(b"bob")
    zombie.close()
    owner.close()

    found = story(redis_server.url, CUSTOMERS)
    assert found.agrees
    assert found.position == 3


def test_without_the_watch_the_former_owner_overwrites(redis_server: RedisServer) -> None:
    """The counterpart: the same pairs in a bare MSET, and the new owner's commit is gone."""
    zombie = CountingOwner(redis_server.url, "zombie")
    fence, pairs = zombie.pairs(b"ann")
    owner = CountingOwner(redis_server.url, "owner")
    owner.commit(b"bob")
    owner.commit(b"bob")
    bare = Connection(StoreAddress.parse(redis_server.url))
    bare.call("MSET", KEYS.fence, fence.encode(), *pairs)
    for each in (bare, zombie, owner):
        each.close()

    assert not story(redis_server.url, CUSTOMERS).agrees


def test_a_commit_that_was_still_on_its_way_is_recognised(redis_server: RedisServer) -> None:
    """1 we send a commit, 2 Redis freezes, 3 we give up and send it again, 4 Redis wakes and does both."""
    owner = CountingOwner(redis_server.url, "a")
    owner.commit(b"ann")
    fence, pairs = owner.pairs(b"ann")
    redis_server.pause()
    owner.watch.begin(fence.encode(), pairs, ("GET", KEYS.relay))
    left = owner.watch._connection._socket
    assert left is not None
    owner.watch._connection._socket = None  # given up, and yet not closed: it stays on its way
    redis_server.resume()
    owner.commit(b"ann")
    owner.commit(b"bob")
    left.close()
    owner.close()

    found = story(redis_server.url, CUSTOMERS)
    assert found.agrees
    assert found.position == 3


def test_a_commit_that_is_contested_for_a_while_is_stored_once(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody touches the fence again and again; replies nobody read must not answer what comes next."""
    owner = CountingOwner(redis_server.url, "a")
    owner.commit(b"ann")
    other = Connection(StoreAddress.parse(redis_server.url))
    send, left = owner.watch._connection.send, [True] * (CONTEST_ATTEMPTS_MAX + 1)

    def contested(packed: bytes) -> None:
        if b"MSET" in packed and left:
            left.pop()
            other.call("SET", KEYS.fence, owner.watch.stored)
        send(packed)

    monkeypatch.setattr(owner.watch._connection, "send", contested)
    owner.commit(b"bob")
    owner.commit(b"ann")
    for each in (other, owner):
        each.close()

    found = story(redis_server.url, CUSTOMERS)
    assert owner.repeats_count == 1
    assert found.agrees
    assert found.position == 3


def test_a_claim_of_an_older_generation_is_stale(redis_server: RedisServer) -> None:
    """Two members of a group may believe in two assignments; the newer one wins, whoever is faster."""
    owner = CountingOwner(redis_server.url, "a", generation=5)
    with pytest.raises(StaleError):
        CountingOwner(redis_server.url, "b", generation=4)
    owner.commit(b"ann")
    owner.close()

    assert story(redis_server.url, CUSTOMERS).position == 1


def test_the_epoch_grows_and_is_never_behind_the_clock(redis_server: RedisServer) -> None:
    """A restored backup repeats stored epochs; the clock does not go back with it."""
    epochs = []
    for now_ms in (1_000, 500, 5_000):
        owner = CountingOwner(redis_server.url, str(now_ms), now_ms=now_ms)
        epochs.append(owner.fence.epoch)
        owner.close()

    assert epochs == [1_000, 1_001, 5_000]


def test_a_rolled_back_store_is_noticed(redis_server: RedisServer) -> None:
    """A replica that lacked the last commits took over: our memory is ahead of what is stored."""
    owner = CountingOwner(redis_server.url, "a")
    other = Connection(StoreAddress.parse(redis_server.url))
    before = other.call("GET", KEYS.fence)
    assert isinstance(before, bytes)
    owner.commit(b"ann")
    other.call("SET", KEYS.fence, before)
    with pytest.raises(MismatchError):
        owner.commit(b"ann")
    other.close()
    owner.close()


def test_lost_replies_apply_nothing_twice(redis_server: RedisServer, proxy: FaultProxy) -> None:
    """A reply that is lost after the commit was carried out must not lead to a second one."""
    chooser = random.Random(5)
    owner = CountingOwner(f"unix://{proxy.address}", "a")
    proxy.set(Faults(lose={b"EXEC": LOSS}))
    for _ in range(COMMITS):
        owner.commit(chooser.choice(CUSTOMERS))
    owner.close()

    found = story(redis_server.url, CUSTOMERS)
    assert proxy.counts["lost"] >= COMMITS * LOSS / 2
    assert owner.repeats_count == proxy.counts["lost"]
    assert found.agrees
    assert found.position == COMMITS


def test_a_client_that_sends_again_by_itself_applies_twice(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    """The counterpart: what redis-py does by default, and why the store does not use it."""
    with contextlib.closing(
        redis.Redis(unix_socket_path=str(proxy.address), retry=Retry(NoBackoff(), 3))
    ) as client:
        client.ping()
        proxy.set(Faults(lose={b"INCRBY": LOSS}))
        for _ in range(COMMITS):
            client.incr("count")
        proxy.set(Faults())
        counted = int(client.get("count") or b"0")

    assert proxy.counts["lost"] > 0
    assert counted == COMMITS + proxy.counts["lost"]


def test_a_fence_that_was_deleted_stops_the_shard(redis_server: RedisServer) -> None:
    """Beginning anew on top of the profiles that are there would count every event twice."""
    owner = CountingOwner(redis_server.url, "a")
    owner.commit(b"ann")
    other = Connection(StoreAddress.parse(redis_server.url))
    other.call("DEL", KEYS.fence)
    with pytest.raises(MismatchError, match="missing"):
        owner.commit(b"ann")
    with pytest.raises(Exception, match="has profiles"):
        CountingOwner(redis_server.url, "b")
    other.close()
    owner.close()


def test_the_fence_reads_as_documented(redis_server: RedisServer) -> None:
    """Scripts and other services read it."""
    owner = CountingOwner(redis_server.url, "abc", generation=3, now_ms=9)
    owner.commit(b"ann")
    stored = owner.watch.stored
    owner.close()

    assert stored == (
        b'{"epoch":9,"nonce":"abc","generation":3,"offsets":{"log":"1"},"outbox":1,"commits":1}'
    )
    assert Fence.decode(7, stored).token == "9:abc"


def test_a_silent_store_is_given_up_in_time(redis_server: RedisServer) -> None:
    """A frozen server holds its connections and says nothing."""
    connection = Connection(StoreAddress.parse(redis_server.url), reply_seconds_max=0.1)
    connection.call("PING")
    redis_server.pause()
    with pytest.raises(StoreDownError, match="timeout"):
        connection.call("PING")
    redis_server.resume()

    assert connection.call("PING") == b"PONG"
    connection.close()
