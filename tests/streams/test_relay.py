"""The relay on a clock that is moved by hand and receipts in memory; no test waits."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import pytest

from rules.action import Action
from sinks import payload
from sinks.breaker import CONCURRENCY_MAX, FAILING_MS_MAX
from sinks.memory import MemorySink
from sinks.nowhere import NowhereSink
from sinks.retry import ATTEMPTS_MAX, DELAYS_MS
from sinks.sink import Delivered, Receipt, Rejected, RetryAfter, Sink
from streams.clock import ManualClock
from streams.delivery import Delivery
from streams.lane import Destination
from streams.owned import UNWRITTEN_MAX
from streams.receipts_memory import MemoryReceipts
from streams.relay import AGAIN_MS, LOOK_MS, Relay
from tests.actions import AT_MS, action

DAY_MS = 86_400_000
ROUNDS = 60  # of the event loop: more than any chain of callbacks here is long


@dataclass
class World:
    """All that outlives a relay."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(AT_MS))
    receipts: MemoryReceipts = field(default_factory=MemoryReceipts)
    sinks: dict[str, Sink] = field(default_factory=dict)
    changes: list[Delivery] = field(default_factory=list)
    queue_max: int = 1_000
    sequence: int = 0

    def destination(self, kind: str, name: str) -> Destination:
        sink = self.sinks.get(name, NowhereSink(f"there is no endpoint {name}"))
        return Destination(sink, f"{kind}:{name}", queue_max=self.queue_max)

    def commit(self, relay: Relay | None, actions: Iterable[Action]) -> None:
        """What a shard does: store the entry, then tell the relay if there is one."""
        self.sequence += 1
        self.receipts.shards[0].outbox[self.sequence] = list(actions)
        if relay is not None:
            relay.offer(0, self.sequence, self.receipts.shards[0].outbox[self.sequence])

    @asynccontextmanager
    async def relay(self, nonce: str = "ours") -> AsyncIterator[Relay]:
        """A relay that has claimed shard 0; the end of the block is a crash."""
        self.receipts.shards[0].nonce = nonce
        relay = Relay(self.receipts, self.destination, self.clock, self.changes.append)
        running = asyncio.create_task(relay.run())
        relay.claimed(0, nonce, self.sequence)
        await settled()
        try:
            yield relay
        finally:
            running.cancel()
            for task in list(relay.dispatch.attempts):
                task.cancel()
            await asyncio.gather(running, *relay.dispatch.attempts, return_exceptions=True)

    async def later(self, delay_ms: int) -> None:
        self.clock.advance(delay_ms)
        await settled()

    async def run_until(self, is_done: Callable[[], bool], steps_max: int = 2_000) -> None:
        """Go from one awaited time to the next."""
        for _ in range(steps_max):
            if is_done():
                return
            next_ms = self.clock.next_ms()
            assert next_ms is not None
            await self.later(max(1, next_ms - self.clock.now_ms()))
        raise AssertionError("it never came to that")

    def status(self, number: int) -> str:
        return self.receipts.shards[0].actions[action(number).id].status

    @property
    def is_settled(self) -> bool:
        shard = self.receipts.shards[0]
        return not shard.outbox and not shard.waiting


async def settled() -> None:
    for _ in range(ROUNDS):
        await asyncio.sleep(0)


