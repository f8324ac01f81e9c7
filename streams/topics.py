"""The topics: made, checked and measured.

Promise   Input topics that do not fit together are refused, with all that is wrong and how to mend it:
          unequal partition counts would tear shards apart without a sign.
How       kafka-python's administration; committed offsets of the group as progress.
Limits    REQUEST_MS_MAX a request; READ_SECONDS_MAX to look at what waits.
Not here  Changing partition counts: that moves customers between shards, see partitions.py.
"""

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as Partition
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError, KafkaTimeoutError

from streams.errors import LogDownError, TopicsError
from streams.kafka_settings import DAY_MS, KafkaSettings

REQUEST_MS_MAX: Final = 10_000
CONNECT_SECONDS_MAX: Final = 2.0
READ_SECONDS_MAX: Final = 5.0
RETENTION_MS: Final = 7 * DAY_MS  # of events and actions; profiles outlive it
DEAD_LETTERS_BYTES_MAX: Final = (
    1 << 30
)  # a partition; they keep their old times, so time is no bound

Place = tuple[str, int]  # topic, partition


@dataclass(frozen=True, slots=True)
class TopicLag:
    """How far we are behind in one partition."""

    topic: str
    partition: int
    position: int
    end: int
    age_ms: int  # of the oldest record that waits; 0 where none does

    @property
    def records(self) -> int:
        return self.end - self.position


def partition_counts(settings: KafkaSettings) -> dict[str, int]:
    """How many partitions each of our topics has; those that do not exist are left out.

    Raises:
        LogDownError: No broker answers.
    """
    names = {*settings.inputs, settings.dead_letters, settings.actions}
    with _administration(settings) as admin:
        return {
            each["name"]: len(each["partitions"])
            for each in admin.describe_topics()
            if each["name"] in names
        }


def check(settings: KafkaSettings, counts: Mapping[str, int]) -> int:
    """The number of shards.

    Raises:
        TopicsError: A topic is missing, or the input topics have different partition counts.
    """
    problems = [
        f"topic {name} does not exist; make it with: rapport topics create"
        for name in (*settings.inputs, settings.dead_letters)
        if name not in counts
    ]
    inputs = {name: counts[name] for name in settings.inputs if name in counts}
    if len(set(inputs.values())) > 1:
        most = max(inputs.values())
        problems += [
            f"topic {name} has {count} partitions and another has {most}: a customer's events would be"
            f" torn apart; give it {most}, and let its old records be read first"
            for name, count in inputs.items()
            if count != most
        ]
    if problems:
        raise TopicsError(tuple(problems))
    return next(iter(inputs.values()))


def create(settings: KafkaSettings, partitions: int, replication: int) -> list[str]:
    """Make the topics that do not exist, and return their names.

    Records keep the time their producer gave them: replayed dead letters keep theirs, and a backlog is
    aligned by it.

    Raises:
        TopicsError: The input topics that exist have another partition count.
        LogDownError: No broker answers, or one refuses.
    """
    counts = partition_counts(settings)
    problems = tuple(
        f"topic {name} has {counts[name]} partitions, not {partitions}; all input topics need as many"
        for name in settings.inputs
        if counts.get(name, partitions) != partitions
    )
    if problems:
        raise TopicsError(problems)
    aged = {"retention.ms": str(RETENTION_MS), "message.timestamp.type": "CreateTime"}
    bounded = {**aged, "retention.ms": "-1", "retention.bytes": str(DEAD_LETTERS_BYTES_MAX)}
    configs = dict.fromkeys((*settings.inputs, settings.actions), aged)
    configs[settings.dead_letters] = bounded
    wanted = {
        name: {"num_partitions": partitions, "replication_factor": replication, "configs": config}
        for name, config in configs.items()
        if name not in counts
    }
    with _administration(settings) as admin:
        if wanted:
            admin.create_topics(wanted, timeout_ms=REQUEST_MS_MAX, wait_for_metadata=True)
    return list(wanted)


def committed(settings: KafkaSettings) -> dict[Place, int]:
    """The positions that the group has committed: progress as of a second ago. The truth is the fence.

    Raises:
        LogDownError: No broker answers.
    """
    with _administration(settings) as admin:
        found = admin.list_group_offsets(settings.group)[settings.group]
        return {(place.topic, place.partition): each.offset for place, each in found.items()}


def lag(settings: KafkaSettings, positions: Mapping[Place, int], now_ms: int) -> list[TopicLag]:
    """How far `positions` are behind the ends of the input topics; absent = the first record kept.

    Raises:
        LogDownError: No broker answers.
        TopicsError: The topics are not as they must be.
    """
    count = check(settings, partition_counts(settings))
    places = [(topic, number) for topic in settings.inputs for number in range(count)]
    with _administration(settings) as admin:
        first = _offsets(admin, places, OffsetSpec.EARLIEST)
        end = _offsets(admin, places, OffsetSpec.LATEST)
    starts = {place: positions.get(place, first[place]) for place in places}
    waiting = {place: start for place, start in starts.items() if start < end[place]}
    times_ms = _times_ms(settings, waiting)
    return [
        TopicLag(*place, starts[place], end[place], max(0, now_ms - times_ms.get(place, now_ms)))
        for place in places
    ]


def _offsets(admin: Any, places: list[Place], which: int) -> dict[Place, int]:  # noqa: ANN401  untyped library
    found = admin.list_partition_offsets({TopicPartition(*place): which for place in places})
    return {(place.topic, place.partition): each.offset for place, each in found.items()}


def _times_ms(settings: KafkaSettings, starts: Mapping[Place, int]) -> dict[Place, int]:
    """The record time of the first record from each start on, of those that can be read in time."""
    times_ms: dict[Place, int] = {}
    if not starts:
        return times_ms
    quiet = {"auto.offset.reset": "earliest", "log_level": 0}
    consumer = Consumer({**settings.consumer(lambda _error: None), **quiet})
    try:
        consumer.assign([Partition(*place, start) for place, start in starts.items()])
        deadline = time.monotonic() + READ_SECONDS_MAX
        while len(times_ms) < len(starts) and time.monotonic() < deadline:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                place = (message.topic() or "", message.partition() or 0)
                times_ms[place] = message.timestamp()[1]
                consumer.incremental_unassign([Partition(*place)])
    finally:
        consumer.close()
    return times_ms


@contextmanager
def _administration(settings: KafkaSettings) -> Iterator[Any]:
    """An administration client, whose errors become ours.

    kafka-python leaves its sockets open when nobody answers it, so somebody is looked for first.
    """
    if not any(_answers(server) for server in settings.servers):
        raise LogDownError("administration", f"no broker answers at {', '.join(settings.servers)}")
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=list(settings.servers),
            client_id="rapport",
            request_timeout_ms=REQUEST_MS_MAX,
            bootstrap_timeout_ms=REQUEST_MS_MAX,
            **settings.security.kafka_python(),
        )
        try:
            yield admin
        finally:
            admin.close()
    except KafkaTimeoutError as error:
        # Somebody listens there. kafka-python tries a refused login again until its time is over.
        protocol = settings.security.protocol
        detail = f"{error}; if brokers do not speak {protocol}, or refuse the login, see [kafka]"
        raise LogDownError("administration", f"{detail} in the settings") from error
    except KafkaError as error:
        raise LogDownError("administration", str(error)) from error


def _answers(server: str) -> bool:
    host, _, port = server.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS_MAX).close()
    except OSError:
        return False
    return True
