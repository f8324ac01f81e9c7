"""What the relay does with its endpoints' answers; no test waits."""

from collections import Counter

import msgspec
import pytest

from rules.action import Action
from sinks.breaker import CONCURRENCY_MAX
from sinks.memory import MemorySink
from sinks.retry import ATTEMPTS_MAX, DELAYS_MS
from sinks.sink import Delivered, Receipt, Rejected, RetryAfter
from streams.delivery import WITHHELD_NOTES
from streams.errors import StoreError
from streams.receipts import Changes
from streams.relay import LOOK_MS
from tests.actions import AT_MS, action
from tests.streams.relay_world import HangingSink, SwitchedSink, World, settled


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


@pytest.mark.parametrize("why", ["holdout", "canary", "shadow"])
async def test_what_is_withheld_is_recorded_with_its_reason_and_not_delivered(
    world: World, why: str
) -> None:
    """A hold-out whose members cannot be listed tells nothing about the rule's effect."""
    world.sinks["crm"] = sink = MemorySink()
    async with world.relay() as relay:
        world.commit(relay, [msgspec.structs.replace(action(1), withheld=why), action(2)])
        await settled()

    assert [each.action_id for each in sink.delivered] == [action(2).id]
    assert [world.status(number) for number in (1, 2)] == ["withheld", "delivered"]
    assert world.receipts.shards[0].actions[action(1).id].note == WITHHELD_NOTES[why]


async def test_what_is_stale_is_recorded_and_not_delivered(world: World) -> None:
    """A history must not ring anybody; that it would have is still there to be read."""
    sink = world.sinks["crm"] = MemorySink()
    old = msgspec.structs.replace(action(1), is_stale=True)
    async with world.relay() as relay:
        world.commit(relay, [old, action(2)])
        await settled()
        world.commit(relay, [msgspec.structs.replace(action(3, name="nowhere"), is_stale=True)])
        await settled()
        lanes = set(relay.dispatch.lanes)

    assert [each.action_id for each in sink.attempts] == [action(2).id]
    assert [world.status(number) for number in (1, 2, 3)] == ["stale", "delivered", "stale"]
    assert world.is_settled
    assert lanes == {"webhook:crm"}
    assert world.receipts.shards[0].dead == {}


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


async def test_a_target_that_means_nothing_is_rejected_and_says_so(world: World) -> None:
    """A typing error in a rule must show, and must not block the outbox."""
    async with world.relay() as relay:
        world.commit(relay, [action(1, name="cmr")])
        await settled()

    assert world.status(1) == "rejected"
    assert world.receipts.shards[0].dead[action(1).id].note == "there is no endpoint cmr"
    assert world.is_settled


async def test_what_takes_long_is_seen_as_pending(world: World) -> None:
    """Who looks for an action must find it, also while its receiver thinks."""
    world.sinks["slow"] = HangingSink()
    async with world.relay() as relay:
        world.commit(relay, [action(1, name="slow")])
        await world.later(LOOK_MS)
        await world.later(LOOK_MS)

    assert world.status(1) == "pending"
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


async def test_a_shard_whose_records_are_refused_does_not_stop_those_of_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody may have put another type at one key; waiting does not mend it."""
    world.sinks["crm"] = MemorySink()
    write = world.receipts.write

    async def refusing(number: int, nonce: str, changes: Changes) -> int:
        if number == 0:
            raise StoreError("WRONGTYPE")
        return await write(number, nonce, changes)

    monkeypatch.setattr(world.receipts, "write", refusing)
    async with world.relay() as relay:
        world.receipts.shards[1].nonce = "ours"
        relay.claimed(1, "ours", 0)
        await settled()
        for sequence in (1, 2):
            world.commit(relay, [action(sequence)])
            relay.offer(1, sequence, [action(10 + sequence)])
            await settled()

    assert [each.status for each in world.receipts.shards[1].actions.values()] == ["delivered"] * 2
    assert not world.receipts.shards[0].actions
    assert caplog.text.count("WRONGTYPE") == 1


async def test_a_shard_that_cannot_be_read_is_told_once_and_the_others_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged entry stays damaged; five lines a second about it would bury all else."""
    sink = world.sinks["crm"] = MemorySink()
    entries = world.receipts.entries

    async def refusing(number: int, first: int, last: int) -> list[tuple[int, list[Action]]]:
        if number == 0:
            raise StoreError("the key of entry 1 is damaged")
        return await entries(number, first, last)

    monkeypatch.setattr(world.receipts, "entries", refusing)
    world.commit(None, [action(1)])
    async with world.relay() as relay:
        world.receipts.shards[1].nonce = "ours"
        world.receipts.shards[1].outbox[1] = [action(2)]
        relay.claimed(1, "ours", 1)
        for _ in range(20):
            await world.later(LOOK_MS)
        assert len(sink.attempts) == 1
        assert caplog.text.count("is damaged") == 1
        assert relay.complaints.count >= 20
        monkeypatch.undo()
        await world.run_until(lambda: world.is_settled)

    assert len(sink.attempts) == 2
