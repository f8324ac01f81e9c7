"""Two workers whose Redis is to be taken away: how experiments 2 to 4 begin, and what they count.

Promise   The workers are ended with the block. The naive ones have no fence, and no deliveries.
Not here  Taking Redis away (experiments/). What must have come of it (rewound.py).
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.faults.experiment import Run
from tests.faults.inbox import Inbox, running_inbox
from tests.faults.installed import Installed, installed
from tests.faults.rewound import START_SECONDS_MAX, Recovery, until
from tests.faults.shared_broker import broker_of
from tests.integration.redis_server import RedisServer
from tests.integration.shop import RULES, Sender, Told, told
from tests.integration.workers import Rig, rig

RATE: Final = 2_000
CUSTOMERS: Final = 600
NAMES: Final = ("one", "two")
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Posting:
    """Installed workers, what they deliver, and events for them."""

    workers: Installed
    inbox: Inbox
    sender: Sender
    events: Iterator[Told]


@contextmanager
def posting(run: Run, server: RedisServer) -> Iterator[Posting]:
    """Two installed workers, begun, on this Redis; their actions go to an inbox."""
    with broker_of(run) as broker, running_inbox() as inbox:
        rules = RULES.replace(b'log = "audit"', b'webhook = "inbox"')
        more = f'[endpoints.inbox]\nurl = "{inbox.url}"'
        place = (broker, server, run.folder / "workers", run.prefix)
        with installed(*place, rules=rules, more=more) as workers:
            yield Posting(workers, inbox, *_begun(run, workers))


@contextmanager
def naive_pair(run: Run, server: RedisServer) -> Iterator[tuple[Rig, Sender, Iterator[Told]]]:
    """Two workers without a fence, begun, on this Redis, and events for them."""
    with (
        broker_of(run) as broker,
        rig(broker, server, run.folder, run.prefix, "--naive") as workers,
    ):
        yield workers, *_begun(run, workers)


def _begun(run: Run, workers: Rig | Installed) -> tuple[Sender, Iterator[Told]]:
    for name in NAMES:
        workers.start(name)
    events = told(run.seed, CUSTOMERS, time.time_ns() // 1_000_000 - HOUR_MS)
    return Sender(workers.settings), events


def until_they_work(server: RedisServer) -> None:
    """Return when naive workers have stored something of most customers."""
    with server.client() as client:
        until(lambda: client.dbsize() > CUSTOMERS, "they work", START_SECONDS_MAX)


@dataclass
class Losses:
    """What Redis has lost over all faults, and whether somebody has told."""

    recoveries: list[Recovery] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    behind: int = 0  # records
    fallen_back: int = 0  # shards

    def add(self, recovery: Recovery, lost: Mapping[int, int], told_count: float) -> None:
        """One more fault: `lost` is how many records each shard fell back."""
        self.recoveries.append(recovery)
        self.behind += sum(lost.values())
        self.fallen_back += len(lost)
        if told_count < len(lost):
            self.wrong.append(f"{len(lost)} shards fell back, and {told_count:.0f} were noticed")
