"""Workers die at any moment under load, and what is stored is what one reader would have stored.

Promise   Each event is counted once and each action decided once, in Redis, beside a sequential reading.
How       Two or three workers, one of which is killed 0.3 to 2 s after the last has been recovered from;
          every fourth time nobody waits for that, and every fourth time it may be one that owns nothing
          yet. Every third death is between sending a commit and reading its reply. The dead come back
          at once, or when the next one dies.
Naive     Positions from the group's committed offsets, rows just written: no fence.
Not here  Clean stops (clean_stops.py). Deliveries (webhook_faults.py).
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.faults.experiment import Experiment, Outcome, Run, p99
from tests.faults.fence_history import FenceHistory, watching
from tests.faults.load import loading
from tests.faults.oracle import verdict
from tests.faults.shared_broker import broker_of
from tests.integration.reading import PARTITIONS
from tests.integration.redis_server import running_redis
from tests.integration.shop import Sender, Told, expected, stored, told
from tests.integration.workers import Rig, rig

KILLS = 100
KILLS_NAIVE = 6
EVENTS = 500_000
RATE = 2_000
CUSTOMERS = 120
NAMES = ("one", "two", "three")
CALM_SECONDS = (0.3, 2.0)
NAIVE_SECONDS = (1.5, 3.5)  # without fences nobody can see whether the dead are recovered from
RECOVERY_SECONDS_MAX = 120.0  # nobody promises it: the machine may be slow
FIRST_SECONDS_MAX = 90.0  # three processes start on two cores


@dataclass(frozen=True, slots=True)
class Death:
    at: float
    shards: tuple[int, ...]
    """Those that the dead owned."""
    claims: frozenset[str]
    """All that its process had ever claimed."""


@dataclass
class Fire:
    """Kills, and sees what comes of them."""

    rig: Rig
    history: FenceHistory
    chance: random.Random
    deaths: list[Death] = field(default_factory=list)

    def kill(self, number: int) -> None:
        """One worker dies; another that was dead comes back with it, or it itself."""
        away = next((name for name in NAMES if name not in self.rig.workers), None)
        owners = self.history.owners()
        owning = [name for name in self.rig.workers if self.rig.claims(name) & set(owners.values())]
        name = self.chance.choice(sorted(owning if owning and number % 4 else self.rig.workers))
        claims = self.rig.claims(name)
        if number % 3 == 2:
            self.rig.die_between_send_and_reply(name)
        else:
            self.rig.kill(name)
        shards = tuple(shard for shard, owner in owners.items() if owner in claims)
        self.deaths.append(Death(time.monotonic(), shards, frozenset(claims)))
        if away is not None:
            self.rig.start(away)
        if away is None and self.chance.random() < 1 / 3:
            return  # two go on without it
        self.rig.start(name)

    def recoveries_s(self, death: Death) -> list[float | None]:
        """How long each shard of a dead worker stood still; None: it still does."""
        found = [self.history.recovered(each, death.at, death.claims) for each in death.shards]
        return [None if at is None else at - death.at for at in found]

    def until_recovered(self, death: Death) -> None:
        deadline = time.monotonic() + RECOVERY_SECONDS_MAX
        while None in self.recoveries_s(death):
            assert time.monotonic() < deadline, f"shards {death.shards} do not move again"
            time.sleep(0.05)


def under_fire(fire: Fire, kills: int, *, naive: bool) -> None:
    for number in range(kills):
        fire.kill(number)
        if naive:
            time.sleep(fire.chance.uniform(*NAIVE_SECONDS))
            continue
        if number % 4 != 3:
            fire.until_recovered(fire.deaths[-1])
        time.sleep(fire.chance.uniform(*CALM_SECONDS))


def until_all_move(rig: Rig, history: FenceHistory, *, naive: bool) -> None:
    """Wait until each worker has begun, so that the first death is one under load."""
    deadline = time.monotonic() + FIRST_SECONDS_MAX
    while time.monotonic() < deadline:
        with rig.redis.client() as client:
            rows = client.keys("rapport:*:row:*")
        moved = {move.shard for move in list(history.moves) if move.commits}
        if rows if naive else len(moved) == PARTITIONS:
            return
        time.sleep(0.05)
    raise AssertionError("the workers do not begin")


def run(run: Run) -> Outcome:
    kills = KILLS_NAIVE if run.naive else run.of(KILLS)
    events = told(run.seed, CUSTOMERS, start_ms=time.time_ns() // 1_000_000 - 600_000)
    switches = ("--naive",) if run.naive else ()
    with (
        broker_of(run) as kafka,
        running_redis() as redis,
        rig(kafka, redis, run.folder, run.prefix, *switches) as workers,
        watching(redis, PARTITIONS) as history,
    ):
        sender = Sender(workers.settings)
        fire = Fire(workers, history, random.Random(run.seed))
        for name in NAMES:
            workers.start(name)
        began = time.monotonic()
        with loading(sender, events, RATE):
            until_all_move(workers, history, naive=run.naive)
            began = time.monotonic()
            under_fire(fire, kills, naive=run.naive)
        ended = time.monotonic()
        run.say(f"{len(fire.deaths)} kills in {ended - began:.0f} s, {len(sender.sent):,} events")
        send_rest(sender, events, 0 if run.naive else run.of(EVENTS))
        workers.wait_until_read(naive=run.naive)
        with redis.client() as client:
            found = verdict(expected(sender.sent), stored(client))
    recoveries = [
        max(each) * 1e3 for death in fire.deaths if (each := solid(fire.recoveries_s(death)))
    ]
    owning = sum(1 for death in fire.deaths if death.shards)
    wrong = found.wrong
    if not run.naive and owning < kills / 2:
        wrong = (*wrong, f"Only {owning} of {kills} killed workers owned anything.")
    return replace(
        found.outcome(len(fire.deaths), len(sender.sent)),
        stall_ms_max=max(history.stalls_ms(began, ended).values(), default=None),
        recover_ms_p99=p99(recoveries),
        figures={"killed_while_owning": owning},
        wrong=wrong,
    )


def send_rest(sender: Sender, events: Iterator[Told], count: int) -> None:
    """What the promise counts and the fire was too short for."""
    rest = count - len(sender.sent)
    if rest > 0:
        sender.send(events, rest)
        sender.flush()


def solid(found: list[float | None]) -> list[float]:
    """All of them, once none is missing."""
    whole = [each for each in found if each is not None]
    assert len(whole) == len(found), "a shard has not moved again"
    return whole


EXPERIMENT = Experiment(
    number=1,
    name="kill_workers",
    title="Workers killed at random under load, two or three of them",
    shows=(
        "Whenever a worker dies, also between sending a commit and reading its reply, each event is"
        " counted once and each action decided once."
    ),
    naive="No fence: positions come from the group's committed offsets, and rows are just written.",
    needs_kafka=True,
    run=run,
    seconds=330,
)
