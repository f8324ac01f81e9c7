"""librdkafka's mock cluster, called by ctypes: it answers as Kafka, and with the errors it is given."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from tests.faults.mock_cluster import BROKERS, PRODUCE, MockCluster, mock_cluster

PATIENCE_SECONDS = 20.0
COUNT = 3


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with mock_cluster("group", ["events"], 1) as made:
        yield made


def client(cluster: MockCluster) -> dict[str, str | int]:
    return {"bootstrap.servers": ",".join(cluster.servers), "log_level": 0}


def produce(cluster: MockCluster) -> list[KafkaError | None]:
    """One record with its value "v"; what became of it."""
    reports: list[KafkaError | None] = []
    producer = Producer({**client(cluster), "retry.backoff.ms": 1, "retry.backoff.max.ms": 1})
    producer.produce("events", b"v", on_delivery=lambda error, _message: reports.append(error))
    producer.flush(PATIENCE_SECONDS)
    return reports


def read(cluster: MockCluster, count: int) -> list[bytes | None]:
    consumer = Consumer({**client(cluster), "group.id": "group"})
    try:
        consumer.assign([TopicPartition("events", 0, 0)])
        return [each.value() for each in consumer.consume(count, PATIENCE_SECONDS)]
    finally:
        consumer.close()


def test_what_is_produced_can_be_read(cluster: MockCluster) -> None:
    """Else a worker before it would have nothing to lose."""
    assert len(cluster.servers) == BROKERS
    assert produce(cluster) == [None]
    assert read(cluster, 1) == [b"v"]


def test_an_error_is_answered_as_often_as_it_was_given(cluster: MockCluster) -> None:
    """What nobody has met must not count as a fault that was survived."""
    for broker in range(1, BROKERS + 1):
        cluster.fail(broker, PRODUCE, KafkaError.NOT_LEADER_FOR_PARTITION, COUNT)
    assert produce(cluster) == [None]
    left = sorted(cluster.left(broker, PRODUCE) for broker in range(1, BROKERS + 1))

    assert left == [0, *[COUNT] * (BROKERS - 1)]
    assert read(cluster, 1) == [b"v"]


def test_clients_follow_a_leader_that_moves(cluster: MockCluster) -> None:
    """A broker that is taken out of service hands its partitions on first."""
    produced = []
    for _ in range(BROKERS):
        cluster.move_leaders()
        produced += produce(cluster)

    assert produced == [None] * BROKERS
    assert read(cluster, BROKERS) == [b"v"] * BROKERS
