"""What is sent to an endpoint with a rate, on a clock that is moved by hand."""

from collections.abc import Iterable
from itertools import repeat

import pytest

from rules.action import Action
from sinks.memory import MemorySink
from sinks.sink import Receipt, RetryAfter
from streams.clock import ManualClock
from tests.actions import action
from tests.streams.relay_world import World, settled

MINUTE_MS = 60_000


class TimedSink(MemorySink):
    """Remembers when each attempt came."""

    def __init__(self, clock: ManualClock, receipts: Iterable[Receipt] = ()) -> None:
        super().__init__(receipts)
        self.times_ms: list[int] = []
        self._clock = clock

    async def deliver(self, action: Action, body: bytes) -> Receipt:
        self.times_ms.append(self._clock.now_ms())
        return await super().deliver(action, body)


@pytest.fixture
def world() -> World:
    return World()


def most_within(times_ms: list[int], span_ms: int) -> int:
    return max(sum(start <= at <= start + span_ms for at in times_ms) for start in times_ms)


async def test_an_endpoint_gets_no_more_than_its_burst_and_its_rate(world: World) -> None:
    """A CRM that allows ten requests a second blocks who sends eleven."""
    sink = world.sinks["crm"] = TimedSink(world.clock)
    world.rates["crm"] = (10.0, 5)
    async with world.relay() as relay:
        world.commit(relay, [action(number) for number in range(100)])
        await settled()
        assert len(sink.times_ms) == 5
        await world.run_until(lambda: world.is_settled)

    assert len({each.action_id for each in sink.delivered}) == len(sink.times_ms) == 100
    for span_ms in (0, 100, 1_000, 5_000):
        assert most_within(sink.times_ms, span_ms) <= 5 + 10 * span_ms / 1_000 + 1e-6
    assert max(sink.times_ms) - min(sink.times_ms) == 9_500  # and no slower than it may


async def test_what_has_no_token_and_no_room_waits_in_redis_and_none_is_dropped(
    world: World,
) -> None:
    """A slow endpoint holds neither memory nor the outbox."""
    sink = world.sinks["crm"] = TimedSink(world.clock)
    world.rates["crm"], world.queue_max = (2.0, 1), 4
    async with world.relay() as relay:
        world.commit(relay, [action(number) for number in range(40)])
        await settled()
        lane = relay.dispatch.lanes["webhook:crm"]
        assert lane.paced_count(world.clock.now_ms()) == len(lane.queue)
        assert 0 < len(lane.queue) <= 4
        assert len(world.receipts.shards[0].waiting) >= 35
        await world.run_until(lambda: world.is_settled)
        assert lane.paced_count(world.clock.now_ms()) == 0

    assert sorted(each.action_id for each in sink.delivered) == sorted(
        action(number).id for number in range(40)
    )
    assert most_within(sink.times_ms, 500) <= 2
    assert max(sink.times_ms) - min(sink.times_ms) <= 39 * 500


async def test_a_restart_allows_one_burst_more_and_nothing_else(world: World) -> None:
    """The bucket is in memory; what that costs is known."""
    sink = world.sinks["crm"] = TimedSink(world.clock)
    world.rates["crm"] = (1.0, 3)
    began_ms = world.clock.now_ms()
    async with world.relay("one") as relay:
        world.commit(relay, [action(number) for number in range(30)])
        await world.later(100)
        for _ in range(5):
            await world.later(1_000)
    before = len(sink.times_ms)
    assert before == 3 + 5
    async with world.relay("two"):
        await settled()
        assert len(sink.times_ms) - before == 3
        await world.run_until(lambda: world.is_settled)

    passed_ms = max(sink.times_ms) - began_ms
    assert len(sink.times_ms) <= 2 * 3 + passed_ms / 1_000
    assert {each.action_id for each in sink.delivered} == {action(n).id for n in range(30)}


async def test_a_slow_rate_holds_up_no_other_endpoint(world: World) -> None:
    """One a minute for the director, at once for everybody else."""
    slow = world.sinks["slow"] = TimedSink(world.clock)
    fast = world.sinks["fast"] = TimedSink(world.clock)
    world.rates["slow"] = (1 / 60, 1)
    async with world.relay() as relay:
        world.commit(relay, [action(number, name="slow") for number in range(3)])
        world.commit(relay, [action(number, name="fast") for number in range(100, 150)])
        await settled()
        assert len(slow.times_ms) == 1
        assert len(fast.times_ms) == 50
        await world.run_until(lambda: world.is_settled)

    assert slow.times_ms[-1] - slow.times_ms[0] == 2 * MINUTE_MS


async def test_attempts_that_fail_use_up_the_rate_too(world: World) -> None:
    """To the receiver they are requests like any other; also the one that a broken endpoint gets."""
    failures = repeat(RetryAfter("HTTP 500"), 12)
    sink = world.sinks["crm"] = TimedSink(world.clock, failures)
    world.rates["crm"] = (0.1, 1)
    async with world.relay() as relay:
        world.commit(relay, [action(number) for number in range(10)])
        await world.run_until(lambda: world.is_settled)

    assert len(sink.times_ms) == 22
    assert most_within(sink.times_ms, 9_999) == 1