class HangingSink:
    """Never answers; counts who waits."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def body(self, action: Action) -> bytes:
        return payload.body(action)

    async def deliver(self, action: Action, body: bytes) -> Receipt:
        self.bodies.append(body)
        assert action.id.encode() in body
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")


class SwitchedSink(MemorySink):
    """Answers what it is switched to."""

    def __init__(self, receipt: Receipt) -> None:
        self.receipt: Receipt = receipt
        super().__init__(self.receipt for _ in count())


@pytest.fixture
def world() -> World:
    return World()


async def test_what_is_offered_is_delivered_at_once_recorded_and_leaves_the_outbox(
    world: World,
) -> None:
    """The way that nearly every action goes."""
    sink = world.sinks["crm"] = MemorySink()
    async with world.relay() as relay:
        world.commit(relay, [action(1), action(2)])
        await settled()

    assert [each.action_id for each in sink.attempts] == [action(1).id, action(2).id]
    assert (world.status(1), world.status(2)) == ("delivered", "delivered")
    assert world.is_settled
    assert world.receipts.shards[0].cursor == 1
    assert [each.status for each in world.changes] == ["delivered", "delivered"]


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


async def test_a_failing_action_is_tried_by_the_schedule_and_then_given_up_readable(
    world: World,
) -> None:
    """Ten attempts over three days; afterwards it can be looked at and sent again."""
    sink = world.sinks["crm"] = SwitchedSink(RetryAfter("HTTP 500"))
    times: list[int] = []
    async with world.relay() as relay:
        world.commit(relay, [action(1)])
        await settled()
        while world.status(1) == "retrying":
            due_ms = world.receipts.shards[0].actions[action(1).id].due_ms
            assert due_ms is not None
            times.append(due_ms - world.clock.now_ms())
            tried = len(sink.attempts)
            await world.later(due_ms - world.clock.now_ms() - 1)
            assert len(sink.attempts) == tried
            await world.later(1)
            assert len(sink.attempts) == tried + 1

    assert len(sink.attempts) == ATTEMPTS_MAX
    assert len({each.body for each in sink.attempts}) == 1
    for waited_ms, planned_ms in zip(times, DELAYS_MS[1:], strict=True):
        assert 0.8 * planned_ms - 1 <= waited_ms <= 1.2 * planned_ms + 1
    shard = world.receipts.shards[0]
    assert shard.dead[action(1).id].status == "given_up"
    assert shard.dead[action(1).id].note == "HTTP 500"
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


async def test_one_hanging_endpoint_holds_up_no_other_and_no_memory(world: World) -> None:
    """Its lane fills, the rest waits in Redis; the other endpoint does not notice."""
    world.queue_max = 50
    slow = world.sinks["slow"] = HangingSink()
    crm = world.sinks["crm"] = MemorySink()
    async with world.relay() as relay:
        for number in range(100):
            batch = [action(1_000 * number + k, name="slow") for k in range(10)]
            world.commit(relay, [*batch, action(1_000 * number + 999)])
            await settled()
            assert len(crm.attempts) == number + 1
        lane = relay.dispatch.lanes["webhook:slow"]
        held = len(relay.shards[0].held)

        assert len(slow.bodies) == CONCURRENCY_MAX
        assert len(lane.queue) == 50
        assert held == 50 + CONCURRENCY_MAX
        assert len(world.receipts.shards[0].waiting) == 1_000 - held
        assert len(world.receipts.shards[0].outbox) <= held


async def test_what_did_not_fit_is_delivered_once_there_is_room(world: World) -> None:
    """A burst of ten times the queue, each exactly once."""
    world.queue_max = 20
    crm = world.sinks["crm"] = MemorySink()
    async with world.relay() as relay:
        world.commit(relay, [action(number) for number in range(200)])
        await world.run_until(lambda: world.is_settled)

    counts = Counter(each.action_id for each in crm.attempts)
    assert len(counts) == 200
    assert set(counts.values()) == {1}


async def test_a_storm_of_failures_opens_the_breaker_and_everything_arrives_in_the_end(
    world: World,
) -> None:
    """While it lasts, hardly anything is sent; attempts of the schedule are not burnt."""
    sink = world.sinks["crm"] = SwitchedSink(RetryAfter("HTTP 503", slows=True))
    async with world.relay() as relay:
        for start in range(0, 300, 10):
            world.commit(relay, [action(number) for number in range(start, start + 10)])
            await settled()
        for _ in range(20):
            await world.later(LOOK_MS)
        assert len(sink.attempts) < 60
        assert not relay.dispatch.lanes["webhook:crm"].breaker.is_closed
        assert not world.receipts.shards[0].outbox
        sink.receipt = Delivered()
        await world.run_until(lambda: world.is_settled)

    assert Counter(e.action_id for e in sink.delivered) == {action(n).id: 1 for n in range(300)}


async def test_retry_after_keeps_the_whole_endpoint_waiting(world: World) -> None:
    """The second action is not sent into the pause that the first was asked to keep."""
    sink = world.sinks["crm"] = MemorySink([RetryAfter("HTTP 429", 30_000, slows=True)])
    async with world.relay() as relay:
        world.commit(relay, [action(1)])
        await settled()
        world.commit(relay, [action(2)])
        await world.later(29_999)
        assert len(sink.attempts) == 1
        await world.run_until(lambda: world.is_settled)

    assert len(sink.attempts) == 3
    assert world.clock.now_ms() - AT_MS >= 30_000


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

        relay.enable("webhook:crm")
        await world.receipts.revive(0, [action(2).id, action(3).id], world.clock.now_ms())
        await world.run_until(lambda: world.is_settled)
        assert [world.status(number) for number in (1, 2, 3)] == ["disabled", *["delivered"] * 2]


async def test_what_waits_for_a_disabled_endpoint_ends_at_once(world: World) -> None:
    """Nobody should believe for days that it is still being tried."""
    answers: list[Receipt] = [RetryAfter("HTTP 500"), Rejected("HTTP 410", disables=True)]
    world.sinks["crm"] = MemorySink(answers)
    async with world.relay() as relay:
        world.commit(relay, [action(1)])
        await settled()
        world.commit(relay, [action(2)])
        await world.later(LOOK_MS)

    assert world.status(1) == "disabled"
    assert world.is_settled


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


async def test_a_target_that_means_nothing_is_rejected_and_says_so(world: World) -> None:
    """A typing error in a rule must show, and must not block the outbox."""
    async with world.relay() as relay:
        world.commit(relay, [action(1, name="cmr")])
        await settled()

    assert world.status(1) == "rejected"
    assert world.receipts.shards[0].dead[action(1).id].note == "there is no endpoint cmr"
    assert world.is_settled


async def test_redis_gone_for_a_while_loses_and_repeats_nothing(world: World) -> None:
    """Records wait in memory, within bounds, and are written when it is back."""
    sink = world.sinks["crm"] = MemorySink()
    async with world.relay() as relay:
        world.commit(relay, [action(1)])
        world.receipts.is_down = True
        await settled()
        await world.later(AGAIN_MS)
        assert relay.failures_count >= 1
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


async def test_what_takes_long_is_seen_as_pending(world: World) -> None:
    """Who looks for an action must find it, also while its receiver thinks."""
    world.sinks["slow"] = HangingSink()
    async with world.relay() as relay:
        world.commit(relay, [action(1, name="slow")])
        await world.later(LOOK_MS)
        await world.later(LOOK_MS)

    assert world.status(1) == "pending"
    assert len(world.receipts.shards[0].outbox) == 1


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


async def test_a_sink_that_raises_is_a_failure_of_its_endpoint_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake of ours in one sink must not silence the others."""

    class BrokenSink(MemorySink):
        async def deliver(self, action: Action, body: bytes) -> Receipt:
            raise ZeroDivisionError(action.id, body)

    world.sinks["broken"] = BrokenSink()
    sink = world.sinks["crm"] = MemorySink()
    async with world.relay() as relay:
        world.commit(relay, [action(1, name="broken"), action(2)])
        await settled()

    assert world.status(1) == "retrying"
    assert len(sink.attempts) == 1
    assert "the sink of webhook:broken raised" in caplog.text
