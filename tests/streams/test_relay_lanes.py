"""How endpoints are disabled, enabled and forgotten while the relay runs; no test waits."""

import pytest

from sinks.memory import MemorySink
from sinks.sink import Rejected, RetryAfter
from streams.dispatch import LANE_IDLE_MS
from streams.receipts import LaneState, Survey
from streams.relay import LOOK_MS, SURVEY_MS
from tests.actions import action
from tests.streams.relay_world import SwitchedSink, World, settled


@pytest.fixture
def world() -> World:
    return World()


async def test_somebody_else_enables_an_endpoint_and_sends_again_what_it_missed(
    world: World,
) -> None:
    """A command does so in Redis; every relay that has a shard of it must see it."""
    sink = world.sinks["crm"] = MemorySink([Rejected("HTTP 410", disables=True)])
    async with world.relay() as relay:
        world.commit(relay, [action(1)])
        await settled()
        world.commit(relay, [action(2)])
        await world.later(SURVEY_MS)
        assert [world.status(number) for number in (1, 2)] == ["disabled", "disabled"]
        state = world.receipts.shards[0].lanes["webhook:crm"]
        world.receipts.shards[0].lanes["webhook:crm"] = LaneState(state.about)
        await world.receipts.revive(0, [action(1).id], world.clock.now_ms())
        await world.later(SURVEY_MS)
        await world.run_until(lambda: world.is_settled)
        assert not world.receipts.shards[0].lanes["webhook:crm"].disabled

    assert [world.status(number) for number in (1, 2)] == ["delivered", "disabled"]
    assert [each.action_id for each in sink.delivered] == [action(1).id]


async def test_an_endpoint_that_is_disabled_while_redis_is_asked_is_not_enabled_by_the_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is older than the news."""
    world.sinks["crm"] = MemorySink([RetryAfter("HTTP 500"), Rejected("HTTP 410", disables=True)])
    async with world.relay() as relay:
        world.commit(relay, [action(1)])
        await settled()
        survey = world.receipts.survey

        async def late(number: int) -> Survey:
            found = await survey(number)
            world.commit(relay, [action(2)])
            await settled()
            assert world.receipts.shards[0].lanes["webhook:crm"].disabled
            return found

        monkeypatch.setattr(world.receipts, "survey", late)
        await world.later(SURVEY_MS)
        monkeypatch.undo()
        await world.later(SURVEY_MS)
        assert relay.dispatch.lanes["webhook:crm"].breaker.disabled
        assert world.receipts.shards[0].lanes["webhook:crm"].disabled


async def test_lanes_that_nothing_goes_through_are_forgotten_in_memory_and_in_redis(
    world: World,
) -> None:
    """Rules come and go for years in one process; what failed or waits is remembered."""
    world.sinks |= {"crm": MemorySink([RetryAfter("HTTP 500")]), "bad": MemorySink()}
    world.sinks["bad"] = SwitchedSink(RetryAfter("HTTP 500"))
    async with world.relay() as relay:
        world.commit(relay, [action(1), action(2, name="bad"), action(3, name="once")])
        await settled()
        await world.later(6_000)
        await world.later(LOOK_MS)
        assert world.status(1) == "delivered"
        assert set(relay.dispatch.lanes) == {"webhook:crm", "webhook:bad", "webhook:once"}
        await world.later(LANE_IDLE_MS)
        await world.later(SURVEY_MS)
        assert set(relay.dispatch.lanes) == {"webhook:bad"}
        await world.later(SURVEY_MS)

    assert set(world.receipts.shards[0].lanes) == {"webhook:bad"}
