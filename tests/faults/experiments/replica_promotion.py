"""The primary dies while its replica is behind, and the replica is promoted.

How       Two workers under a steady load, and Redis at one stable address, as a proxy, a service or a
          name that is switched over gives it. In turn the replica itself is stalled (SIGSTOP), or the
          link between the two; then the primary is killed, and the replica promoted. In some of
          them the address leads to the replica before it is promoted, while it refuses to write. The
          dead primary becomes the next replica.
Limits    What a frozen replica has already been sent waits in the kernel for it, and is seldom lost;
          what the link holds is. Nobody here elects: that is Sentinel's or the service's work. The old
          primary is dead before the new one is there.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.faults.experiment import Experiment, Outcome, Run
from tests.faults.installed import Installed
from tests.faults.load import loading
from tests.faults.proxy import FaultProxy, Faults, fault_proxy
from tests.faults.rewound import (
    NOWHERE,
    START_SECONDS_MAX,
    Positions,
    Recovery,
    fallen_back,
    naive_outcome,
    noticed,
    outcome,
    positions,
    until,
    until_past,
    until_read,
)
from tests.faults.two_workers import RATE, Losses, naive_pair, posting, until_they_work
from tests.integration.free_port import free_port
from tests.integration.redis_server import RedisServer, running_redis

PROMOTIONS: Final = 20
LOADED_SECONDS: Final = (0.5, 2.0)
STALLED_SECONDS: Final = (0.1, 3.0)
READ_ONLY_SECONDS_MAX: Final = 0.5
WAIT_SECONDS_MAX: Final = 60.0  # nobody promises it: the machine may be slow
AT_ONCE: Final = {"repl-diskless-sync-delay": "0"}  # a new replica need not wait for others

PROMOTIONS_NAIVE: Final = 2
STALLED_SECONDS_NAIVE: Final = 2.0


def run(run: Run) -> Outcome:
    return naive(run) if run.naive else real(run)


@dataclass
class Pair:
    """A primary and its replica, and the address at which the primary is found."""

    primary: RedisServer
    replica: RedisServer
    address: FaultProxy
    link: FaultProxy
    """What the replica believes to be the primary."""

    def join(self) -> None:
        """Make the replica one, and wait until it has everything."""
        assert self.primary.port is not None
        assert isinstance(self.link.address, int)
        self.link.target = self.primary.port
        with self.replica.client() as client:
            client.replicaof("127.0.0.1", self.link.address)
            until(lambda: _is_joined(client.info("replication")), "a replica", WAIT_SECONDS_MAX)

    def stall_and_kill(self, seconds: float, *, frozen: bool) -> Positions:
        """Stall the replica, or the link to it, kill the primary, and say how far that was."""
        if frozen:
            self.replica.pause()
        else:
            self.link.set(Faults(silent=True))
        time.sleep(seconds)
        with self.primary.client() as client:
            before = positions(client)
        self.address.target = self.primary.folder / "nowhere"
        self.primary.kill()
        self.address.reset_all()
        self.link.reset_all()
        if frozen:
            self.replica.resume()
        else:
            self.link.set(Faults())
        return before

    def promote(self, read_only_seconds: float) -> Positions:
        """Make the replica the primary; how far it was as a replica. The address leads there first."""
        assert self.replica.port is not None
        if read_only_seconds:
            self.address.target = self.replica.port
            time.sleep(read_only_seconds)
        with self.replica.client() as client:
            client.replicaof("NO", "ONE")
            after = positions(client)
        self.address.target = self.replica.port
        return after

    def change(self) -> None:
        """The dead primary comes back as the replica of the other."""
        self.primary, self.replica = self.replica, self.primary
        self.replica.start()
        self.join()


def _is_joined(told: object) -> bool:
    assert isinstance(told, dict)
    return told.get("master_link_status") == "up" and not told["master_sync_in_progress"]


@contextmanager
def pair() -> Iterator[tuple[Pair, RedisServer]]:
    """Two servers, and their address as a server that others may ask but nobody may start."""
    with (
        running_redis(tcp=True, settings=AT_ONCE) as primary,
        running_redis(tcp=True, settings=AT_ONCE) as replica,
        fault_proxy(primary.port or 0, listen=free_port()) as address,
        fault_proxy(primary.port or 0, listen=free_port()) as link,
    ):
        made = Pair(primary, replica, address, link)
        made.join()
        assert isinstance(address.address, int)
        yield made, RedisServer(primary.folder / "address", primary.executable, address.address)


@dataclass
class Found:
    """What the promotions came to."""

    losses: Losses = field(default_factory=Losses)
    lossy: int = 0  # promotions that lost something


def real(run: Run) -> Outcome:
    chance, found = random.Random(run.seed), Found()
    with pair() as (redis, address), posting(run, address) as made:
        workers, sender = made.workers, made.sender
        with loading(sender, made.events, RATE):
            with redis.primary.client() as client:
                until_past(client, NOWHERE, "each shard commits", START_SECONDS_MAX)
            for number in range(run.of(PROMOTIONS)):
                time.sleep(chance.uniform(*LOADED_SECONDS))
                fail_over(redis, workers, found, chance, frozen=number % 2 == 1)
                run.say(f"promotion {number + 1}: {found.losses.recoveries[-1].recover_ms:.0f} ms")
        with redis.primary.client() as client:
            until_read(client, len(sender.sent))
            figures = {
                "events_behind": found.losses.behind,
                "shards_fallen_back": found.losses.fallen_back,
                "promotions_with_loss": found.lossy,
                "rollbacks_noticed": noticed(workers),
            }
            if not found.lossy:
                found.losses.wrong.append("No replica was behind, so this shows nothing.")
            losses = found.losses
            return outcome(
                *(client, made.inbox, sender.sent, losses.recoveries, figures, losses.wrong)
            )


def fail_over(
    redis: Pair, workers: Installed, found: Found, chance: random.Random, *, frozen: bool
) -> None:
    """Lose the primary, promote the replica, and wait until each shard is where it was."""
    told_before = noticed(workers)
    before = redis.stall_and_kill(chance.uniform(*STALLED_SECONDS), frozen=frozen)
    killed = time.monotonic()
    read_only_seconds = chance.choice((0.0, chance.uniform(0.0, READ_ONLY_SECONDS_MAX)))
    lost = fallen_back(before, redis.promote(read_only_seconds))
    back = time.monotonic()
    with redis.replica.client() as client:
        until_past(client, before, "what was lost is there again", WAIT_SECONDS_MAX)
    found.losses.add(Recovery.now(killed, back), lost, noticed(workers) - told_before)
    found.lossy += bool(lost)
    redis.change()


def naive(run: Run) -> Outcome:
    """No fence: positions are Kafka's, and the replica is believed to have what the primary had."""
    with (
        pair() as (redis, address),
        naive_pair(run, address) as (workers, sender, events),
    ):
        with loading(sender, events, RATE):
            until_they_work(redis.primary)
            for _ in range(PROMOTIONS_NAIVE):
                time.sleep(LOADED_SECONDS[1])
                redis.stall_and_kill(STALLED_SECONDS_NAIVE, frozen=False)
                redis.promote(0.0)
                redis.change()
        workers.wait_until_read(naive=True)
        with redis.primary.client() as client:
            return naive_outcome(client, sender.sent, PROMOTIONS_NAIVE)


EXPERIMENT = Experiment(
    number=4,
    name="replica_promotion",
    title="A replica that is behind is promoted when the primary dies",
    shows="nothing missing, nothing twice, once the log was read again from the fence",
    naive="no fence: positions in Kafka, which the replica is then behind",
    needs_kafka=True,
    run=run,
    seconds=180,
)
