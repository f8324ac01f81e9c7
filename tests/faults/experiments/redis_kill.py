"""Redis is killed and started again, with an append-only file that is synced each second.

How       Two workers under a steady load. Every other death is at a random moment; the others come the
          moment the file grows, between the writing of a commit and its reply.
Limits    A killed process loses nothing that it has handed to the kernel; but while a sync is under way
          Redis answers first and writes later, so that some kills lose commits. What a power cut
          takes is the matter of redis_rollback.
"""

import random
import time
from typing import Final

from tests.faults.experiment import Experiment, Outcome, Run
from tests.faults.load import loading
from tests.faults.rewound import (
    NOWHERE,
    START_SECONDS_MAX,
    Recovery,
    naive_outcome,
    newest_file,
    noticed,
    outcome,
    positions,
    until_past,
    until_read,
)
from tests.faults.two_workers import RATE, naive_pair, posting, until_they_work
from tests.integration.redis_server import RedisServer, running_redis

KILLS: Final = 30
LOADED_SECONDS: Final = (0.5, 2.5)  # between a recovery and the next death
DOWN_SECONDS: Final = (0.0, 1.0)
GROWTH_SECONDS_MAX: Final = 2.0
BACK_SECONDS_MAX: Final = 60.0  # nobody promises it: the machine may be slow

KILLS_NAIVE: Final = 3
RATE_NAIVE: Final = 15_000.0  # batches so large that each has actions


def run(run: Run) -> Outcome:
    return naive(run) if run.naive else real(run)


def real(run: Run) -> Outcome:
    chance = random.Random(run.seed)
    recoveries = []
    with running_redis() as server, posting(run, server) as pair:
        with loading(pair.sender, pair.events, RATE):
            with server.client() as client:
                until_past(client, NOWHERE, "each shard commits", START_SECONDS_MAX)
            for number in range(run.of(KILLS)):
                time.sleep(chance.uniform(*LOADED_SECONDS))
                if number % 2:
                    until_growth(server)
                recoveries.append(killed_and_started(server, chance))
            run.say(f"{len(recoveries)} kills")
        with server.client() as client:
            until_read(client, len(pair.sender.sent))
            figures = {"rollbacks_noticed": noticed(pair.workers)}
            return outcome(client, pair.inbox, pair.sender.sent, recoveries, figures)


def killed_and_started(server: RedisServer, chance: random.Random) -> Recovery:
    """Kill it, start it after a while, and wait until each shard commits again."""
    server.kill()
    killed = time.monotonic()
    time.sleep(chance.uniform(*DOWN_SECONDS))
    server.start()
    back = time.monotonic()
    with server.client() as client:
        until_past(client, positions(client), "each shard commits again", BACK_SECONDS_MAX)
    return Recovery.now(killed, back)


def until_growth(server: RedisServer) -> None:
    """Return the moment that something is appended, or when that takes too long."""
    file = newest_file(server)
    size, deadline = file.stat().st_size, time.monotonic() + GROWTH_SECONDS_MAX
    while file.stat().st_size == size and time.monotonic() < deadline:
        pass


def naive(run: Run) -> Outcome:
    """No fence: positions are Kafka's, and what failed is done again, whatever was done of it."""
    chance = random.Random(run.seed)
    with running_redis() as server, naive_pair(run, server) as (workers, sender, events):
        sender.send(events, 2_000)
        until_they_work(server)
        for _ in range(KILLS_NAIVE):
            sender.send(events, chance.randrange(8_000, 12_000), RATE_NAIVE)
            server.kill()
            sender.send(events, chance.randrange(2_000, 6_000), RATE_NAIVE)
            server.start()
        sender.flush()
        workers.wait_until_read(naive=True)
        with server.client() as client:
            return naive_outcome(client, sender.sent, KILLS_NAIVE)


EXPERIMENT = Experiment(
    number=2,
    name="redis_kill",
    title="Redis killed and started again, its file synced each second",
    shows="nothing missing, nothing twice, in state and in deliveries",
    naive="no fence: positions in Kafka, and what failed is done again as a whole",
    needs_kafka=True,
    run=run,
    seconds=150,
)
