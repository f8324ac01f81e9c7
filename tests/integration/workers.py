"""Worker processes on a real Kafka and a real Redis: started, watched, stopped, killed.

Promise   Every process that was started is ended with the block, by its process id.
"""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from streams import topics
from streams.kafka_settings import KafkaSettings
from tests.integration.kafka_broker import KafkaBroker
from tests.integration.reading import (
    PARTITIONS,
    Positions,
    ends,
    owners,
    positions,
    wait_until_read,
)
from tests.integration.redis_server import RedisServer
from tests.integration.shop import RULES

SCRIPT = Path(__file__).with_name("kafka_worker.py")
DONE_SECONDS_MAX = 60.0
CLAIMED = re.compile(r"claimed shard \d+ as (\w+)")


@dataclass
class Rig:
    """A broker with topics of our own, a Redis, and workers by name."""

    broker: KafkaBroker
    redis: RedisServer
    folder: Path
    prefix: str
    switches: tuple[str, ...] = ()
    session_timeout_ms: int = 2_000
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    logs: dict[str, IO[bytes]] = field(default_factory=dict)
    script: Path = SCRIPT
    """What a worker runs."""
    has_topics: bool = False
    """Topics are there already."""

    def __post_init__(self) -> None:
        self.settings = KafkaSettings(
            (self.broker.bootstrap,),
            group=self.prefix + "group",
            topic_prefix=self.prefix,
            session_timeout_ms=self.session_timeout_ms,
        )
        if not self.has_topics:
            topics.create(self.settings, PARTITIONS, 1)
        (self.folder / "rules.toml").write_bytes(RULES)

    def start(self, name: str) -> None:
        assert name not in self.workers, f"{name} is running"
        if name not in self.logs:
            self.logs[name] = (self.folder / f"{name}.log").open("ab")
        timeout = f"--session-timeout-ms={self.session_timeout_ms}"
        rules = f"--rules={self.folder / 'rules.toml'}"
        places = (self.broker.bootstrap, self.redis.url, self.prefix)
        self.workers[name] = subprocess.Popen(
            [sys.executable, str(self.script), *places, rules, timeout, *self.switches],
            stdin=subprocess.DEVNULL,
            stdout=self.logs[name],
            stderr=self.logs[name],
        )

    def stop(self, name: str) -> tuple[int, float]:
        """SIGTERM; the exit code, and how many seconds it took."""
        process = self.workers.pop(name)
        started = time.monotonic()
        process.terminate()
        try:
            code = process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        return code, time.monotonic() - started

    def kill(self, name: str) -> None:
        process = self.workers.pop(name)
        process.kill()
        process.wait()

    def die_between_send_and_reply(self, name: str) -> None:
        """The worker kills itself at its next commit; or we do, when it has none."""
        process = self.workers.pop(name)
        process.send_signal(signal.SIGUSR1)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def claims(self, name: str) -> set[str]:
        """The nonces of all claims that workers of this name have made."""
        return set(CLAIMED.findall(self.log(name)))

    def positions(self) -> Positions:
        """Where the fences are."""
        with self.redis.client() as client:
            return positions(client)

    def owners(self) -> dict[int, str]:
        """The token of each shard's fence."""
        with self.redis.client() as client:
            return owners(client)

    def ends(self) -> Positions:
        """Where the topics end; empty partitions are left out, as in fences."""
        return ends(self.settings)

    def wait_until_read(self, *, naive: bool = False) -> None:
        """Wait until all that is in the topics is committed: in the fences, or naively in the group."""
        wait_until_read(self.settings, self.redis, DONE_SECONDS_MAX, naive=naive)


@contextmanager
def rig(
    broker: KafkaBroker,
    redis: RedisServer,
    folder: Path,
    prefix: str,
    *switches: str,
    session_timeout_ms: int = 2_000,
    script: Path = SCRIPT,
    has_topics: bool = False,
) -> Iterator[Rig]:
    """A rig without workers yet."""
    made = Rig(
        *(broker, redis, folder, prefix, switches, session_timeout_ms),
        script=script,
        has_topics=has_topics,
    )
    try:
        yield made
    finally:
        for process in made.workers.values():
            process.kill()
            process.wait()
        for log in made.logs.values():
            log.close()
