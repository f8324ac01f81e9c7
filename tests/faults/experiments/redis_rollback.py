"""Redis comes back without its newest writes: its file is cut, or an older copy is put in its place.

How       Two workers under a steady load, and Redis behind an address that we open and close, so that
          what was lost is known before anybody can read it again. In turn: the append-only file is
          cut at a random byte of its last five seconds, as a power cut leaves it; or a snapshot that is
          seconds old is restored. At the end a snapshot that is many events old is restored while
          nothing new comes: the healing must not wait for the next event.
Limits    A killed process loses nothing that it has handed to the kernel, so the cut is made by us.
          The healing is timed with Redis, the broker, two workers and their receiver on one machine.
"""

import os
import random
import shutil
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tests.faults.experiment import Experiment, Outcome, Run
from tests.faults.installed import Installed
from tests.faults.load import loading
from tests.faults.proxy import FaultProxy, fault_proxy
from tests.faults.rewound import (
    NOWHERE,
    START_SECONDS_MAX,
    Positions,
    Recovery,
    fallen_back,
    naive_outcome,
    newest_file,
    nonces,
    noticed,
    outcome,
    positions,
    until,
    until_claimed,
    until_past,
    until_read,
)
from tests.faults.two_workers import RATE, Losses, naive_pair, posting, until_they_work
from tests.integration.free_port import free_port
from tests.integration.redis_server import RedisServer, running_redis

ROLLBACKS: Final = 30
BEHIND_MAX: Final = 300_000  # events that the last one takes back
BEHIND_MIN: Final = 60_000  # fewer would time the claim, not the healing
HEALED_SECONDS_A_MILLION: Final = 10.0
NOTICED_SECONDS: Final = 2.0  # to connect, to find out, and to claim again; on top of that
LOADED_SECONDS: Final = (1.0, 5.0)
OLD_SECONDS: Final = (0.5, 3.0)  # how old a snapshot is at most when the next load begins
CUT_SECONDS: Final = 5.0
WAIT_SECONDS_MAX: Final = 60.0  # nobody promises it: the machine may be slow

ROLLBACKS_NAIVE: Final = 2
NAIVE_SECONDS: Final = 3.0


def run(run: Run) -> Outcome:
    return naive(run) if run.naive else real(run)


@dataclass
class Rewinder:
    """A Redis that loses its newest writes, behind an address that is open or closed."""

    server: RedisServer
    proxy: FaultProxy
    chance: random.Random
    sizes: deque[tuple[float, Path, int]] = field(default_factory=lambda: deque(maxlen=10_000))
    """When which append-only file was how long."""

    def load_for(self, seconds: float) -> None:
        """Let time pass, and note how the file grows."""
        until_s = time.monotonic() + seconds
        while (now := time.monotonic()) < until_s:
            file = newest_file(self.server)
            self.sizes.append((now, file, file.stat().st_size))
            time.sleep(0.05)

    def snapshot(self) -> Path:
        """A copy of all that Redis has at one moment."""
        with self.server.client() as client:
            before = client.lastsave()
            time.sleep(max(0.0, 1.0 - time.time() % 1.0))  # the time of the last one has seconds
            client.bgsave()
            until(lambda: client.lastsave() != before, "a snapshot", WAIT_SECONDS_MAX)
        return self.server.folder / "dump.rdb"

    def close(self) -> Positions:
        """Kill Redis; how far it was. Whoever comes now is hung up on."""
        with self.server.client() as client:
            before = positions(client)
        self.proxy.target = self.server.folder / "nowhere"
        self.server.kill()
        self.proxy.reset_all()
        return before

    def cut(self) -> None:
        """Cut the file at a random byte of its last seconds, and start."""
        file = newest_file(self.server)
        since = time.monotonic() - CUT_SECONDS
        sizes = [size for at, path, size in self.sizes if path == file and at >= since]
        end = file.stat().st_size
        os.truncate(file, self.chance.randint(min(sizes, default=0), end))
        self.server.start()

    def restore(self, snapshot: Path) -> None:
        """Start with a snapshot instead of the file, and with a new file from then on."""
        for file in self.server.append_only_files:
            file.unlink()
        shutil.rmtree(self.server.folder / "appendonlydir", ignore_errors=True)
        assert snapshot.exists(), "Redis loads it from there"
        self.server.settings["appendonly"] = "no"  # else it would begin with an empty file
        self.server.start()
        del self.server.settings["appendonly"]
        with self.server.client() as client:
            client.config_set("appendonly", "yes")
            until(lambda: _is_written(client.info("persistence")), "its file", WAIT_SECONDS_MAX)

    def open(self) -> Positions:
        """Let everybody in; how far Redis is."""
        with self.server.client() as client:
            after = positions(client)
        self.proxy.target = self.server.socket
        return after


def _is_written(told: object) -> bool:
    assert isinstance(told, dict)
    return not told["aof_rewrite_in_progress"] and not told["aof_rewrite_scheduled"]


