"""The Kafka cluster that settings mean, as its clients are told."""

from typing import TYPE_CHECKING

from streams.commands.options import kafka_log
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.kafka_settings import KafkaSettings


def kafka_settings(settings: Settings, what: str = "this is about Kafka") -> "KafkaSettings":
    """What the clients of the cluster are told; `what` begins the sentence when there is none."""
    from streams.kafka_settings import KafkaSettings

    kafka_log(settings, what)
    return KafkaSettings.of(settings)
