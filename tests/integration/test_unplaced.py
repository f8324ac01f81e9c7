"""A record that a broker has dropped without an error is not taken for written.

A new partition, two requests of an idempotent producer under way: the first is refused, the second
accepted, and the first is old from then on (KAFKA-15591). The broker is a real one, of a version before 4.5.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer

from processors.batch import DeadLetter, Origin
from sinks.errors import ProduceError
from streams.errors import LogDownError
from streams.kafka_dead_letters import KafkaDeadLetters
from streams.kafka_producer import KafkaProducer
from streams.kafka_settings import KafkaSettings
from tests.integration.free_port import free_port
from tests.integration.kafka_broker import KafkaBroker, broker_behind
from tests.integration.kafka_interposer import Interposer, interposed

SECONDS_MAX = 20.0
TOPIC = "dlq"


@pytest.fixture
def between(tmp_path: Path) -> Iterator[tuple[Interposer, KafkaBroker]]:
    """A broker with one topic, whose clients all come through the interposer."""
    inner = free_port()
    with (
        interposed(inner, TOPIC) as interposer,
        broker_behind(tmp_path / "kafka", interposer.port, inner) as broker,
    ):
        broker.create_topics(TOPIC, partitions=1)
        yield interposer, broker


def settings_of(interposer: Interposer) -> KafkaSettings:
    return KafkaSettings((f"127.0.0.1:{interposer.port}",))


def test_the_naive_producer_is_told_of_a_success_that_is_none(
    between: tuple[Interposer, KafkaBroker],
) -> None:
    """What ours is measured against: no error, and no record."""
    interposer, broker = between
    producer = Producer(settings_of(interposer).producer())
    errors: list[KafkaError | None] = []
    for value in (b"first", b"second"):
        producer.produce(TOPIC, value, on_delivery=lambda error, _message: errors.append(error))
        producer.poll(0)
        assert interposer.withheld.wait(SECONDS_MAX)
    assert producer.flush(SECONDS_MAX) == 0

    assert errors == [None, None]
    assert broker.read(TOPIC, 2, within_s=2) == [b"second"]


async def test_a_gateway_does_not_acknowledge_it_and_it_can_be_sent_again(
    between: tuple[Interposer, KafkaBroker],
) -> None:
    """Who gets a 200 deletes its copy."""
    interposer, broker = between
    producer = KafkaProducer(settings_of(interposer))
    try:
        first = await producer.send(TOPIC, b"c1", b"first")
        assert await asyncio.to_thread(interposer.withheld.wait, SECONDS_MAX)
        second = await producer.send(TOPIC, b"c1", b"second")
        with pytest.raises(ProduceError, match="has not said where the record is") as caught:
            await first
        places = [await second, await producer.produce(TOPIC, b"c1", b"first")]
    finally:
        await producer.close()

    assert not caught.value.is_final
    assert places == ["dlq/0/0", "dlq/0/1"]
    assert broker.read(TOPIC, 2) == [b"second", b"first"]


def letter(value: bytes) -> DeadLetter:
    origin = Origin("clicks", 0, "0", b"c1", (), 1)
    return DeadLetter(origin, value, "malformed", "", "no JSON", None)


def test_a_dead_letter_is_written_before_the_record_is_passed_by(
    between: tuple[Interposer, KafkaBroker],
) -> None:
    """1 a letter is on its way; 2 it is lost; 3 the fence moves on: nobody would have the record."""
    interposer, broker = between
    port = KafkaDeadLetters(settings_of(interposer))
    first = port.send([letter(b"first")])
    while not interposer.withheld.wait(0.01):
        assert not first.are_there()
    port.send([letter(b"second")]).wait()
    with pytest.raises(LogDownError, match="has not said where"):
        first.wait()
    port.send([letter(b"first")]).wait()

    assert broker.read(TOPIC, 2) == [b"second", b"first"]
