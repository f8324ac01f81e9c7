"""A real Kafka broker for tests and benchmarks: one JVM that is broker and controller (KRaft).

Promise   `running_broker` hands over a broker that answers, and ends it by its process id whatever
          happens. `kill` and `start` bring it back on the same port with the same data.
How       The jars that `.ci/setup` fetched, formatted and started without Kafka's shell scripts.
Limits    Loopback only, plain text, replication factor 1. Topics are not made by themselves.
Not here  Several brokers, TLS, SASL.
"""

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.integration.free_port import free_port
from tests.machine import KAFKA_JARS, java, require

READY_SECONDS_MAX = 60.0  # 3 to 5 on two quiet cores
STOP_SECONDS_MAX = 20.0
CLUSTER_ID = "cmFwcG9ydC10ZXN0cw4wNg"  # any 16 bytes in base64, without padding

SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # One broker can only hold one copy; few internal partitions start faster.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # The cleaner's default of 128 MB would be a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": "8388608",
    # A broker killed and started again is let in when its old session has run out.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
}

# For tests: little memory; on two cores the parallel collectors cost more than they save.
SMALL: Sequence[str] = ("-Xmx512m", "-Xms512m", "-XX:+UseSerialGC")

# For benchmarks: as Kafka's own scripts start a broker (bin/kafka-run-class.sh, kafka-server-start.sh). A
# small heap is collected every second, for 20 ms in which nobody hears from the broker.
AS_SHIPPED: Sequence[str] = (
    *("-Xmx1G", "-Xms1G", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"),
    *("-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"),
)

# For producers that nobody sends again for: of several requests at once to a new partition, brokers before
# Kafka 4.5 may lose the first (streams/delivery_report.py).
ONE_AT_A_TIME: Mapping[str, object] = {"max.in.flight.requests.per.connection": 1}

LOGGING = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %p %c: %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""


@dataclass
class KafkaBroker:
    """A broker on its own port and folder. Not running before `start`."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    java_options: Sequence[str] = SMALL
    port: int = field(default_factory=free_port)
    controller_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "broker.log"

    def start(self) -> None:
        """Start the broker, formatting its folder the first time, and wait until it answers.

        Raises:
            RuntimeError: It ended, or did not answer in READY_SECONDS_MAX; with the end of its log.
        """
        assert self.process is None, "the broker is running"
        if not (self.folder / "server.properties").exists():
            self._format()
        properties = str(self.folder / "server.properties")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._java(), "kafka.Kafka", properties],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_ready(self.process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End the broker in order, as a deployment would; kill it when it takes too long."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self) -> None:
        """End the broker as a power cut would. Its data stay for the next `start`."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None

    def pause(self) -> None:
        """Freeze the broker (SIGSTOP) until `resume`: it holds its connections and says nothing."""
        assert self.process is not None, "the broker is not running"
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None, "the broker is not running"
        self.process.send_signal(signal.SIGCONT)

    def create_topics(self, *names: str, partitions: int = 4) -> None:
        """Create topics and wait until they exist."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        topics = [NewTopic(name, num_partitions=partitions, replication_factor=1) for name in names]
        for future in admin.create_topics(topics).values():
            future.result(timeout=30)

    def read(self, topic: str, count: int, within_s: float = 30.0) -> list[bytes | None]:
        """The values of the first `count` records of the topic, or fewer after `within_s`."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "none",  # asked for, and not used: partitions are assigned by hand
                "enable.auto.commit": False,
            }
        )
        try:
            partitions = consumer.list_topics(topic, timeout=within_s).topics[topic].partitions
            consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in partitions])
            return [record.value() for record in consumer.consume(count, timeout=within_s)]
        finally:
            consumer.close()

    def _java(self) -> list[str]:
        executable = java()
        assert executable is not None, "running_broker requires java"
        return [
            executable,
            *self.java_options,
            "-XX:-UsePerfData",
            "-Xshare:auto",
            f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}",
            "-cp",
            f"{KAFKA_JARS}/*",
        ]

    def _format(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.properties").write_text(LOGGING)
        settings = {
            **SETTINGS,
            "listeners": (
                f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}"
            ),
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "log.dirs": str(self.folder / "data"),
            **self.settings,
        }
        properties = self.folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        storage = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties)]
        formatted = subprocess.run(
            [*self._java(), *storage], capture_output=True, text=True, check=False
        )
        if formatted.returncode != 0:
            properties.unlink()
            raise RuntimeError(
                f"Kafka's storage tool failed:\n{formatted.stdout}{formatted.stderr}"
            )

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        # Silent, for being refused is what it expects for some seconds.
        admin = AdminClient(
            {"bootstrap.servers": self.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200}
        )
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                if admin.list_topics(timeout=0.5).brokers:
                    return
            except KafkaException:
                continue
        state = "did not answer" if process.poll() is None else f"ended with {process.returncode}"
        tail = self.log.read_text(errors="replace")[-4_000:]
        raise RuntimeError(f"the Kafka broker {state}; the end of its log:\n{tail}")


def require_kafka() -> None:
    """Skip the test, or fail it in CI, where Java or the jars are missing."""
    require("Java 17 or newer", java() is not None, "install a JRE; Kafka's broker runs on it")
    complete = (KAFKA_JARS / ".complete").exists()
    require("the jars of Kafka's broker", complete, "`make machine` fetches them with Maven")


@contextmanager
def broker_behind(folder: Path, port: int, inner_port: int) -> Iterator[KafkaBroker]:
    """Start a broker at `inner_port` whose clients all come through `port`, for that is what it advertises.

    Somebody must stand there and pass on. Skips or fails as `running_broker` does.
    """
    require_kafka()
    controller = free_port()
    listeners = f"PLAINTEXT://127.0.0.1:{inner_port},CONTROLLER://127.0.0.1:{controller}"
    settings = {"listeners": listeners}
    broker = KafkaBroker(folder=folder, settings=settings, port=port, controller_port=controller)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@contextmanager
def running_broker(
    folder: Path,
    settings: Mapping[str, str] | None = None,
    java_options: Sequence[str] = SMALL,
) -> Iterator[KafkaBroker]:
    """Start a broker that keeps everything in `folder`, and end it when the block ends.

    Skips the test, or fails it in CI, where Java or the jars are missing.
    """
    require_kafka()
    broker = KafkaBroker(folder=folder, settings=settings or {}, java_options=java_options)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
