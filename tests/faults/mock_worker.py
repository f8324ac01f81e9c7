"""The worker of the integration tests before a mock cluster, which has no administration. A script.

Only the first look at the topics differs: it is asked of librdkafka instead of kafka-python.
"""

from confluent_kafka import Consumer

from streams import faust_log
from streams.kafka_settings import KafkaSettings
from tests.integration import kafka_worker

ANSWER_SECONDS_MAX = 10.0


def partition_counts(settings: KafkaSettings) -> dict[str, int]:
    consumer = Consumer({**settings.client(), "group.id": "none"})
    try:
        found = consumer.list_topics(timeout=ANSWER_SECONDS_MAX).topics
    finally:
        consumer.close()
    return {name: len(each.partitions) for name, each in found.items()}


if __name__ == "__main__":
    vars(faust_log)["partition_counts"] = partition_counts
    kafka_worker.main()
