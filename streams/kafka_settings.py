"""What the Kafka log needs to know, and how each of its clients is told.

Promise   The consumer, the producers and the administration of one worker speak to the same cluster
          with the same rights.
Limits    The constants below. `queued.min.messages` stays at its default: at 1, the median latency
          was 603 ms.
Not here  Reading settings (settings.py). Faust's own settings (control_plane.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from processors.event import KINDS
from streams.kafka_security import Security
from streams.settings import KafkaLog, Settings, SettingsError

__all__ = ("INPUTS", "KafkaSettings")

# In the order in which records of the same millisecond are folded.
INPUTS: Final = {
    "click": "clicks",
    "order": "orders",
    "service": "service",
    "customer": "customers",
}
assert tuple(INPUTS) == KINDS, "a topic for each kind"

QUEUED_KBYTES_MAX: Final = (
    16 * 1024
)  # a partition that is fetched ahead; librdkafka's default is 64 MB
FETCH_BYTES_MAX: Final = 256 * 1024  # of one partition at once: the others' turn comes sooner
SILENCE_MS_MAX: Final = (
    6_000  # a link that answers nothing is given up; librdkafka's default is 60 s
)
DELIVERY_MS_MAX: Final = 30_000  # after that a producer gives a record up, and says so
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """The Kafka log of one worker or gateway."""

    servers: tuple[str, ...]  # "host:port" each
    group: str = "rapport"
    topic_prefix: str = ""
    session_timeout_ms: int = 10_000
    fetch_min_bytes: int = 1  # see kafka_access.py, also for the next
    fetch_wait_ms_max: int = 100
    accept_gap: bool = (
        False  # go on at the log's start where it no longer holds what the fence wants
    )
    security: Security = field(default_factory=Security)

    @classmethod
    def of(cls, settings: Settings) -> "KafkaSettings":
        """The Kafka log that the settings name.

        Raises:
            SettingsError: They name the embedded log, or certificates that cannot be used.
        """
        if not isinstance(settings.log, KafkaLog):
            raise SettingsError(("log: this command needs Kafka; say --log kafka://HOST:PORT",))
        return cls(
            settings.log.servers,
            group=settings.group,
            topic_prefix=settings.topic_prefix,
            session_timeout_ms=settings.session_timeout_ms,
            accept_gap=settings.accept_gap,
            fetch_min_bytes=settings.kafka.fetch_min_bytes,
            fetch_wait_ms_max=settings.kafka.fetch_wait_ms_max,
            security=Security.of(settings.kafka),
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The input topics, in the order in which ties are broken."""
        return tuple(self.topic_prefix + name for name in INPUTS.values())

    @property
    def dead_letters(self) -> str:
        return self.topic_prefix + "dlq"

    @property
    def actions(self) -> str:
        return self.topic_prefix + "actions"

    def input_of(self, kind: str) -> str:
        return self.topic_prefix + INPUTS[kind]

    def client(self) -> dict[str, object]:
        """What every librdkafka client is told."""
        return {
            "bootstrap.servers": ",".join(self.servers),
            "client.id": "rapport",
            # Brokers come back within seconds; the default of 10 s would add as much to each outage.
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 500,
            **self.security.librdkafka(),
        }

    def consumer(self, on_error: Callable[[object], None]) -> dict[str, object]:
        """The data plane's consumer: partitions assigned by hand, positions from the fence."""
        return {
            **self.client(),
            "group.id": self.group,  # asked for, and never joined
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",  # a gap is told, never skipped
            "enable.partition.eof": True,  # behind the last record may be markers, which nobody is given
            "fetch.min.bytes": self.fetch_min_bytes,
            "fetch.wait.max.ms": self.fetch_wait_ms_max,
            "fetch.message.max.bytes": FETCH_BYTES_MAX,
            "queued.max.messages.kbytes": QUEUED_KBYTES_MAX,
            "socket.timeout.ms": SILENCE_MS_MAX + self.fetch_wait_ms_max,
            "max.poll.interval.ms": DAY_MS,  # it is in no group that could lose it
            "error_cb": on_error,
        }

    def producer(self) -> dict[str, object]:
        """A producer whose records are on all replicas when it says so, and in order."""
        return {
            **self.client(),
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",  # as Java's: the shard of a customer is the same everywhere
            "linger.ms": 0,  # batches form by themselves while earlier ones are under way
            "delivery.timeout.ms": DELIVERY_MS_MAX,
        }