@contextmanager
def rewinder(seed: int) -> Iterator[tuple[Rewinder, RedisServer]]:
    """A Redis and its address, as a server that others may ask but nobody may start."""
    with running_redis() as server, fault_proxy(server.socket, listen=free_port()) as proxy:
        assert isinstance(proxy.address, int)
        address = RedisServer(server.folder / "address", server.executable, proxy.address)
        yield Rewinder(server, proxy, random.Random(seed)), address


@dataclass
class Found:
    """What the rollbacks came to."""

    losses: Losses = field(default_factory=Losses)
    slow: list[str] = field(default_factory=list)
    seconds_a_million: float = 0.0  # of the last one, once its shards were claimed again
    noticed_seconds: float = 0.0  # until then, while nothing new came


def real(run: Run) -> Outcome:
    with rewinder(run.seed) as (redis, address), posting(run, address) as pair:
        workers, sender, events = pair.workers, pair.sender, pair.events
        found = Found()
        with loading(sender, events, RATE), redis.server.client() as client:
            until_past(client, NOWHERE, "each shard commits", START_SECONDS_MAX)
            for number in range(run.of(ROLLBACKS)):
                rewind(redis, workers, found, older=number % 2 == 1)
                run.say(f"rollback {number + 1}: {found.losses.recoveries[-1].recover_ms:.0f} ms")
        with redis.server.client() as client:
            until_read(client, len(sender.sent))
        snapshot = redis.snapshot()
        sender.send(events, max(BEHIND_MIN, run.of(BEHIND_MAX)))
        sender.flush()
        with redis.server.client() as client:
            until_read(client, len(sender.sent))
        before = redis.close()
        redis.restore(snapshot)
        heal(redis, workers, found, before, time.monotonic(), quiet=True)
        with redis.server.client() as client:
            until_read(client, len(sender.sent))
            figures = {
                "events_behind": found.losses.behind,
                "shards_fallen_back": found.losses.fallen_back,
                "rollbacks_noticed": noticed(workers),
                "healed_seconds_a_million": found.seconds_a_million,
                "noticed_at_rest_seconds": found.noticed_seconds,
            }
            return replace(
                outcome(
                    *(client, pair.inbox, sender.sent),
                    *(found.losses.recoveries, figures, found.losses.wrong),
                ),
                slow=tuple(found.slow),
            )


def rewind(redis: Rewinder, workers: Installed, found: Found, *, older: bool) -> None:
    """Let Redis lose its newest writes under load, and wait until they are there again."""
    snapshot = redis.snapshot() if older else None
    if older:
        redis.load_for(redis.chance.uniform(*OLD_SECONDS))
    redis.load_for(redis.chance.uniform(*LOADED_SECONDS))
    before = redis.close()
    killed = time.monotonic()
    if snapshot is None:
        redis.cut()
    else:
        redis.restore(snapshot)
    heal(redis, workers, found, before, killed)


def heal(
    redis: Rewinder,
    workers: Installed,
    found: Found,
    before: Positions,
    killed: float,
    *,
    quiet: bool = False,
) -> None:
    """Open the address, and wait until everything is there again that was, and somebody has told."""
    told_before = noticed(workers)
    with redis.server.client() as client:
        owners = nonces(client)
    after = redis.open()
    back = time.monotonic()
    lost = fallen_back(before, after)
    marks = {number: at - quiet for number, at in before.items()}  # past them: there, or one on
    with redis.server.client() as client:
        until_claimed(client, {number: owners[number] for number in lost})
        claimed = time.monotonic()
        until_past(client, marks, "what was lost is there again", WAIT_SECONDS_MAX)
    now = time.monotonic()
    found.losses.add(Recovery.now(killed, back), lost, noticed(workers) - told_before)
    behind = sum(lost.values())
    limit = NOTICED_SECONDS + behind * HEALED_SECONDS_A_MILLION / 1_000_000
    if now - back > limit:
        found.slow.append(f"{behind} events behind, and healed in {now - back:.2f} s")
    if quiet:
        found.seconds_a_million = (now - claimed) * 1_000_000 / behind
        found.noticed_seconds = claimed - back


def naive(run: Run) -> Outcome:
    """No fence: positions are Kafka's, and Redis is believed to have what it had."""
    with (
        rewinder(run.seed) as (redis, address),
        naive_pair(run, address) as (workers, sender, events),
    ):
        with loading(sender, events, RATE):
            until_they_work(redis.server)
            for _ in range(ROLLBACKS_NAIVE):
                redis.load_for(NAIVE_SECONDS)
                redis.close()
                redis.cut()
                redis.open()
        workers.wait_until_read(naive=True)
        with redis.server.client() as client:
            return naive_outcome(client, sender.sent, ROLLBACKS_NAIVE)


EXPERIMENT = Experiment(
    number=3,
    name="redis_rollback",
    title="Redis loses its newest writes: a cut file, or an older copy restored",
    shows="nothing missing, nothing twice after healing, and the loss is noticed",
    naive="no fence: positions in Kafka, which Redis is then behind",
    needs_kafka=True,
    run=run,
    seconds=330,
    alone=True,
)
