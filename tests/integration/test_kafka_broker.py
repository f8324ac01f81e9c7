"""The broker that the other integration tests build on is a real one, with all three clients."""

from confluent_kafka import Producer
from kafka import KafkaAdminClient

from tests.integration.kafka_broker import KafkaBroker


def test_records_come_back_in_the_order_in_which_they_were_produced(kafka: KafkaBroker) -> None:
    """Everything else that we test on Kafka assumes this of our set-up."""
    kafka.create_topics("smoke", partitions=1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True})
    for number in range(100):
        producer.produce("smoke", key=b"customer-1", value=str(number).encode())
    unsent = producer.flush(30)

    assert unsent == 0
    assert kafka.read("smoke", 100) == [str(number).encode() for number in range(100)]


def test_topics_are_seen_by_the_administration_client(kafka: KafkaBroker) -> None:
    """`rapport topics` and `rapport doctor` are built on kafka-python."""
    kafka.create_topics("administered", partitions=3)
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        (topic,) = admin.describe_topics(["administered"])
    finally:
        admin.close()

    assert len(topic["partitions"]) == 3
