"""The sender: workload.py's events into Kafka at a steady rate, as the gateway produces them.

Run       python benchmarks/latency_parts/sender.py BOOTSTRAP PREFIX FIRST COUNT RATE FILE
Writes    [topic, partition, offset, produced ns, event id] for each event, and how late the sender was.
How       Open loop: each event has its time, and is sent then or, after a delay, at once; latency
          counts from the call of produce, and how late that was is told beside it. An event is dated
          when it is produced, as a shop's are: dated years back, all timers would be due at once.
"""

import gc
import sys
import time
from pathlib import Path
from typing import Final

import orjson
from confluent_kafka import KafkaError, Message, Producer

from benchmarks import workload
from benchmarks.latency_parts.ending import write
from streams.delivery_report import failure
from streams.kafka_settings import KafkaSettings

NAP_NS_MIN: Final = 150_000  # shorter waits are spent in poll, which hears of deliveries
FLUSH_SECONDS_MAX: Final = 30.0

Sent = list[tuple[str, int, int, int, str]]


def main(bootstrap: str, prefix: str, first: int, count: int, rate: int, file: Path) -> None:
    gc.disable()  # it would stop to look at all that was noted
    settings = KafkaSettings((bootstrap,), topic_prefix=prefix)
    producer = Producer(settings.producer())
    producer.list_topics(timeout=10)  # connected before the first event
    sent: Sent = []
    late_us: list[int] = []
    made = [_prepared(settings, value) for value in workload.values(first + count)[first:]]
    gap_ns = 1_000_000_000 // rate
    start_ns = time.monotonic_ns() + 100_000_000
    for number, (topic, name, key, before, after) in enumerate(made):
        due_ns = start_ns + number * gap_ns
        while (left_ns := due_ns - time.monotonic_ns()) > 0:
            if left_ns > NAP_NS_MIN:
                time.sleep((left_ns - NAP_NS_MIN // 2) / 1e9)
            producer.poll(0)
        at_ns = time.monotonic_ns()
        late_us.append((at_ns - due_ns) // 1_000)

        def delivered(
            error: KafkaError | None, message: Message, at_ns: int = at_ns, name: str = name
        ) -> None:
            assert (refused := failure(error, message)) is None, str(refused)
            place = (message.topic(), message.partition(), message.offset())
            sent.append((place[0] or "", place[1] or 0, place[2] or 0, at_ns, name))

        producer.produce(
            topic,
            value=b"%b%d%b" % (before, time.time_ns() // 1_000_000, after),
            key=key,
            on_delivery=delivered,
        )
        producer.poll(0)
    assert not producer.flush(FLUSH_SECONDS_MAX), "not all events were delivered"
    write(file, {"sent": sent, "late_us": late_us})


def _prepared(settings: KafkaSettings, value: bytes) -> tuple[str, str, str, bytes, bytes]:
    """Topic, id and key of an event, and what stands before and after its time."""
    event = orjson.loads(value)
    before, after = value.split(b"%d" % event["at_ms"])
    return settings.input_of(event["type"]), event["id"], event["customer_id"], before, after


if __name__ == "__main__":
    asked = sys.argv[1:]
    main(asked[0], asked[1], int(asked[2]), int(asked[3]), int(asked[4]), Path(asked[5]))
