"""What the relay makes of crashes, claims and a Redis that is gone; no test waits."""

import asyncio

import pytest

from rules.action import Action
from sinks.breaker import FAILING_MS_MAX
from sinks.memory import MemorySink
from sinks.sink import Receipt, Rejected, RetryAfter
from streams.owned import UNWRITTEN_MAX, OwnedShard
from streams.receipts import WRITE_MAX, Changes
from streams.receipts_memory import MemoryReceipts
from streams.relay import AGAIN_MS
from tests.actions import AT_MS, action
from tests.streams.relay_world import DAY_MS, HangingSink, SwitchedSink, World, settled


@pytest.fixture
def world() -> World:
    return World()


async def test_a_crash_between_delivery_and_record_repeats_the_same_id_and_the_same_bytes(
    world: World,
) -> None:
    """The receiver can drop what it has seen, and its checks of the bytes still hold."""
    sink = world.sinks["crm"] = MemorySink()
    async with world.relay() as relay:
        world.receipts.is_down = True
        world.commit(None, [action(1)])
        relay.offer(0, 1, [action(1)])
        await settled()
        assert len(sink.attempts) == 1
    world.receipts.is_down = False
    async with world.relay("next"):
        await settled()

    first, second = sink.attempts
    assert first == second
    assert world.status(1) == "delivered"
    assert world.is_settled


async def test_what_was_recorded_before_a_crash_is_not_delivered_again(world: World) -> None:
    """Of an entry with two actions one is done when we die; the other alone is repeated."""
    world.sinks["crm"] = done = MemorySink()
    world.sinks["slow"] = HangingSink()
    async with world.relay() as relay:
        world.commit(relay, [action(1), action(2, name="slow")])
        await settled()
    assert len(world.receipts.shards[0].outbox) == 1
    slow = world.sinks["slow"] = MemorySink()
    async with world.relay("next"):
        await settled()

    assert len(done.attempts) == 1
    assert [each.action_id for each in slow.attempts] == [action(2).id]
    assert world.is_settled


async def test_a_late_retry_survives_a_restart_and_keeps_its_time_and_count(world: World) -> None:
    """The process is restarted more often than the schedule is long."""
    sink = world.sinks["crm"] = MemorySink([RetryAfter("HTTP 500")] * 2)
    async with world.relay() as relay:
        world.commit(relay, [action(1)])
        await settled()
    due_ms = world.receipts.shards[0].waiting[action(1).id].due_ms
    assert due_ms is not None
    async with world.relay("next"):
        await world.later(due_ms - world.clock.now_ms() - 1)
        assert len(sink.attempts) == 1
        await world.later(1)
        assert len(sink.attempts) == 2

    waiting = world.receipts.shards[0].waiting[action(1).id]
    assert (waiting.attempts, waiting.status) == (2, "retrying")
    assert len({each.body for each in sink.attempts}) == 1


async def test_a_receiver_that_is_gone_is_disabled_and_stays_so_after_a_restart(
    world: World,
) -> None:
    """410 means: never again. Its actions say so, and can be sent again when it is enabled."""
    sink = world.sinks["crm"] = MemorySink([Rejected("HTTP 410", disables=True)])
    async with world.relay() as relay:
        world.commit(relay, [action(1)])
        await settled()
        world.commit(relay, [action(2)])
        await settled()
    async with world.relay("next") as relay:
        world.commit(relay, [action(3)])
        await settled()
        assert [world.status(number) for number in (1, 2, 3)] == ["disabled"] * 3
        assert "HTTP 410" in world.receipts.shards[0].dead[action(3).id].note
        assert len(sink.attempts) == 1

        relay.dispatch.enable("webhook:crm")
        await world.receipts.revive(0, [action(2).id, action(3).id], world.clock.now_ms())
        await world.run_until(lambda: world.is_settled)
        assert [world.status(number) for number in (1, 2, 3)] == ["disabled", *["delivered"] * 2]


async def test_five_days_of_failures_disable_also_across_restarts(world: World) -> None:
    """The count would never come to five days if each restart began it afresh."""
    world.sinks["crm"] = SwitchedSink(RetryAfter("HTTP 500"))
    number = 0
    while world.clock.now_ms() - AT_MS < FAILING_MS_MAX + DAY_MS:
        async with world.relay(f"claim {number}") as relay:
            world.commit(relay, [action(number)])
            await world.later(DAY_MS)
            number += 1

    assert world.status(0) == "disabled"
    state = world.receipts.shards[0].lanes["webhook:crm"]
    assert "five days" in state.disabled


async def test_redis_gone_for_a_while_loses_and_repeats_nothing(world: World) -> None:
    """Records wait in memory, within bounds, and are written when it is back."""
    sink = world.sinks["crm"] = MemorySink()
    async with world.relay() as relay:
        world.commit(relay, [action(1)])
        world.receipts.is_down = True
        await settled()
        await world.later(AGAIN_MS)
        assert relay.complaints.count >= 1
        world.receipts.is_down = False
        await world.later(AGAIN_MS)

    assert len(sink.attempts) == 1
    assert world.status(1) == "delivered"
    assert world.is_settled


