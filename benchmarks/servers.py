"""The servers of a benchmark: a real Kafka broker and a real Redis, on loopback, ended with the block.

Promise   Both answer when the block begins; both are ended by their process ids when it ends.
How       The servers of the integration tests (tests/integration): one JVM that is broker and
          controller, with the heap and the collector that Kafka ships with, and a redis-server with an
          append-only file, fsync each second.
Limits    One broker, replication factor 1: no benchmark here measures a cluster.
"""

import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.integration.kafka_broker import AS_SHIPPED, KafkaBroker, running_broker
from tests.integration.redis_server import RedisServer, running_redis
from tests.machine import KAFKA_JARS, java

CPU_INFO = Path("/proc/cpuinfo")


class MissingError(Exception):
    """The machine lacks what a benchmark needs; says what to do."""


def check() -> None:
    """Look for what the servers and the measuring need.

    Raises:
        MissingError: Something is not there.
    """
    if platform.system() != "Linux":
        raise MissingError("CPU time of other processes is read from /proc: this needs Linux")
    if java() is None:
        raise MissingError("Kafka's broker needs Java 17 or newer; install a JRE")
    if not (KAFKA_JARS / ".complete").exists():
        raise MissingError("the jars of Kafka's broker are missing; `make machine` fetches them")


@contextmanager
def kafka() -> Iterator[KafkaBroker]:
    """A broker without topics."""
    with (
        TemporaryDirectory(prefix="rapport-bench-") as folder,
        running_broker(Path(folder) / "kafka", java_options=AS_SHIPPED) as broker,
    ):
        yield broker


@contextmanager
def redis() -> Iterator[RedisServer]:
    """An empty Redis behind a loopback port, as workers share one."""
    with running_redis(tcp=True) as server:
        yield server


def versions(server: RedisServer) -> dict[str, str]:
    """What the figures were measured on."""
    jar = next(iter(sorted(KAFKA_JARS.glob("kafka_*.jar"))), None)
    found = re.search(r"-([\d.]+)\.jar", jar.name) if jar else None
    with server.client(decode_responses=True) as client:
        told = client.info("server")
    model = re.search(r"model name\s*: (.*)", CPU_INFO.read_text())
    cores = subprocess.run(["nproc"], capture_output=True, text=True, check=True).stdout.strip()
    load = Path("/proc/loadavg").read_text().split()[0]
    return {
        "machine": f"{model.group(1) if model else platform.machine()}, {cores} cores",
        "load_before": load,
        "python": platform.python_version(),
        "kafka": found.group(1) if found else "unknown",
        "redis": str(told["redis_version"]),
    }
