"""The worker: what `rapport worker` runs: everything of one process of many, over Kafka.

Promise   Once started, it reads the shards that the group gives it, delivers their actions and answers
          HTTP, until it is asked to end; then it ends within two seconds, with nothing in hand. When a
          part cannot go on, all of it ends with that error: a worker that does nothing must not look
          alive.
How       As up.py: opened in order and closed in the reverse one. Before the shards are given up, the
          relay comes to rest: what is under way is recorded, and what was decided last is the next
          owner's.
Not here  The same in one process for all: up.py. The log: faust_log.py. The command: commands/.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from streams.accounting import trouble_of
from streams.beside import beside
from streams.deliveries import Deliveries, NoDeliveries
from streams.endpoints import Outside
from streams.faust_log import FaustLog
from streams.inquiry import Inquiry
from streams.kafka_claim import claim_of
from streams.kafka_producer import KafkaProducer
from streams.kafka_settings import KafkaSettings
from streams.outfit import Outfit
from streams.read import StoreReader
from streams.relaying import Means, open_relay
from streams.rule_life import RuleLife
from streams.scale_out import monotonic_ms, open_reader, prepare, serving, shards_of
from streams.store import StoreAddress
from streams.store_async import AsyncConnection
from streams.web import Ports

OBSERVE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """What can be used while it runs."""

    url: str  # of HTTP
    log: FaustLog


async def run(
    outfit: Outfit,
    kafka: KafkaSettings,
    store: StoreAddress,
    stop: asyncio.Event,
    started: Callable[[Running], None],
    *,
    with_relay: bool = True,
) -> None:
    """Run until `stop` is set. Of the outfit's settings, log and redis are as `kafka` and `store` say.

    Without a relay, one that is alone (lone_relay.py) delivers.

    Raises:
        TopicsError: The topics are not as they must be.
        StreamsError: Something else cannot be started, or has ended by itself.
        OSError: The address cannot be listened at.
    """
    failures: list[BaseException] = []

    def failed(error: BaseException) -> None:
        failures.append(error)
        stop.set()

    async with AsyncExitStack() as stack:
        count = await shards_of(kafka)
        await prepare(store, count, outfit.settings)
        connection = AsyncConnection(store)
        stack.push_async_callback(connection.close)
        guard = outfit.guard(connection)
        await guard.begin()
        producer = KafkaProducer(kafka)
        stack.push_async_callback(producer.close)
        outside = Outside(
            outfit.clock.now_ms, outfit.console, producer=producer, topic_prefix=kafka.topic_prefix
        )
        means = Means(
            str(outfit.settings.redis),
            outfit.settings.endpoints,
            outside,
            outfit.clock,
            outfit.metrics,
            outfit.changed,
        )
        deliveries: Deliveries = NoDeliveries()
        if with_relay:
            deliveries = await stack.enter_async_context(open_relay(means, failed))
        claim = claim_of(
            *(kafka, store, outfit.engines, outfit.metrics, outfit.clock, deliveries),
            also=outfit.noted,
            stale_ms=outfit.settings.stale_ms,
        )
        log = FaustLog(kafka, claim, trouble_of(outfit.metrics))
        works = (outfit.rulebook.watch(stop), guard.watch(stop), _observe(outfit, log))
        await stack.enter_async_context(beside(failed, *works))
        reader = await stack.enter_async_context(open_reader(store, count))
        ports = _ports(outfit, log, reader, producer, RuleLife(connection))
        started(Running(await stack.enter_async_context(serving(ports, outfit.settings)), log))
        await log.run(stop, deliveries.rest)
    if failures:
        raise failures[0]


def _ports(
    outfit: Outfit, log: FaustLog, reader: StoreReader, producer: KafkaProducer, life: RuleLife
) -> Ports:
    """Profiles and actions, rules, probes and metrics. Events go to a gateway."""
    return Ports(
        outfit.metrics,
        outfit.clock,
        monotonic_ms,
        reader=reader,
        why=Inquiry(reader, outfit.rulebook.current, outfit.clock.now_ms),
        rules=outfit.rulebook.told,
        reload=outfit.rulebook.reload,
        life=life,
        shards=lambda: log.statuses,
        probes={"redis": reader.probe, "log": producer.probe},
    )


async def _observe(outfit: Outfit, log: FaustLog) -> None:
    """Tell metrics how the shards are, each second."""
    while True:
        outfit.metrics.shards(log.statuses)
        await asyncio.sleep(OBSERVE_SECONDS)
