"""The control plane in a real group: it joins, publishes targets, commits, and fetches nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest
from aiokafka.client import AIOKafkaClient
from confluent_kafka import Producer

from streams import control_plane, topics
from streams.control_plane import GroupApp
from streams.data_plane import DataPlane
from streams.kafka_settings import KafkaSettings
from streams.ownership import Target
from tests.integration.kafka_broker import ONE_AT_A_TIME, KafkaBroker

PARTITIONS = 4
SECONDS_MAX = 20.0

pytestmark = pytest.mark.slow


@dataclass
class Plane:
    """What the control plane sees of a data plane."""

    busy: bool = False
    is_stuck: bool = False
    positions: dict[int, dict[str, int]] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)

    @property
    def beat_ms(self) -> int:
        return 0 if self.is_stuck else time.monotonic_ns()

    def aim(self, target: Target) -> None:
        self.targets.append(target)

    @property
    def shards(self) -> frozenset[int]:
        return self.targets[-1].shards if self.targets else frozenset()


@asynccontextmanager
async def member(settings: KafkaSettings, plane: Plane) -> AsyncIterator[GroupApp]:
    """A member of the group, as long as the block lasts."""
    app = GroupApp(settings, cast("DataPlane", plane))
    starting = asyncio.create_task(app.start())
    try:
        yield app
    finally:
        await app.stop()
        await asyncio.gather(starting, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.05)


def made(kafka: KafkaBroker, prefix: str) -> KafkaSettings:
    settings = KafkaSettings(
        (kafka.bootstrap,), group=prefix + "g", topic_prefix=prefix, session_timeout_ms=2_000
    )
    topics.create(settings, PARTITIONS, 1)
    return settings


def fill(settings: KafkaSettings, count: int) -> None:
    producer = Producer({**settings.producer(), **ONE_AT_A_TIME})
    for number in range(count):
        for topic in settings.inputs:
            producer.produce(topic, b"{}", str(number))
    assert producer.flush(20) == 0


async def test_the_group_is_held_and_nothing_is_fetched(
    kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each record fetched twice would double the broker's work and ours."""
    requests: list[str] = []
    send: Callable[..., Awaitable[object]] = AIOKafkaClient.send

    async def counted(self: AIOKafkaClient, node: int, request: object, **more: object) -> object:
        requests.append(type(request).__name__)
        return await send(self, node, request, **more)

    monkeypatch.setattr(AIOKafkaClient, "send", counted)
    settings = await asyncio.to_thread(made, kafka, "held-")
    await asyncio.to_thread(fill, settings, 200)
    plane = Plane()
    async with member(settings, plane):
        await until(lambda: plane.shards == frozenset(range(PARTITIONS)))
        await asyncio.sleep(3 * control_plane.TICK_SECONDS)

    assert any(each.startswith("Heartbeat") for each in requests), "the counter sees what is sent"
    assert [each for each in requests if each.startswith("Fetch")] == []


async def test_kafkas_offsets_follow_what_is_committed(kafka: KafkaBroker) -> None:
    """Kafka's own tools show lag by them, and operators look there first."""
    settings = await asyncio.to_thread(made, kafka, "follow-")
    await asyncio.to_thread(fill, settings, 100)
    plane = Plane()
    async with member(settings, plane):
        await until(lambda: plane.shards)
        plane.positions = {0: dict.fromkeys(settings.inputs, 3)}
        await asyncio.sleep(2.5)
        during = await asyncio.to_thread(topics.committed, settings)
        plane.positions = {0: dict.fromkeys(settings.inputs, 7)}
    after = await asyncio.to_thread(topics.committed, settings)

    assert during == {(topic, 0): 3 for topic in settings.inputs}
    assert after == {(topic, 0): 7 for topic in settings.inputs}, "at its end, what is left"


async def test_shards_move_whole_and_the_batch_in_hand_is_waited_for(kafka: KafkaBroker) -> None:
    """While a batch is in hand, its commit and the next owner's first step would race."""
    settings = await asyncio.to_thread(made, kafka, "move-")
    one, two = Plane(), Plane()
    async with member(settings, one):
        await until(lambda: len(one.shards) == PARTITIONS)
        one.busy = True
        async with member(settings, two):
            await until(lambda: one.targets[-1] == Target())
            await asyncio.sleep(0.5)
            assert not two.shards, "the first owner is not done"
            one.busy = False
            await until(lambda: len(one.shards) == len(two.shards) == PARTITIONS // 2)
            assert not one.shards & two.shards
        await until(lambda: len(one.shards) == PARTITIONS)

    generations = [target.generation for target in one.targets if target.shards]
    assert generations == sorted(set(generations)), "each target is of a newer generation"


async def test_a_third_member_is_given_shards_too(kafka: KafkaBroker) -> None:
    """By its own setting, Faust's assignor would leave it idle."""
    settings = await asyncio.to_thread(made, kafka, "third-")
    planes = [Plane(), Plane(), Plane()]
    async with (
        member(settings, planes[0]),
        member(settings, planes[1]),
        member(settings, planes[2]),
    ):
        await until(lambda: all(plane.shards for plane in planes))
        await until(lambda: sum(len(plane.shards) for plane in planes) == PARTITIONS)

    assert sorted(set().union(*(each.targets[-2].shards for each in planes))) == [0, 1, 2, 3]


async def test_a_stuck_data_plane_loses_its_shards_until_it_turns_again(
    kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heartbeats come from another thread; without this a dead worker would look alive for ever."""
    monkeypatch.setattr(control_plane, "SILENCE_SECONDS_MAX", 3.0)
    settings = await asyncio.to_thread(made, kafka, "stuck-")
    stuck, other = Plane(), Plane()
    async with member(settings, stuck), member(settings, other):
        await until(lambda: len(stuck.shards) == len(other.shards) == PARTITIONS // 2)
        await asyncio.sleep(5)  # longer than the silence that is allowed: who turns stays
        assert len(stuck.shards) == len(other.shards) == PARTITIONS // 2

        stuck.is_stuck = True
        await until(lambda: len(other.shards) == PARTITIONS)
        await asyncio.sleep(
            2
        )  # aiokafka forgets who was silent, and would not let it join by itself
        stuck.is_stuck = False
        await until(lambda: len(stuck.shards) == len(other.shards) == PARTITIONS // 2)
