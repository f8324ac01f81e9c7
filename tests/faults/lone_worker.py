"""One `rapport worker` as installed, with a broker, a Redis and rules of its own, seen from outside.

Promise   The process is ended with its block, by its id. What is read of it is the kernel's own count
          (/proc) and what it tells of itself over HTTP.
Not here  Groups of workers, and killing them: installed.py.
"""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Process, rapport, running
from streams import topics
from streams.kafka_settings import KafkaSettings
from tests.integration.free_port import free_port
from tests.integration.kafka_broker import KafkaBroker
from tests.integration.reading import PARTITIONS, Positions, positions, wait_until_read
from tests.integration.redis_server import RedisServer

READY_SECONDS_MAX = 120.0  # a cold compiler, on a machine that does much else
ANSWER_SECONDS_MAX = 10.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Site:
    """A broker with topics of our own, a Redis, and a folder with rules."""

    broker: KafkaBroker
    redis: RedisServer
    folder: Path
    settings: KafkaSettings

    @property
    def rules(self) -> Path:
        return self.folder / "rules"

    def wait_until_read(self, seconds_max: float, *, naive: bool = False) -> None:
        """Wait until all that is in the topics is in the fences, or naively committed in the group."""
        wait_until_read(self.settings, self.redis, seconds_max, naive=naive)

    def positions(self) -> Positions:
        """Where the fences are."""
        with self.redis.client() as client:
            return positions(client)


def site_of(broker: KafkaBroker, redis: RedisServer, folder: Path, rules: str = "") -> Site:
    """Topics, and a folder with these rules, or with none yet."""
    settings = KafkaSettings((broker.bootstrap,), group="faults")
    topics.create(settings, PARTITIONS, 1)
    (folder / "rules").mkdir()
    if rules:
        (folder / "rules" / "rules.toml").write_text(rules)
    return Site(broker, redis, folder, settings)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Worker:
    process: Process
    http: str

    def ask(self, path: str, *, post: bool = False) -> Answer:
        """What it answers; a connection that fails raises OSError."""
        method = "POST" if post else "GET"
        request = urllib.request.Request(f"http://{self.http}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS_MAX) as answer:  # noqa: S310  the same
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode())

    def series(self) -> dict[str, float]:
        """What /metrics tells, by name and labels."""
        lines = self.ask("/metrics").text.splitlines()
        pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def is_ready(self) -> bool:
        return self.ask("/readyz").status == 200

    def runs(self, shards: int) -> bool:
        """Whether it reads so many shards."""
        try:
            return self.series().get('rapport_shards{state="running"}') == shards
        except OSError:  # not there yet
            return False

    def resident_kb(self) -> int:
        """Resident memory."""
        return int(self._status("VmRSS").split()[0])

    def threads(self) -> int:
        return int(self._status("Threads"))

    def descriptors(self) -> int:
        """How many are open."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def _status(self, name: str) -> str:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (found,) = (line.partition(":")[2] for line in lines if line.startswith(f"{name}:"))
        return found.strip()


@contextmanager
def worker(
    site: Site, settings: str = "", command: Sequence[str | Path] = rapport("worker")
) -> Iterator[Worker]:
    """A worker that reads all shards, as long as the block lasts; `settings` is TOML."""
    file, http = site.folder / "rapport.toml", f"127.0.0.1:{free_port()}"
    file.write_text(settings)
    arguments: list[str | Path] = [
        *("--settings", file, "--log", f"kafka://{site.broker.bootstrap}"),
        *("--redis", site.redis.url, "--group", site.settings.group, "--rules", site.rules),
        *("--http", http, "--session-timeout-ms", "6000"),
    ]
    with running(site.folder / "worker.log", *command, *arguments) as process:
        made = Worker(process, http)
        process.wait_until(lambda: made.runs(PARTITIONS), "reading", READY_SECONDS_MAX)
        yield made


def until(done: Callable[[], bool], what: str, seconds_max: float) -> float:
    """Ask until it is so; how many seconds that took.

    Raises:
        AssertionError: Time is up.
    """
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < seconds_max, f"{what}: not within {seconds_max:.0f} s"
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began
