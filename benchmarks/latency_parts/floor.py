"""The floor: a bare consumer with the worker's own settings, which does nothing but look at the clock.

Run       python benchmarks/latency_parts/floor.py BOOTSTRAP PREFIX PARTITIONS FILE
Writes    [topic, partition, offset, arrived ns] for each record.
"""

import gc
import sys
import time
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from benchmarks.latency_parts.ending import Ending, write
from processors.batch import RECORDS_MAX
from streams.kafka_settings import KafkaSettings

POLL_SECONDS = 0.1


def main(bootstrap: str, prefix: str, partitions: int, file: Path) -> None:
    gc.disable()  # it would stop to look at all that was noted
    ending = Ending()
    settings = KafkaSettings((bootstrap,), topic_prefix=prefix)
    consumer = Consumer(settings.consumer(lambda _error: None))
    consumer.assign(
        [
            TopicPartition(topic, number, OFFSET_BEGINNING)
            for topic in settings.inputs
            for number in range(partitions)
        ]
    )
    seen: list[tuple[str | None, int | None, int | None, int]] = []
    while not ending.is_due:
        messages = consumer.consume(1, POLL_SECONDS)
        if messages:
            messages += consumer.consume(RECORDS_MAX - 1, 0)
        now_ns = time.monotonic_ns()
        seen += [
            (each.topic(), each.partition(), each.offset(), now_ns)
            for each in messages
            if each.error() is None  # the end of a partition is told as an error
        ]
    consumer.close()
    write(file, seen)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
