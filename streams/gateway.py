"""The gateway: events come in over HTTP and go to Kafka; profiles are shown where Redis is known.

Promise   200 means that the events are on all in-sync replicas. It keeps nothing: any number of them may
          run, and one that ends loses nothing that it has said yes to.
Not here  HTTP itself: web.py, intake.py. Producing: kafka_producer.py.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from streams.clock import Clock
from streams.kafka_producer import KafkaAppender, KafkaProducer
from streams.kafka_settings import KafkaSettings
from streams.metrics import Metrics
from streams.probes import Probe
from streams.read import StoreReader
from streams.scale_out import monotonic_ms, open_reader, prepare, serving, shards_of
from streams.settings import Settings
from streams.store import StoreAddress
from streams.web import Ports


async def run(
    settings: Settings,
    kafka: KafkaSettings,
    metrics: Metrics,
    clock: Clock,
    stop: asyncio.Event,
    started: Callable[[str], None],
) -> None:
    """Run until `stop` is set; `started` is given the URL.

    Raises:
        StreamsError: Kafka, Redis or the address cannot be used.
    """
    count = await shards_of(kafka)
    async with AsyncExitStack() as stack:
        producer = KafkaProducer(kafka)
        stack.push_async_callback(producer.close)
        reader: StoreReader | None = None
        probes: dict[str, Probe] = {"log": producer.probe}
        if settings.redis is not None:
            store = StoreAddress.parse(settings.redis)
            await prepare(store, count, settings)
            reader = await stack.enter_async_context(open_reader(store, count))
            probes["redis"] = reader.probe
        appender = KafkaAppender(kafka, producer)
        ports = Ports(metrics, clock, monotonic_ms, appender=appender, reader=reader, probes=probes)
        started(await stack.enter_async_context(serving(ports, settings)))
        await stop.wait()
