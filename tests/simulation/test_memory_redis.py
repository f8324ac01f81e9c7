"""The Redis in memory keeps to what the real one does, as far as we use it."""

from collections.abc import Sequence
from unittest.mock import patch

import pytest

from rules.action import Action
from streams import outbox, receipts_redis
from streams.fence import Fence
from streams.keys import Keys
from streams.receipts_redis import RedisReceipts
from tests.contracts.receipts import KEPT_MAX, NOW_MS, ReceiptsContract, Store
from tests.simulation.calm import Calm
from tests.simulation.memory_client import MemoryClient
from tests.simulation.memory_commands import Refused
from tests.simulation.memory_redis import MemoryRedis, Session
from tests.simulation.world import World


class MemoryStore:
    """The product's receipts on a Redis in memory, with the shard's side of the matter."""

    def __init__(self) -> None:
        world = World(0)
        world.chance.is_calm = True
        world.redis.wrote = lambda *_: None
        self.session = Session("test", world.redis)
        client = MemoryClient(world.wire, Calm("test"))
        with patch.object(receipts_redis, "Redis", _Given(client)):
            self.receipts = RedisReceipts("memory", kept_max=KEPT_MAX)
        world.loop.close()
        world.wire.loop = _Instantly()  # type: ignore[assignment]  # the test runs in another loop

    async def own(self, number: int, nonce: str) -> None:
        fence = Fence(NOW_MS, nonce, 1, {"orders": "7"}, outbox=1_000)
        self.session.execute([b"SET", Keys.of(number).fence, fence.encode()])

    async def commit(self, number: int, sequence: int, actions: Sequence[Action]) -> None:
        key = Keys.of(number).outbox(sequence)
        self.session.execute([b"SET", key, outbox.encode(actions)])


class _Instantly:
    now_ms = 0

    async def pass_ms(self, delay_ms: int) -> None:
        """Nobody waits."""


class _Given:
    def __init__(self, client: MemoryClient) -> None:
        self._client = client

    def from_url(self, _url: str, **_: object) -> MemoryClient:
        return self._client


class TestMemoryClient(ReceiptsContract):
    """The contract that tests/integration holds the real Redis to."""

    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


@pytest.fixture
def redis() -> MemoryRedis:
    return MemoryRedis()


def test_a_watched_key_that_was_written_makes_exec_do_nothing(redis: MemoryRedis) -> None:
    """Also with the same value: our fence is compared by the watch, not by what it says."""
    one, other = Session("one", redis), Session("other", redis)
    one.execute([b"SET", b"fence", b"1"])
    one.execute([b"WATCH", b"fence"])
    other.execute([b"SET", b"fence", b"1"])
    one.execute([b"MULTI"])
    one.execute([b"MSET", b"fence", b"2"])

    assert one.execute([b"EXEC"]) is None
    assert redis.data == {b"fence": b"1"}
    assert one.execute([b"MULTI"]) == b"OK"  # the watch is over with the EXEC
    assert one.execute([b"MSET", b"fence", b"2"]) == b"QUEUED"
    assert one.execute([b"EXEC"]) == [b"OK"]


def test_a_command_that_is_refused_discards_its_transaction(redis: MemoryRedis) -> None:
    """A full Redis says so at the MSET, and EXEC must not pass for done."""
    session = Session("one", redis)
    redis.refuses = "full"
    session.execute([b"MULTI"])
    refused = session.execute([b"MSET", b"a", b"1"])
    done = session.execute([b"EXEC"])

    assert isinstance(refused, Refused)
    assert refused.words.startswith("OOM")
    assert isinstance(done, Refused)
    assert done.words.startswith("EXECABORT")
    assert session.execute([b"GET", b"a"]) is None


def test_it_goes_back_write_by_write(redis: MemoryRedis) -> None:
    """Every state that a torn file can leave has to be reachable."""
    session = Session("one", redis)
    states = []
    for command in ([b"SET", b"a", b"1"], [b"HSET", b"h", b"f", b"2"], [b"ZADD", b"z", b"3", b"m"]):
        states.append(dict(redis.data))
        session.execute(command)
    for state in reversed(states):
        redis.go_back(1)

        assert redis.data == state


def test_what_it_does_not_know_is_an_error(redis: MemoryRedis) -> None:
    """A command that is new in the product must not pass unseen."""
    assert isinstance(Session("one", redis).execute([b"XADD", b"log"]), Refused)