async def test_too_much_to_record_stays_in_the_outbox(world: World) -> None:
    """The bound of what is unwritten is reached, and nothing above it is taken into memory."""
    sink = world.sinks["crm"] = MemorySink()
    batches, size = 10, UNWRITTEN_MAX // 4
    async with world.relay() as relay:
        world.receipts.is_down = True
        for batch in range(batches):
            actions = [action(size * batch + each) for each in range(size)]
            world.sequence += 1
            world.receipts.shards[0].outbox[world.sequence] = actions
            relay.offer(0, world.sequence, actions)
            for _ in range(40):
                await settled()
        assert len(relay.shards[0].held) <= UNWRITTEN_MAX + size
        assert len(sink.attempts) < batches * size
        world.receipts.is_down = False
        await world.run_until(lambda: world.is_settled)

    assert len({each.action_id for each in sink.attempts}) == batches * size == len(sink.attempts)


async def test_who_is_no_longer_the_owner_stops_and_the_new_owner_goes_on(world: World) -> None:
    """A stopped worker wakes up: it may repeat a delivery, but it may not touch the outbox."""
    sink = world.sinks["crm"] = MemorySink()
    async with world.relay("old") as relay:
        world.receipts.shards[0].nonce = "new"
        world.commit(relay, [action(1)])
        await settled()
        assert relay.shards == {}
        assert len(world.receipts.shards[0].outbox) == 1
    async with world.relay("new"):
        await settled()

    assert [each.action_id for each in sink.attempts] == [action(1).id] * 2
    assert world.is_settled


async def test_claimed_again_by_the_same_worker_what_is_under_way_is_not_begun_twice(
    world: World,
) -> None:
    """A mismatch makes a worker claim its own shard again, while its deliveries go on."""
    slow = world.sinks["slow"] = HangingSink()
    sink = world.sinks["crm"] = MemorySink()
    async with world.relay() as relay:
        world.commit(relay, [action(1, name="slow"), action(2)])
        await settled()
        world.receipts.shards[0].nonce = "again"
        world.receipts.shards[0].outbox[1] = [action(1, name="slow"), action(2)]  # rolled back
        world.receipts.shards[0].actions.clear()
        relay.claimed(0, "again", world.sequence)
        await settled()

        assert len(slow.bodies) == 1
        assert len(sink.attempts) == 1
        assert world.status(2) == "delivered"
        assert list(relay.shards[0].held) == [action(1, name="slow").id]


async def test_a_backlog_in_the_outbox_is_delivered_before_what_is_offered_meanwhile(
    world: World,
) -> None:
    """In the order of the commits, as far as one endpoint is concerned."""
    sink = world.sinks["crm"] = MemorySink()
    for number in range(40):
        world.commit(None, [action(number)])
    async with world.relay() as relay:
        world.commit(relay, [action(40)])
        await settled()
        await settled()

    assert [each.action_id for each in sink.attempts] == [action(n).id for n in range(41)]
    assert world.receipts.shards[0].cursor == 41


async def test_an_end_in_the_middle_of_a_write_makes_no_second_one() -> None:
    """Ctrl-C comes when it comes: both would strike the same deliveries from the books."""
    gate = asyncio.Event()

    class GatedReceipts(MemoryReceipts):
        async def write(self, number: int, nonce: str, changes: Changes) -> int:
            await gate.wait()
            return await super().write(number, nonce, changes)

    world = World(receipts=GatedReceipts())
    world.sinks["crm"] = MemorySink()
    async with world.relay() as relay:
        world.commit(relay, [action(1)])
        await settled()
        closing = asyncio.create_task(relay.close(grace_ms=1_000))
        await settled()
        gate.set()
        await closing

    assert world.is_settled
    assert world.receipts.writes_count == 1


def test_the_cursor_waits_for_entries_that_are_yet_to_be_deleted() -> None:
    """An entry below the cursor is never looked at again: after a crash it would stay for ever."""
    shard = OwnedShard(0, "ours", 2 * WRITE_MAX)
    for sequence in range(1, 2 * WRITE_MAX + 1):
        shard.take(sequence, [])  # all of their actions were known to be done
    changes, parcels = shard.changes({})

    assert changes.cursor == len(changes.settled) == WRITE_MAX
    shard.written(changes, parcels, 0)
    assert shard.changes({})[0].cursor == 2 * WRITE_MAX


async def test_an_orderly_end_waits_for_what_is_under_way_and_records_it(world: World) -> None:
    """A clean stop repeats nothing."""
    gate = asyncio.Event()

    class GatedSink(MemorySink):
        async def deliver(self, action: Action, body: bytes) -> Receipt:
            await gate.wait()
            return await super().deliver(action, body)

    world.sinks["crm"] = GatedSink()
    world.sinks["slow"] = HangingSink()
    async with world.relay() as relay:
        world.commit(relay, [action(1), action(2, name="slow")])
        await settled()
        closing = asyncio.create_task(relay.close(grace_ms=1_000))
        await settled()
        gate.set()
        await settled()
        assert not closing.done()
        await world.later(1_000)
        await closing

    assert world.status(1) == "delivered"
    assert len(world.receipts.shards[0].outbox) == 1
