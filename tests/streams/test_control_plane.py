"""What the control plane makes of the group's words, without a group."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.transport.consumer import Fetcher
from faust.types import TP

from streams.control_plane import (
    OVERRIDDEN,
    GroupConsumer,
    check_overridden,
    faust_settings,
    whole_shards,
)
from streams.errors import TopicsError
from streams.kafka_settings import KafkaSettings


def test_a_split_shard_is_refused_and_named() -> None:
    """Half a shard would make profiles of half of what customers did."""
    with pytest.raises(TopicsError, match="orders 3"):
        whole_shards({TP("clicks", 3), TP("clicks", 1), TP("orders", 1)}, ("clicks", "orders"))


def test_no_assignment_is_no_shards() -> None:
    """More workers than partitions is a stand-by, not a fault."""
    assert whole_shards(set(), ("clicks", "orders")) == frozenset()


def test_what_we_override_is_there() -> None:
    """Pinned versions get unpinned; a renamed method of Faust would silently be Faust's own again."""
    check_overridden()

    assert sum(len(names) for names in OVERRIDDEN.values()) > 10


@pytest.mark.parametrize("timeout_ms", [1_000, 10_000, 600_000])
def test_timeouts_stand_in_the_order_that_kafka_and_faust_demand(timeout_ms: int) -> None:
    """Faust refuses a session longer than a request, and a heartbeat must fit a session thrice."""
    settings = faust_settings(KafkaSettings(("h:1",), session_timeout_ms=timeout_ms))
    session = settings["broker_session_timeout"]

    assert settings["broker_heartbeat_interval"] <= session / 3
    assert session <= settings["broker_request_timeout"]
    assert session <= settings["broker_rebalance_timeout"]


class Rebalancing:
    """A consumer, and the app around it, while the group rebalances."""

    def __init__(self, *, is_ending: bool) -> None:
        self.app: Any = SimpleNamespace(rebalancing=True, should_stop=is_ending, consumer=self)
        self.plane = SimpleNamespace(beat_ms=0)
        self.should_stop = False
        self.asleep = asyncio.Event()

    async def sleep(self, _seconds: float) -> None:
        self.asleep.set()
        await asyncio.Event().wait()

    async def _drain_messages(self, fetcher: Fetcher) -> None:
        await GroupConsumer._drain_messages(cast("GroupConsumer", self), fetcher)

    async def _stay(self, fetcher: Fetcher) -> None:
        await GroupConsumer._stay(cast("GroupConsumer", self), fetcher)


@pytest.mark.parametrize("is_ending", [True, False])
async def test_to_end_while_the_group_rebalances_is_no_crash(is_ending: bool) -> None:
    """Faust cancels its fetcher then, and takes one that is cancelled in a rebalance for crashed."""
    consumer = Rebalancing(is_ending=is_ending)
    fetcher = Fetcher(consumer.app)
    fetching = asyncio.create_task(fetcher._execute_task(Fetcher._fetcher.fun(fetcher)))
    await consumer.asleep.wait()
    fetching.cancel()
    await fetching

    assert fetcher.crashed is not is_ending
