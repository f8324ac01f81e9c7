"""The worker: what `rapport worker` runs: everything of one process of many, over Kafka.

Promise   Once started, it reads the shards that the group gives it, delivers their actions and answers
          HTTP, until it is asked to end; then it ends within two seconds, with nothing in hand. When a
          part cannot go on, all of it ends with that error: a worker that does nothing must not look
          alive.
How       As up.py: opened in order and closed in the reverse one. The log is closed first, so that the
          last actions are offered to a relay that still works.
Not here  The same in one process for all: up.py. The log: faust_log.py. The command: commands/.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from streams import partitions, topics
from streams.accounting import trouble_of
from streams.endpoints import Outside
from streams.errors import StreamsError
from streams.faust_log import FaustLog
from streams.kafka_claim import claim_of
from streams.kafka_producer import KafkaProducer
from streams.kafka_settings import KafkaSettings
from streams.read import StoreReader
from streams.relaying import Means, open_relay
from streams.safety import check
from streams.settings import Address
from streams.store import Connection, StoreAddress
from streams.store_async import AsyncConnection
from streams.up import Plan
from streams.web import Ports, application, serve

OBSERVE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """What can be used while it runs."""

    address: Address  # of HTTP
    log: FaustLog


async def run(
    plan: Plan,
    kafka: KafkaSettings,
    store: StoreAddress,
    stop: asyncio.Event,
    started: Callable[[Running], None],
) -> None:
    """Run until `stop` is set. Of the plan's settings, log and redis are as `kafka` and `store` say.

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
        counts = await asyncio.to_thread(topics.partition_counts, kafka)
        count = topics.check(kafka, counts)
        await asyncio.to_thread(_prepare, store, count)
        producer = KafkaProducer(kafka)
        stack.push_async_callback(producer.close)
        outside = Outside(
            plan.clock.now_ms, plan.console, producer=producer, topic_prefix=kafka.topic_prefix
        )
        means = Means(
            str(plan.settings.redis),
            plan.settings.endpoints,
            outside,
            plan.clock,
            plan.metrics,
            plan.changed,
        )
        deliveries = await stack.enter_async_context(open_relay(means, failed))
        claim = claim_of(
            kafka, store, plan.rulebook.current, plan.metrics, plan.clock, deliveries, plan.stored
        )
        log = FaustLog(kafka, claim, trouble_of(plan.metrics))
        await stack.enter_async_context(_beside(plan, log, stop))
        address = await _listening(plan, store, count, log, producer, stack)
        started(Running(address, log))
        await log.run(stop)
    if failures:
        raise failures[0]


def _prepare(store: StoreAddress, count: int) -> None:
    """Make sure that this Redis keeps what it is given, and is for as many shards as the topics."""
    connection = Connection(store)
    try:
        check(connection, log_inside=False)
        partitions.settle(connection, count)
    finally:
        connection.close()


@asynccontextmanager
async def _beside(plan: Plan, log: FaustLog, stop: asyncio.Event) -> AsyncIterator[None]:
    """Watch the rule files, and tell metrics how the shards are, as long as the block lasts."""

    async def observe() -> None:
        while True:
            plan.metrics.shards(log.statuses)
            await asyncio.sleep(OBSERVE_SECONDS)

    tasks = [asyncio.create_task(each) for each in (plan.rulebook.watch(stop), observe())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _listening(
    plan: Plan,
    store: StoreAddress,
    count: int,
    log: FaustLog,
    producer: KafkaProducer,
    stack: AsyncExitStack,
) -> Address:
    """Answer HTTP: profiles and actions, rules, probes and metrics. Events go to a gateway."""
    settings = plan.settings
    connection = AsyncConnection(store)
    stack.push_async_callback(connection.close)
    reader = StoreReader(connection, count)
    ports = Ports(
        plan.metrics,
        plan.clock,
        lambda: time.monotonic_ns() // 1_000_000,
        reader=reader,
        rules=plan.rulebook.told,
        reload=plan.rulebook.reload,
        shards=lambda: log.statuses,
        probes={"redis": reader.probe, "log": producer.probe},
    )
    try:
        made = application(ports, settings.http, settings.token)
        runner, address = await serve(made, settings.http)
    except ValueError as error:
        raise StreamsError(str(error)) from error
    except OSError as error:
        raise StreamsError(
            f"{settings.http.host}:{settings.http.port} cannot be listened at:"
            f" {error.strerror or error}; name another address with --http HOST:PORT"
        ) from error
    stack.push_async_callback(runner.cleanup)
    return address
