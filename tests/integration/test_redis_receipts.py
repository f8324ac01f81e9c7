"""Receipts in a real Redis: the contract, and what only Redis can get wrong."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from rules.action import Action
from streams import outbox
from streams.errors import DamagedError, StoreDownError, StoreError
from streams.fence import Fence
from streams.keys import Keys
from streams.receipts import WRITE_MAX, Changes
from streams.receipts_redis import (
    RedisReceipts,
    commands,
    dead_key,
    due_key,
    lanes_key,
    waiting_key,
)
from streams.store import Connection, StoreAddress
from tests.actions import action
from tests.contracts.receipts import (
    KEPT_MAX,
    LANE,
    NONCE,
    NOW_MS,
    ReceiptsContract,
    Store,
    dead,
    done,
    retrying,
)
from tests.integration.redis_server import RedisServer

OUTBOX = 1_000  # sequences that the shard has given out


class RedisStore:
    def __init__(self, server: RedisServer) -> None:
        self.receipts = RedisReceipts(server.url, kept_max=KEPT_MAX)
        self.client = server.client()
        self.connection = Connection(StoreAddress.parse(server.url))

    async def own(self, number: int, nonce: str) -> None:
        fence = Fence(NOW_MS, nonce, 1, {"orders": "7"}, outbox=OUTBOX)
        self.client.set(Keys.of(number).fence, fence.encode())

    async def commit(self, number: int, sequence: int, actions: Sequence[Action]) -> None:
        self.client.set(Keys.of(number).outbox(sequence), outbox.encode(actions))


@pytest.fixture
async def store(redis_shared: RedisServer) -> AsyncIterator[RedisStore]:
    store = RedisStore(redis_shared)
    store.client.flushall()
    yield store
    await store.receipts.close()
    store.client.close()
    store.connection.close()


class TestRedisReceipts(ReceiptsContract):
    @pytest.fixture
    def store(self, store: RedisStore) -> Store:
        return store


async def test_every_prefix_of_a_write_leaves_nothing_lost(store: RedisStore) -> None:
    """Redis 7 executes a torn transaction of its append-only file at the second restart."""
    some = [done(1), dead(2), retrying(3, NOW_MS)]
    changes = Changes(some, settled=[1], cursor=1)
    steps = commands(0, changes)
    for length in range(len(steps) + 1):
        store.client.flushall()
        await store.commit(0, 1, [action(1), action(2), action(3)])
        for command in steps[:length]:
            store.connection.call(*command)

        entries = await store.receipts.entries(0, 1, 1)
        ids = [action(number).id for number in (1, 2, 3)]
        known = await store.receipts.known(0, ids)
        assert entries or known == set(ids)
        if action(2).id in known:
            assert store.client.hexists(dead_key(0), action(2).id)
        if action(3).id in known:
            due = await store.receipts.due(0, LANE, NOW_MS, 10)
            assert [each.id for each in due.deliveries] == [action(3).id]
            assert LANE in (await store.receipts.survey(0)).first_due_ms
    assert len(steps) > 10


async def test_every_prefix_of_an_ending_keeps_the_delivery_somewhere(store: RedisStore) -> None:
    """From waiting to dead: rather in both places than in none."""
    steps = commands(0, Changes([dead(1)]))
    for length in range(len(steps) + 1):
        store.client.flushall()
        for command in commands(0, Changes([retrying(1, NOW_MS)])):
            store.connection.call(*command)
        for command in steps[:length]:
            store.connection.call(*command)

        waits = store.client.hexists(waiting_key(0), action(1).id)
        assert waits or store.client.hexists(dead_key(0), action(1).id)
        if waits:
            assert store.client.zscore(due_key(0, LANE), action(1).id) is not None


async def test_an_index_entry_without_a_record_is_dropped(store: RedisStore) -> None:
    """An index may hold too much; it must not come back for ever."""
    store.client.zadd(due_key(0, LANE), {"ghost": NOW_MS})

    assert (await store.receipts.due(0, LANE, NOW_MS, 10)).deliveries == []
    assert store.client.zcard(due_key(0, LANE)) == 0


async def test_the_largest_write_goes_through(store: RedisStore) -> None:
    """A script may unpack so much and no more."""
    await store.own(0, NONCE)
    data: dict[str, float | str | None] = {"text": "x" * 1_000}
    large = [
        msgspec.structs.replace(retrying(number, NOW_MS), data=data) for number in range(WRITE_MAX)
    ]

    assert await store.receipts.write(0, NONCE, Changes(large)) == WRITE_MAX
    assert len((await store.receipts.due(0, LANE, NOW_MS, 2_100)).deliveries) == WRITE_MAX


async def test_a_value_that_is_not_ours_is_told_with_its_key(store: RedisStore) -> None:
    """The operator must know where to look."""
    store.client.set(Keys.of(0).relay, b"seven")
    store.client.hset(waiting_key(0), "x", b"{}")
    store.client.zadd(due_key(0, LANE), {"x": NOW_MS})

    with pytest.raises(DamagedError, match="relay"):
        await store.receipts.cursor(0)
    with pytest.raises(DamagedError, match="waiting"):
        await store.receipts.due(0, LANE, NOW_MS, 10)
    store.client.set(lanes_key(0), b"")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        await store.receipts.survey(0)


async def test_a_redis_that_is_gone_or_full_can_be_asked_again(redis_server: RedisServer) -> None:
    """The relay keeps what it has to record, and waits."""
    receipts = RedisReceipts(redis_server.url)
    with redis_server.client() as client:
        client.set(Keys.of(0).fence, Fence(NOW_MS, NONCE, 1, {}).encode())
        client.config_set("maxmemory", "1")
    with pytest.raises(StoreDownError) as full:
        await receipts.write(0, NONCE, Changes([done(1)]))
    redis_server.kill()
    with pytest.raises(StoreDownError) as gone:
        await receipts.cursor(0)
    redis_server.start()

    assert full.value.reason == "oom"
    assert gone.value.reason == "connection"
    assert await receipts.write(0, NONCE, Changes([done(1)])) == 0
    await receipts.close()


async def test_the_client_repeats_nothing() -> None:
    """A write whose reply was lost is judged by us, who know that it may be repeated."""
    receipts = RedisReceipts("redis://127.0.0.1:1")
    retry = receipts._client.connection_pool.connection_kwargs["retry"]

    assert retry.get_retries() == 0
    await receipts.close()


async def survey_for_ever(receipts: RedisReceipts) -> None:
    while True:
        await receipts.survey(0)


async def test_a_cancellation_at_any_moment_ends_the_task(store: RedisStore) -> None:
    """redis-py loses some on Python 3.11; a relay that cannot be cancelled cannot be stopped."""
    for steps in range(200):
        task = asyncio.create_task(survey_for_ever(store.receipts))
        for _ in range(steps % 40):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=5)

        assert task.cancelled()


async def test_a_cursor_is_never_written_above_what_the_shard_has_given_out(
    store: RedisStore,
) -> None:
    """Redis has lost the newest entries; the shard gives out their numbers again, and they count."""
    await store.own(0, NONCE)
    await store.receipts.write(0, NONCE, Changes([], settled=[OUTBOX + 7], cursor=OUTBOX + 7))

    assert await store.receipts.cursor(0) == OUTBOX
