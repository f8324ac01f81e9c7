"""What the simulation has found, played by hand: each of these once lost or repeated something."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from processors.batch import Origin, Records
from streams.errors import StoreDownError
from tests.simulation.calm import calm_world, claimed
from tests.simulation.memory_commands import Refused, Reply
from tests.simulation.memory_redis import MemoryRedis, Session
from tests.simulation.virtual_loop import START_MS
from tests.simulation.world import World


@pytest.fixture
def world() -> Iterator[World]:
    with calm_world() as world:
        yield world


def order(number: int) -> Records:
    value = (
        b'{"id": "e%d", "type": "order", "action": "placed", "customer_id": "ann", "at_ms": %d,'
        b' "amount": 5}' % (number, START_MS + number)
    )
    return Records(
        [value], [START_MS], lambda _: Origin("orders", 0, str(number), None, (), START_MS)
    )


def test_a_layout_that_redis_has_lost_goes_along_with_the_next_commit(world: World) -> None:
    """The fence is as it was left, so the commit is taken; its rows must be readable all the same."""
    with claimed(world, "one") as shard:
        work = shard.step(order(1), {"orders": "1"})
        layouts = [key for key in world.redis.data if b":layout:" in key]
        world.wire.restart(1, down_ms=0)
        world.wire.is_up = True
        assert len(layouts) == 1
        assert layouts[0] not in world.redis.data
        with pytest.raises(StoreDownError):
            shard.commit(work)
        shard.commit(work)
    assert layouts[0] in world.redis.data
    with claimed(world, "two") as shard:
        work = shard.step(order(2), {"orders": "2"})

    assert b'"orders_count":2' in work.outcome.views[0]


def test_a_commit_that_is_known_to_be_stored_is_not_carried_out_again(world: World) -> None:
    """An outbox entry that somebody has settled meanwhile must not come back.

    1. It is stored; 2. Redis is busy, and does not answer the question that went along; 3. we try again.
    """
    commits = []
    execute = MemoryRedis.execute

    def busy(redis: MemoryRedis, session: Session, words: list[bytes]) -> Reply:
        if words[0] == b"MSET" and b":fence" in words[1]:
            commits.append(words)
        if words[0] == b"GET" and words[1].endswith(b":relay") and len(commits) == 2:
            return Refused("BUSY Redis is busy running a script")
        return execute(redis, session, words)

    with patch.object(MemoryRedis, "execute", busy), claimed(world, "one") as shard:
        work = shard.step(order(1), {"orders": "1"})
        with pytest.raises(StoreDownError):
            shard.commit(work)
        commits.append([])  # from here on it answers
        shard.commit(work)
        assert shard.offsets == {"orders": "1"}

        assert len(commits) == 3  # the claim, the commit, and our mark
