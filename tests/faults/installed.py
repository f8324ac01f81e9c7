"""Workers as users run them, `rapport worker` with settings in a file, on a rig of their own.

Promise   As the rig of the integration tests, whose workers are scripts: every process is ended with
          the block. What a worker says of itself is read from its /metrics.
How       The model is the default one, but by default remembers one event id a customer: what the
          fence has to do, duplicates must not hide.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import msgspec

from tests.faults.fences import Fence
from tests.integration.free_port import free_port
from tests.integration.kafka_broker import KafkaBroker
from tests.integration.reading import PARTITIONS
from tests.integration.redis_server import RedisServer
from tests.integration.shop import RULES
from tests.integration.workers import Rig
from tests.machine import ROOT

COMMAND: Final = Path(sys.executable).with_name("rapport")
MODEL: Final = ROOT / "processors" / "models" / "default.toml"
WAIT_SECONDS_MAX: Final = 150.0  # nobody promises it: the machine may be slow
POLL_SECONDS: Final = 0.02


@dataclass
class Installed(Rig):
    """A group of such workers."""

    rules: bytes = RULES
    more: str = ""
    """Further lines of the settings."""
    remembers: int = 1
    """Event ids of each customer."""
    command: tuple[str | Path, ...] = (COMMAND,)
    """Rapport's command line, or one that is like it."""
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        (self.folder / "rules").mkdir()
        (self.folder / "rules" / "shop.toml").write_bytes(self.rules)
        model = MODEL.read_text("utf-8")
        forgetful = model.replace("duplicates_kept = 64", f"duplicates_kept = {self.remembers}")
        assert "duplicates_kept = 64" in model, "the model says how many ids it remembers"
        (self.folder / "model.toml").write_text(forgetful, "utf-8")
        lines = [
            f'log = "kafka://{self.broker.bootstrap}"',
            f'redis = "{self.redis.url}"',
            f'group = "{self.settings.group}"',
            f'topic_prefix = "{self.prefix}"',
            f"session_timeout_ms = {self.session_timeout_ms}",
            'rules = "rules"',
            'model = "model.toml"',
            self.more,
        ]
        (self.folder / "rapport.toml").write_text("\n".join(lines) + "\n", "utf-8")

    def start(self, name: str, *options: str) -> None:
        assert name not in self.workers, f"{name} is running"
        if name not in self.logs:
            self.logs[name] = (self.folder / f"{name}.log").open("ab")
        self.ports[name] = free_port()
        self.workers[name] = subprocess.Popen(
            [*self.command, "worker", "--http", f"127.0.0.1:{self.ports[name]}", *options],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=self.logs[name],
            stderr=self.logs[name],
        )

    def pause(self, name: str) -> None:
        self.workers[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self.workers[name].send_signal(signal.SIGCONT)

    def answers(self, name: str) -> bool:
        """Whether it serves already."""
        with suppress(OSError), urlopen(f"http://127.0.0.1:{self.ports[name]}/metrics", timeout=5):
            return True
        return False

    def metric(self, name: str, series: str) -> float:
        """What a worker says, 0 while it says nothing."""
        url = f"http://127.0.0.1:{self.ports[name]}/metrics"
        with suppress(OSError), urlopen(url, timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(series + " "):
                    return float(line.rpartition(" ")[2])
        return 0.0

    def commits(self, name: str) -> float:
        """How many commits a worker has made in its life."""
        return self.metric(name, "rapport_commit_seconds_count")

    def refusals(self, name: str) -> float:
        """How many of its commits the fence has refused."""
        return self.metric(name, "rapport_fence_refusals_total")

    def fences(self) -> dict[int, Fence]:
        """The fence of each shard as it stands."""
        with self.redis.client() as client:
            found = client.mget([f"rapport:{{{number}}}:fence" for number in range(PARTITIONS)])
        assert isinstance(found, list)
        return {
            number: msgspec.json.decode(value, type=Fence)
            for number, value in enumerate(found)
            if value is not None
        }

    def is_delivered(self) -> bool:
        """Whether all that was decided is settled."""
        with self.redis.client() as client:
            cursors = client.mget([f"rapport:{{{number}}}:relay" for number in self.fences()])
        assert isinstance(cursors, list)
        lasts = [fence.outbox for fence in self.fences().values()]
        return [int(each or 0) for each in cursors] == lasts

    def until_claimed_after(self, before: dict[int, Fence]) -> None:
        """Wait until each shard was claimed in a newer generation of the group, and has committed."""

        def is_so() -> bool:
            fences = self.fences()
            return len(fences) == PARTITIONS and all(
                each.commits
                and (number not in before or each.generation > before[number].generation)
                for number, each in fences.items()
            )

        self.until(is_so, "each shard has another owner")

    def until(self, is_so: Callable[[], bool], words: str) -> None:
        """Return when it is so."""
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while not is_so():
            for name, process in self.workers.items():
                assert process.poll() is None, f"{name} has ended:\n{self.log(name)[-3000:]}"
            if time.monotonic() > deadline:
                logs = "\n".join(f"{name}:\n{self.log(name)[-3000:]}" for name in self.workers)
                raise AssertionError(f"not so within {WAIT_SECONDS_MAX} s: {words}\n{logs}")
            time.sleep(POLL_SECONDS)


@contextmanager
def installed(
    broker: KafkaBroker,
    redis: RedisServer,
    folder: Path,
    prefix: str,
    *,
    rules: bytes = RULES,
    more: str = "",
    remembers: int = 1,
    command: tuple[str | Path, ...] = (COMMAND,),
    session_timeout_ms: int = 2_000,
) -> Iterator[Installed]:
    """A group without workers yet."""
    folder.mkdir(parents=True)
    made = Installed(
        *(broker, redis, folder, prefix),
        rules=rules,
        more=more,
        remembers=remembers,
        command=command,
        session_timeout_ms=session_timeout_ms,
    )
    try:
        yield made
    finally:
        for process in made.workers.values():
            process.kill()
            process.wait()
        for log in made.logs.values():
            log.close()
