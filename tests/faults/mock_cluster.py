"""librdkafka's mock cluster: brokers in this process that answer with the errors that they are given.

Promise   A client speaks to it as to Kafka. An error counts as met when a broker has answered with it.
How       `librdkafka` carries the mock cluster for its own tests; confluent-kafka shows only a way to
          make one, none to give it errors. So the library that confluent-kafka has loaded is called by
          ctypes: what is called here is in its public `rdkafka_mock.h`.
Limits    What clients of a group, of records and of offsets ask; no administration but metadata. A
          partition keeps its newest 5 MB.
"""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

BROKERS: Final = 3
PRODUCER: Final = 0  # rd_kafka_type_t; the cluster only needs some client to live in
ERROR_BYTES: Final = 512

# Numbers of requests in Kafka's protocol.
PRODUCE: Final = 0
FETCH: Final = 1
LIST_OFFSETS: Final = 2
OFFSET_COMMIT: Final = 8
HEARTBEAT: Final = 12


def library() -> Path:
    """The librdkafka of confluent-kafka's wheel."""
    spec = find_spec("confluent_kafka")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    folders = (package.with_name("confluent_kafka.libs"), package / ".dylibs")
    found = [each for folder in folders for each in folder.glob("librdkafka*")]
    assert len(found) == 1, f"one librdkafka comes with confluent-kafka, not {found}"
    return found[0]


def _calls() -> ctypes.CDLL:
    """With the types of arguments and results: pointers do not fit into C's int."""
    calls = ctypes.CDLL(str(library()))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    short, long, size = ctypes.c_int16, ctypes.c_int32, ctypes.c_size_t
    signatures: dict[str, tuple[object, list[object]]] = {
        "conf_new": (pointer, []),
        "conf_set": (number, [pointer, text, text, text, size]),
        "new": (pointer, [number, pointer, text, size]),
        "destroy": (None, [pointer]),
        "mock_cluster_new": (pointer, [pointer, number]),
        "mock_cluster_destroy": (None, [pointer]),
        "mock_cluster_bootstraps": (text, [pointer]),
        "mock_topic_create": (number, [pointer, text, number, number]),
        "mock_partition_set_leader": (number, [pointer, text, long, long]),
        "mock_coordinator_set": (number, [pointer, text, text, long]),
        "mock_group_initial_rebalance_delay_ms": (None, [pointer, long]),
        "mock_broker_set_down": (number, [pointer, long]),
        "mock_broker_set_up": (number, [pointer, long]),
        "mock_broker_push_request_error_rtts": (number, [pointer, long, short, size]),
        "mock_broker_error_stack_cnt": (
            number,
            [pointer, long, short, ctypes.POINTER(ctypes.c_size_t)],
        ),
    }
    for name, (result, arguments) in signatures.items():
        call = getattr(calls, f"rd_kafka_{name}")
        call.restype, call.argtypes = result, arguments
    return calls


class MockCluster:
    """BROKERS brokers, numbered from 1. Moves and errors are in force on return."""

    def __init__(self, group: str, topics: Sequence[str], partitions: int) -> None:
        """Start it, with these topics; the first broker coordinates the group."""
        self._calls = _calls()
        words = ctypes.create_string_buffer(ERROR_BYTES)
        settings = self._calls.rd_kafka_conf_new()
        self._calls.rd_kafka_conf_set(settings, b"log_level", b"0", words, ERROR_BYTES)
        self._client = self._calls.rd_kafka_new(PRODUCER, settings, words, ERROR_BYTES)
        assert self._client, words.value.decode()
        self._cluster = self._calls.rd_kafka_mock_cluster_new(self._client, BROKERS)
        assert self._cluster, "the mock cluster starts"
        self._group, self._topics, self._partitions = group.encode(), topics, partitions
        self._calls.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        for topic in topics:
            self._call("topic_create", topic.encode(), partitions, 1)
        self._moves = 0
        self.move_leaders()
        self.move_coordinator(1)

    @property
    def servers(self) -> list[str]:
        found: bytes = self._calls.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return found.decode().split(",")

    def close(self) -> None:
        self._calls.rd_kafka_mock_cluster_destroy(self._cluster)
        self._calls.rd_kafka_destroy(self._client)

    def move_leaders(self) -> None:
        """Give each partition another leader; the former one answers that it is none any more."""
        self._moves += 1
        for number, topic in enumerate(self._topics):
            for partition in range(self._partitions):
                broker = (number + partition + self._moves) % BROKERS + 1
                self._call("partition_set_leader", topic.encode(), partition, broker)

    def move_coordinator(self, broker: int) -> None:
        """The former coordinator of the group answers that it is none any more."""
        self._call("coordinator_set", b"group", self._group, broker)
        self.coordinator = broker

    def stop(self, broker: int) -> None:
        """End its connections, and take no new ones."""
        self._call("broker_set_down", broker)

    def start(self, broker: int) -> None:
        self._call("broker_set_up", broker)

    def fail(self, broker: int, request: int, code: int, count: int, late_ms: int = 0) -> None:
        """Answer the next `count` requests of this kind with the error, `late_ms` after they came.

        The code of librdkafka for a broken connection breaks it. 0 is no error: a late answer.
        """
        for _ in range(count):
            self._call("broker_push_request_error_rtts", broker, request, 1, code, late_ms)

    def left(self, broker: int, request: int) -> int:
        """How many of those are still to be answered with."""
        count = ctypes.c_size_t()
        self._call("broker_error_stack_cnt", broker, request, ctypes.byref(count))
        return count.value

    def _call(self, name: str, *arguments: object) -> None:
        code = getattr(self._calls, f"rd_kafka_mock_{name}")(self._cluster, *arguments)
        assert code == 0, f"{name} {arguments}: {code}"


@contextmanager
def mock_cluster(group: str, topics: Sequence[str], partitions: int) -> Iterator[MockCluster]:
    """A cluster that ends with the block."""
    cluster = MockCluster(group, topics, partitions)
    try:
        yield cluster
    finally:
        cluster.close()
