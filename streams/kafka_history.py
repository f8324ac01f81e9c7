"""The history that Kafka still holds: its input topics as a source, for what runs over a history.

Promise   Each record that was in the topics when it began, once; shard by shard, and within a shard by
          time, as far as the order of each topic lets it. Reading it joins no group and moves no position.
How       A consumer for each topic of the shard in turn, merged by the records' times.
Limits    SILENT_SECONDS_MAX without a record or an end, then it has broken off. Kafka keeps events for the
          retention of its topics: a week, unless they were made otherwise.
Not here  Reading to fold (data_plane.py). Other sources (source.py).
"""

import hashlib
import heapq
import time
from collections.abc import Iterator
from itertools import islice
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processors.batch import RECORDS_MAX
from streams.kafka_settings import KafkaSettings
from streams.source import Chunk, SourceError
from streams.topics import check, partition_counts

SILENT_SECONDS_MAX: Final = 30.0
POLL_SECONDS: Final = 0.5
AT_ONCE: Final = 1_000  # messages a poll

Record = tuple[int, int, bytes | None]
"""Its time, the number of its topic, and its value."""


class KafkaHistory:
    """A Source (source.py)."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Look what is there.

        Raises:
            TopicsError: The topics are not as they must be.
            LogDownError: No broker answers.
            SourceError: A partition cannot be looked at.
        """
        self._settings = settings
        self.name = f"the topics at {', '.join(settings.servers)}"
        self.notices: tuple[str, ...] = ()
        self._shards = check(settings, partition_counts(settings))
        self._spans = self._looked()

    def fingerprint(self) -> str:
        return hashlib.sha256(repr(sorted(self._spans.items())).encode()).hexdigest()

    def count(self) -> int | None:
        return None  # of compacted topics, and of transactions, offsets tell too much

    def chunks(self, skip: int = 0, size: int = RECORDS_MAX) -> Iterator[Chunk]:
        records = islice(self._records(), skip, None)
        first = skip + 1
        while values := [value for _, _, value in islice(records, size)]:
            yield Chunk(range(first, first + len(values)), values)
            first += len(values)

    def _looked(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Of each partition, where it begins and where it ends now."""
        consumer = Consumer(self._settings.consumer(lambda _error: None))
        try:
            return {
                (topic, number): consumer.get_watermark_offsets(
                    TopicPartition(topic, number), timeout=SILENT_SECONDS_MAX
                )
                for topic in self._settings.inputs
                for number in range(self._shards)
            }
        except KafkaException as error:
            raise SourceError(f"{self.name}: {error}") from error
        finally:
            consumer.close()

    def _records(self) -> Iterator[Record]:
        for number in range(self._shards):
            topics = enumerate(self._settings.inputs)
            # The values are not compared: times are, and of one time the topics' order.
            yield from heapq.merge(
                *(self._partition(place, topic, number) for place, topic in topics),
                key=lambda record: record[:2],
            )

    def _partition(self, place: int, topic: str, number: int) -> Iterator[Record]:
        start, end = self._spans[topic, number]
        if start == end:
            return
        consumer = Consumer(self._settings.consumer(lambda _error: None))
        try:
            consumer.assign([TopicPartition(topic, number, start)])
            deadline = time.monotonic() + SILENT_SECONDS_MAX
            while True:
                messages = consumer.consume(AT_ONCE, POLL_SECONDS)
                if messages:
                    deadline = time.monotonic() + SILENT_SECONDS_MAX
                for message in messages:
                    if self._is_end(message, end):
                        return
                    if message.error() is None:
                        yield message.timestamp()[1], place, message.value()
                if time.monotonic() > deadline:
                    raise SourceError(f"{self.name}: {topic} says nothing any more")
        finally:
            consumer.close()

    def _is_end(self, message: Message, end: int) -> bool:
        """Whether all that was there has been read."""
        error = message.error()
        if error is None:
            return (message.offset() or 0) >= end
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  librdkafka's name for it
            return True
        if error.retriable():
            return False
        raise SourceError(f"{self.name}: {message.topic()}: {error.str()}")
