"""What is in a topic, read to its end by a consumer of our own."""

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from streams.kafka_settings import KafkaSettings

Place = tuple[str, int, int]
"""Topic, partition, offset."""
SECONDS_MAX = 30.0


def records(settings: KafkaSettings, topic: str) -> list[Message]:
    """All records of the topic, partition by partition."""
    consumer = Consumer({**settings.client(), "group.id": "none", "enable.auto.commit": False})
    found: list[Message] = []
    try:
        for number in consumer.list_topics(topic, timeout=SECONDS_MAX).topics[topic].partitions:
            place = TopicPartition(topic, number, OFFSET_BEGINNING)
            _, end = consumer.get_watermark_offsets(place, timeout=SECONDS_MAX)
            consumer.assign([place])
            at = 0
            while at < end:
                messages = consumer.consume(min(1_000, end - at), timeout=SECONDS_MAX)
                assert messages, f"{topic}-{number} does not come to its end at {end}"
                for message in messages:
                    assert message.error() is None, message.error()
                    at = (message.offset() or 0) + 1
                    found.append(message)
        return found
    finally:
        consumer.close()


def headers_of(message: Message) -> dict[str, str]:
    """Its headers as text; of those that are there twice, the last."""
    headers = message.headers() or []
    assert isinstance(headers, list), "the client makes a list of pairs"
    found = {name: value or b"" for name, value in headers}
    return {n: v if isinstance(v, str) else v.decode() for n, v in found.items()}
