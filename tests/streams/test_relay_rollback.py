"""The relay goes on after Redis has lost its newest records, while the shard's commits are all there."""

import copy
from collections.abc import Callable

import pytest

from rules.action import Action
from sinks.memory import MemorySink
from sinks.sink import Delivered, Receipt, RetryAfter
from streams.receipts_memory import ShardReceipts
from streams.relay import SURVEY_MS, Relay
from tests.actions import action
from tests.streams.relay_world import World, settled

LATER_MS = 7_000  # by then the second attempt is due


@pytest.fixture
def world() -> World:
    return World()


async def with_a_record_lost(world: World, relay: Relay) -> Callable[[], None]:
    """Action 1 is delivered, action 2 waits for its second attempt; what lets Redis forget the latter."""
    world.commit(relay, [action(1)])
    await settled()
    before: ShardReceipts = copy.deepcopy(world.receipts.shards[0])
    world.commit(relay, [action(2)])
    before.outbox[world.sequence] = [action(2)]
    await settled()
    assert world.status(2) == "retrying"
    assert world.sequence not in world.receipts.shards[0].outbox

    def lose() -> None:
        world.receipts.shards[0] = before

    return lose


async def test_what_was_settled_and_lost_is_delivered_although_nothing_else_happens(
    world: World,
) -> None:
    """Its entry is in the outbox again, and its second attempt is known to nobody."""
    world.sinks["crm"] = sink = MemorySink([Delivered(), RetryAfter("HTTP 500")])
    async with world.relay() as relay:
        (await with_a_record_lost(world, relay))()
        for _ in range(4):
            await world.later(max(SURVEY_MS, LATER_MS))

    assert world.status(2) == "delivered"
    assert [each.action_id for each in sink.delivered] == [action(1).id, action(2).id]


async def test_the_next_record_does_not_hide_what_was_lost(world: World) -> None:
    """Its cursor would say that the lost one is settled, and no later owner would look there."""
    world.sinks["crm"] = sink = MemorySink([Delivered(), RetryAfter("HTTP 500")])
    async with world.relay() as relay:
        (await with_a_record_lost(world, relay))()
        world.commit(relay, [action(3)])
        await settled()
        for _ in range(4):
            await world.later(LATER_MS)

    assert [world.status(number) for number in (2, 3)] == ["delivered", "delivered"]
    assert {each.action_id for each in sink.delivered} == {action(n).id for n in (1, 2, 3)}
    assert world.receipts.shards[0].cursor == world.sequence


async def test_books_read_before_redis_fell_back_once_more_hide_nothing(world: World) -> None:
    """They were read in the middle of a write that is gone by the time of our first one."""

    class FallingSink(MemorySink):
        """As it is reached for the first time, Redis falls back."""

        async def deliver(self, action: Action, body: bytes) -> Receipt:
            if not self.attempts:
                world.receipts.shards[0] = copy.deepcopy(earlier)
            return await super().deliver(action, body)

    world.sinks["crm"] = sink = FallingSink()
    for number in (1, 2):
        world.commit(None, [action(number)])
    world.receipts.shards[0].nonce = "ours"
    earlier = copy.deepcopy(world.receipts.shards[0])
    del world.receipts.shards[0].outbox[1]  # the former owner had settled it
    async with world.relay() as relay:
        relay.dispatch.wake.set()
        for _ in range(4):
            await world.later(LATER_MS)

    assert {each.action_id for each in sink.delivered} == {action(n).id for n in (1, 2)}
    assert world.is_settled
