"""Topics on a real Kafka: made together, refused when they do not fit, measured."""

import time

import pytest
from confluent_kafka import Producer

from streams import topics
from streams.errors import LogDownError, TopicsError
from streams.kafka_settings import KafkaSettings
from tests.integration.free_port import free_port
from tests.integration.kafka_broker import ONE_AT_A_TIME, KafkaBroker

KNOWN_SECONDS_MAX = 10.0
NOW_MS = 1_700_000_060_000

pytestmark = pytest.mark.slow


def test_topics_are_made_once_and_fit_together(kafka: KafkaBroker) -> None:
    """Running it again, after an upgrade for instance, must be safe."""
    settings = KafkaSettings((kafka.bootstrap,), topic_prefix="made-")
    assert len(topics.create(settings, 3, 1)) == 6
    assert topics.create(settings, 3, 1) == []
    assert topics.check(settings, topics.partition_counts(settings)) == 3

    with pytest.raises(TopicsError) as caught:
        topics.create(settings, 4, 1)
    assert len(caught.value.problems) == 4


def test_unequal_partition_counts_are_refused_with_the_mend(kafka: KafkaBroker) -> None:
    """They would send a customer's clicks and orders to two shards, and nothing would say so."""
    settings = KafkaSettings((kafka.bootstrap,), topic_prefix="unequal-")
    kafka.create_topics(*settings.inputs[:3], settings.dead_letters, partitions=2)
    until_known(settings, 4)
    with pytest.raises(TopicsError, match="customers does not exist"):
        topics.check(settings, topics.partition_counts(settings))

    kafka.create_topics(settings.inputs[3], partitions=3)
    until_known(settings, 5)
    with pytest.raises(TopicsError, match="give it 3") as caught:
        topics.check(settings, topics.partition_counts(settings))
    assert len(caught.value.problems) == 3


def until_known(settings: KafkaSettings, count: int) -> None:
    """A topic that was just made is not in everybody's metadata at once."""
    deadline = time.monotonic() + KNOWN_SECONDS_MAX
    while len(topics.partition_counts(settings)) < count:
        assert time.monotonic() < deadline, topics.partition_counts(settings)


def test_lag_tells_records_and_the_age_of_the_oldest(kafka: KafkaBroker) -> None:
    """A thousand records may be a second or a day; on call, both numbers are needed."""
    settings = KafkaSettings((kafka.bootstrap,), topic_prefix="lag-")
    topics.create(settings, 2, 1)
    producer = Producer({**settings.producer(), **ONE_AT_A_TIME})
    for second in range(10):
        at_ms = NOW_MS - 60_000 + second * 1_000
        producer.produce(settings.inputs[0], b"{}", partition=1, timestamp=at_ms)
    assert producer.flush(20) == 0

    found = topics.lag(settings, {(settings.inputs[0], 1): 4}, NOW_MS)
    behind = [each for each in found if each.records]
    assert len(found) == 8
    assert [(each.topic, each.partition) for each in behind] == [(settings.inputs[0], 1)]
    assert (behind[0].records, behind[0].age_ms) == (6, 56_000)


def test_without_a_broker_it_says_so() -> None:
    """A trace of a client library helps nobody at 3 a.m."""
    with pytest.raises(LogDownError, match="no broker answers"):
        topics.partition_counts(KafkaSettings((f"127.0.0.1:{free_port()}",)))
