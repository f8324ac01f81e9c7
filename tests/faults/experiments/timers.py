"""Workers die while customers are silent, and each timer is fired once, in its time, by whoever is left.

Promise   A sequence that ends with an absence, a `for`, a silence, caps, one of them on a channel, and
          cooldowns: what must fire has fired once, beside a sequential reading of the log. No timer is
          lost, none fires twice, none before its time, and none that an event in the log takes back.
How       Two `rapport worker`s, one of which is killed again and again: 0.3 to 2 s after the last, or, every
          second time, after the last has been recovered from. Every fifth time both die at once. The dead
          come back at once, or when the next one dies. Customers live for some events and fall silent, so
          that much of what is due has no event that could set it off (timer_load.py).
Judged    By timer_check.py, which also says where luck would decide, and how that is kept apart.
Naive     A worker waits for times in its own memory, and not in an index that the next owner finds.
Not here  The same in virtual time (tests/simulation). Deliveries (webhook_faults.py).
"""

import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from tests.faults.experiment import Experiment, Outcome, Run, p99
from tests.faults.fence_history import FenceHistory, watching
from tests.faults.fences import KEEP_ALL, actions_written, fence_writes, judged
from tests.faults.installed import COMMAND, Installed, installed
from tests.faults.outbox_watch import TELL, watching_outboxes
from tests.faults.shared_broker import broker_of
from tests.faults.timer_check import checked, expected, read
from tests.faults.timer_load import DatedSender, Lives, living
from tests.faults.timer_rules import DELAY_MS_MAX, RULES
from tests.integration.reading import PARTITIONS
from tests.integration.redis_server import RedisServer, running_redis
from tests.integration.shop import stored

KILLS: Final = 100
KILLS_NAIVE: Final = 2
NAMES: Final = ("one", "two")
ALIVE: Final = 200
OTHERS_RATE: Final = 300
CALM_SECONDS: Final = (0.3, 2.0)
DONE_SECONDS_MAX: Final = 60.0  # nobody promises it: the machine may be slow
POLL_SECONDS: Final = 0.05
FORGETFUL: Final = Path(__file__).parents[1] / "forgetful_worker.py"


@dataclass
class Fire:
    """Kills, and sees that somebody goes on."""

    workers: Installed
    history: FenceHistory
    chance: random.Random
    kills: int = 0
    owning: int = 0
    back_ms: list[float] = field(default_factory=list)

    def strike(self, number: int) -> None:
        """One worker dies, or both; who was dead comes back, and the dead at once or next time."""
        away = [name for name in NAMES if name not in self.workers.workers]
        running = list(self.workers.workers)
        owning = [name for name in running if self.workers.commits(name)]
        dying = running if number % 5 == 4 else [self.chance.choice(owning or running)]
        for name in dying:
            self.workers.kill(name)
            self.kills += 1
            self.owning += name in owning
        for name in away:
            self.workers.start(name)
        # Whoever owned nothing is missed by nobody, so it comes back, and the shards move.
        stays = len(dying) == 1 and dying[0] in owning and self.chance.random() < 1 / 3
        for name in [] if stays else dying:
            self.workers.start(name)

    def under_fire(self, kills: int) -> None:
        for number in count():
            if self.kills >= kills:
                return
            former, struck = frozenset(self.history.owners().values()), time.monotonic()
            self.strike(number)
            if number % 2 == 0:
                is_back = partial(self.is_back, struck, former)
                self.workers.until(is_back, "each shard moves again")
                self.back_ms.append((time.monotonic() - struck) * 1_000)
            time.sleep(self.chance.uniform(*CALM_SECONDS))

    def is_back(self, since: float, former: frozenset[str]) -> bool:
        """Whether somebody else has committed in each shard."""
        return all(self.history.recovered(each, since, former) for each in range(PARTITIONS))


@contextmanager
def site(run: Run) -> Iterator[Installed]:
    """A broker, a Redis, and workers of which none is running."""
    command = (sys.executable, FORGETFUL) if run.naive else (COMMAND,)
    with (
        broker_of(run) as broker,
        running_redis(settings=KEEP_ALL | TELL) as redis,
        installed(
            *(broker, redis, run.folder / "timers", run.prefix), rules=RULES, command=command
        ) as workers,
    ):
        yield workers


def run(run: Run) -> Outcome:
    with site(run) as workers:
        sender, redis = DatedSender(workers.settings), workers.redis
        lives = Lives(sender, random.Random(run.seed), ALIVE, OTHERS_RATE)
        with watching(redis, PARTITIONS) as history, watching_outboxes(redis) as seen:
            fire = Fire(workers, history, random.Random(run.seed))
            for name in NAMES:
                workers.start(name)
            with living(lives):
                workers.until(lambda: fire.is_back(0.0, frozenset()), "all shards are read")
                began = time.monotonic()
                fire.under_fire(KILLS_NAIVE if run.naive else run.of(KILLS))
                seconds = time.monotonic() - began
            run.say(f"{fire.kills} kills in {seconds:.0f} s, {len(sender.sent):,} events")
            for name in NAMES:
                if name not in workers.workers:
                    workers.start(name)
            workers.wait_until_read()
            left = until_fired(redis)
            workers.until(lambda: all(map(workers.answers, NAMES)), "all have begun")
            codes = [workers.stop(name)[0] for name in NAMES]
        with redis.client() as client:
            views = stored(client).views
        redis.stop()
        wanted = expected(read(workers.settings), sender.acked_ms)
        found = checked(wanted, actions_written(redis), seen, views)
        course = judged(fence_writes(redis))
    wrong = [*found.verdict.wrong, *course.wrong]
    wrong += [f"A worker ended with {code}." for code in codes if code]
    if left:
        wrong.append(f"{left} customers are still in the indexes of timers.")
    if fire.owning < fire.kills / 2:
        wrong.append(f"Only {fire.owning} of {fire.kills} killed workers owned anything.")
    return replace(
        found.verdict.outcome(fire.kills, len(sender.sent)),
        stall_ms_max=max(history.stalls_ms(began, began + seconds).values(), default=None),
        recover_ms_p99=p99(fire.back_ms),
        figures={**found.figures, "killed_while_owning": fire.owning},
        wrong=tuple(wrong),
    )


def until_fired(redis: RedisServer) -> int:
    """Wait until all times have come and nobody is in an index any more; how many are, if they stay."""
    time.sleep(DELAY_MS_MAX / 1_000)
    deadline = time.monotonic() + DONE_SECONDS_MAX
    keys = [f"rapport:{{{number}}}:timers" for number in range(PARTITIONS)]
    with redis.client() as client:
        while True:
            counts = [client.zcard(key) for key in keys]
            left = sum(each for each in counts if isinstance(each, int))
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(POLL_SECONDS)


EXPERIMENT = Experiment(
    number=18,
    name="timers",
    title="workers killed while timers wait: of sequences, `for` and silences, with caps and cooldowns",
    shows=(
        "no timer is lost or fired twice, none fires before its time, and none that an event in the log"
        " has taken back; caps and cooldowns count as one reader would"
    ),
    naive="a worker keeps what is to be fired when in its own memory",
    needs_kafka=True,
    run=run,
    seconds=360,
)
