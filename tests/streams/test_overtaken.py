"""Beginnings and ends of alerts while their receiver is away; no test waits."""

import msgspec
import pytest

from rules.action import Action, Target
from sinks.memory import MemorySink
from sinks.sink import Delivered, RetryAfter
from streams.overtaken import ALERTS_MAX, Newest, is_same_alert
from tests.actions import AT_MS, action
from tests.streams.relay_world import HangingSink, SwitchedSink, World, settled


@pytest.fixture
def world() -> World:
    return World()


def alert(number: int, *, customer: int = 1, resolves: bool = False) -> Action:
    """The `number`-th turn of a customer's alert."""
    return msgspec.structs.replace(
        action(number),
        target=Target("alert", "oncall", "health.low", "page"),
        customer_id=f"c-{customer}",
        resolves=resolves,
    )


async def test_a_page_for_what_is_over_is_not_sent_after_its_end(world: World) -> None:
    """Alertmanager would take it for a new beginning, and nobody would end it."""
    sink = world.sinks["oncall"] = MemorySink([RetryAfter("HTTP 503")])
    async with world.relay() as relay:
        world.commit(relay, [alert(1)])
        await settled()
        assert world.status(1) == "retrying"
        world.commit(relay, [alert(2, resolves=True)])
        await settled()
        await world.run_until(lambda: world.is_settled)

    assert [each.action_id for each in sink.delivered] == [alert(2).id]
    assert [world.status(number) for number in (1, 2)] == ["overtaken", "delivered"]


async def test_an_end_is_not_sent_after_what_has_begun_again(world: World) -> None:
    """Whoever is on call would think it is over."""
    sink = world.sinks["oncall"] = MemorySink([Delivered(), RetryAfter("HTTP 503")])
    async with world.relay() as relay:
        world.commit(relay, [alert(1)])
        await settled()
        world.commit(relay, [alert(2, resolves=True)])
        await settled()
        world.commit(relay, [alert(3)])
        await world.run_until(lambda: world.is_settled)

    assert [each.action_id for each in sink.delivered] == [alert(1).id, alert(3).id]
    assert world.status(2) == "overtaken"


async def test_other_alerts_and_other_turns_are_not_touched(world: World) -> None:
    """One customer's end says nothing of another's beginning, nor does a beginning of a beginning."""
    world.sinks["oncall"] = SwitchedSink(RetryAfter("HTTP 503"))
    turns = [alert(1), alert(2, customer=2), alert(3), alert(4, customer=3, resolves=True)]
    async with world.relay() as relay:
        world.commit(relay, turns)
        await settled()
        relay.dispatch.lanes["alert:oncall"].sink = MemorySink()
        await world.run_until(lambda: world.is_settled)

    assert {world.status(number) for number in (1, 2, 3, 4)} == {"delivered"}


async def test_an_end_waits_for_the_answer_about_its_beginning(world: World) -> None:
    """Side by side the end could arrive first."""
    sink = world.sinks["oncall"] = HangingSink()
    async with world.relay() as relay:
        world.commit(relay, [alert(1), alert(2, resolves=True)])
        await settled()

        assert len(sink.bodies) == 1
        assert len(relay.dispatch.lanes["alert:oncall"].queue) == 1


def test_what_is_remembered_is_bounded() -> None:
    """Customers come for ever."""
    newest = Newest()
    newest.note(alert(2, customer=0, resolves=True))
    assert newest.overtakes(alert(1, customer=0))
    for customer in range(1, ALERTS_MAX + 1):
        newest.note(alert(2, customer=customer, resolves=True))

    assert not newest.overtakes(alert(1, customer=0))
    assert newest.overtakes(alert(1, customer=1))
    assert len(newest._times) == ALERTS_MAX


def test_at_the_same_time_neither_is_out_of_date() -> None:
    """Which was first is not known then."""
    newest = Newest()
    newest.note(alert(1, resolves=True))

    assert not newest.overtakes(alert(1))
    assert alert(1).at_ms == AT_MS + 1


def test_only_alerts_are_alerts() -> None:
    """Webhooks have no end."""
    newest = Newest()
    newest.note(action(2))

    assert not newest.overtakes(action(1))
    assert not is_same_alert(action(1), action(1))
    assert is_same_alert(alert(1), alert(2, resolves=True))
