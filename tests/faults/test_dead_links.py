"""Links that die without a word: a switch loses its power, and nobody closes anything."""

import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streams import topics
from streams.kafka_settings import KafkaSettings
from tests.faults.experiment import Run
from tests.faults.experiments.broker_faults import PROGRESS_SECONDS_MAX, proxied_broker
from tests.integration.kafka_broker import require_kafka


def send(settings: KafkaSettings, value: bytes) -> None:
    """Over a link of its own."""
    producer = Producer(settings.producer())
    producer.produce(settings.input_of("order"), value)
    assert producer.flush(30) == 0


def seconds_until(consumer: Consumer, wanted: bytes) -> float:
    began = time.monotonic()
    while time.monotonic() - began < 3 * PROGRESS_SECONDS_MAX:
        found = consumer.poll(0.1)
        if found is not None and found.error() is None and found.value() == wanted:
            break
    return time.monotonic() - began


@pytest.mark.slow
def test_a_consumer_gives_a_dead_link_up(tmp_path: Path) -> None:
    """By librdkafka's default the partition stands still for a minute: 60.4 s were measured."""
    require_kafka()
    with proxied_broker(Run(1, 1.0, tmp_path, naive=False, say=print)) as (broker, proxy):
        settings = KafkaSettings((broker.bootstrap,), topic_prefix="dead-")
        topics.create(settings, 1, 1)
        consumer = Consumer(settings.consumer(print))
        try:
            consumer.assign([TopicPartition(settings.input_of("order"), 0, 0)])
            send(settings, b"before")
            seconds_until(consumer, b"before")
            deadened = proxy.deaden_all()
            send(settings, b"after")
            stall = seconds_until(consumer, b"after")
        finally:
            consumer.close()

    assert deadened > 0
    assert stall <= PROGRESS_SECONDS_MAX
