"""The relay alone: delivers what workers decide that do not deliver themselves.

Promise   Nothing is lost when it ends or changes place: what is committed waits in the outbox.
How       A relay that learns from the fences what there is (follower.py).
Limits    One at a time; see follower.py. Workers must run with --no-relay.
Not here  Delivering: relay.py, relaying.py.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from rich.console import Console

from streams.clock import Clock
from streams.endpoints import Outside
from streams.follower import Follower
from streams.kafka_producer import KafkaProducer
from streams.kafka_settings import KafkaSettings
from streams.metrics import Metrics
from streams.relaying import Means, open_relay
from streams.scale_out import monotonic_ms, open_reader, prepare, redis_of, serving, shards_of
from streams.settings import Settings
from streams.store import StoreAddress
from streams.store_async import AsyncConnection
from streams.web import Ports


async def run(
    settings: Settings,
    kafka: KafkaSettings,
    metrics: Metrics,
    clock: Clock,
    console: Console,
    stop: asyncio.Event,
    started: Callable[[str], None],
) -> None:
    """Run until `stop` is set; `started` is given the URL of the metrics.

    Raises:
        StreamsError: Kafka, Redis or the address cannot be used.
    """
    url = redis_of(settings)
    store = StoreAddress.parse(url)
    count = await shards_of(kafka)
    await prepare(store, count, settings)
    failures: list[BaseException] = []

    def failed(error: BaseException) -> None:
        failures.append(error)
        stop.set()

    async with AsyncExitStack() as stack:
        producer = KafkaProducer(kafka)
        stack.push_async_callback(producer.close)
        outside = Outside(clock.now_ms, console, producer, kafka.topic_prefix)
        means = Means(url, settings.endpoints, outside, clock, metrics)
        deliveries = await stack.enter_async_context(open_relay(means, failed))
        reader = await stack.enter_async_context(open_reader(store, count))
        probes = {"redis": reader.probe, "log": producer.probe}
        ports = Ports(metrics, clock, monotonic_ms, reader=reader, probes=probes)
        started(await stack.enter_async_context(serving(ports, settings)))
        follower = Follower(AsyncConnection(store), reader, deliveries.relay)
        await follower.run(clock, stop, deliveries.rest)
    if failures:
        raise failures[0]
