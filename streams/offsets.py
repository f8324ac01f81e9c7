"""Offsets: where partitions begin or end, as their brokers say now.

Limits    One request a call, for as many partitions as it is about.
Not here  What the last fetches have said, which costs no request (feed.py).
"""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from confluent_kafka import TopicPartition

Place: TypeAlias = tuple[str, int]  # topic, partition


class Offsets(Protocol):
    """The part of a librdkafka consumer that tells offsets; tests have another."""

    def offsets_for_times(
        self, partitions: list[TopicPartition], timeout: float = -1
    ) -> list[TopicPartition]: ...


def offsets_of(
    consumer: Offsets, places: Sequence[Place], which: int, seconds_max: float
) -> dict[Place, int]:
    """The first offset (OFFSET_BEGINNING) or the end (OFFSET_END) of each that has a leader.

    Raises:
        KafkaException: Nobody answered in time; librdkafka says why to `error_cb`.
    """
    # As in Kafka's protocol, OFFSET_BEGINNING and OFFSET_END are times of their own: -2 and -1.
    asked = [TopicPartition(topic, number, which) for topic, number in places]
    answers = consumer.offsets_for_times(asked, timeout=seconds_max)
    return {(each.topic, each.partition): each.offset for each in answers if each.error is None}
