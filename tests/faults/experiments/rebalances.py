"""Workers join and leave, again and again, and each customer's events are folded in their order.

Promise   No inversion: the actions of a customer stand in the outbox in the order of their causes, and
          each says of which order in that customer's life it was decided. 0 missing, 0 surplus. A
          shard stands still for at most STALL_MS_P99 at 99 of 100 changes.
How       One to three workers; each change is waited for until all shards have moved under a new claim,
          every fifth is not. Leaving is SIGTERM. Every order that is placed is an action, which stays in
          the outbox: the checker says that all is delivered, so that the outbox is never full, and
          deletes nothing.
Naive     The batch in hand is not waited for when shards are handed on; no fence.
Limits    A stall is seen from outside, as a fence that does not move, with a grain of about 10 ms.
"""

import random
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import msgspec
import redis

from tests.faults.experiment import Experiment, Outcome, Run, p99
from tests.faults.fence_history import FenceHistory, watching
from tests.faults.load import loading
from tests.faults.oracle import verdict
from tests.faults.shared_broker import broker_of
from tests.integration.reading import PARTITIONS
from tests.integration.redis_server import running_redis
from tests.integration.shop import Customer, Sender, Told, expected, stored, told
from tests.integration.workers import Rig, rig

CHANGES = 60
CHANGES_NAIVE = 6
RATE = 5_000
CUSTOMERS = 300
NAMES = ("one", "two", "three")
CALM_SECONDS = (0.2, 1.0)
NAIVE_SECONDS = (2.0, 4.0)  # without fences nobody can see whether a change is over
STALL_MS_P99 = 3_000.0
SETTLE_SECONDS_MAX = 120.0  # as a limit of waiting; what is promised is measured
SETTLED_PAUSE_SECONDS = 0.1
LOG_CHARS = 3_000
OUTBOX = re.compile(rb"rapport:\{(\d+)\}:outbox:(\d+)")
RULES = b"""
[rule.each]
version = 1
describe = "Write down each order"
on = "order.placed"
when = "count(order.placed) >= 1"
reason = "{count(order.placed)}"
then = [{ log = "audit", type = "each" }]
"""


@dataclass
class Traffic:
    """Workers that come and go."""

    rig: Rig
    history: FenceHistory
    chance: random.Random
    changes: list[float] = field(default_factory=list)
    """When each began."""
    failures: list[str] = field(default_factory=list)

    def change(self) -> None:
        """Somebody joins or leaves."""
        here, away = sorted(self.rig.workers), sorted(set(NAMES) - set(self.rig.workers))
        self.changes.append(time.monotonic())
        if len(here) == 1 or (away and self.chance.random() < 1 / 2):
            self.rig.start(self.chance.choice(away))
            return
        # Who has not begun yet cannot leave; without fences nobody can tell.
        owners = set(self.history.owners().values())
        name = self.chance.choice([each for each in here if self.rig.claims(each) & owners] or here)
        code, _ = self.rig.stop(name)
        if code != 0 and owners:
            self.failures.append(f"{name} left with exit code {code}.")

    def until_settled(self, before: dict[int, str]) -> None:
        """Wait until each shard has moved under another claim than those of before."""
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        since, dead = self.changes[-1], set(before.values())
        while any(
            self.history.recovered(shard, since, dead) is None for shard in range(PARTITIONS)
        ):
            assert time.monotonic() < deadline, "a change does not come to an end: " + "\n".join(
                f"{name}: {self.rig.log(name)[-LOG_CHARS:]}" for name in NAMES
            )
            time.sleep(0.05)


def traffic(run: Run, rig: Rig, history: FenceHistory) -> Traffic:
    found = Traffic(rig, history, random.Random(run.seed))
    for number in range(CHANGES_NAIVE if run.naive else run.of(CHANGES)):
        before = history.owners()
        found.change()
        if run.naive:
            time.sleep(found.chance.uniform(*NAIVE_SECONDS))
            continue
        if number % 5 != 4:
            found.until_settled(before)
        time.sleep(found.chance.uniform(*CALM_SECONDS))
    return found


@contextmanager
def settling(client: redis.Redis, history: FenceHistory) -> Iterator[None]:
    """Say of everything in the outboxes that it is delivered, as long as the block lasts."""
    ended = threading.Event()

    def settle() -> None:
        while not ended.wait(SETTLED_PAUSE_SECONDS):
            lasts = {move.shard: move.outbox for move in list(history.moves[-1_000:])}
            for shard, last in lasts.items():
                client.set(f"rapport:{{{shard}}}:relay", last)

    thread = threading.Thread(target=settle)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def wanted_of(sent: Sequence[Told]) -> dict[str, Customer]:
    """As `expected`, with the causes of the rule above."""
    wanted = expected(sent)
    for customer in wanted.values():
        customer.causes.clear()
    for number, each in enumerate(sent):
        if b'"placed"' in each.value:
            wanted[each.customer].causes.append(("each", f"e{number}"))
    return wanted


def inversions(client: redis.Redis) -> list[str]:
    """Actions that stand before an earlier one of their customer, and those that say a wrong number."""
    entries: list[tuple[int, int, bytes]] = []
    for key in client.scan_iter(match="rapport:*:outbox:*", count=10_000):
        named = OUTBOX.fullmatch(key)
        assert named is not None
        entries.append((int(named[1]), int(named[2]), key))
    last: dict[str, int] = {}
    count: defaultdict[str, int] = defaultdict(int)
    found = []
    for _, _, key in sorted(entries):
        value = client.get(key)
        assert isinstance(value, bytes)
        for action in msgspec.json.decode(value):
            customer, cause = action["customer_id"], int(action["cause"].removeprefix("e"))
            count[customer] += 1
            if cause <= last.get(customer, -1):
                found.append(f"{customer}: e{cause} was decided after e{last[customer]}")
            if action["reason"] != str(count[customer]):
                found.append(
                    f"{customer}: e{cause} was decided as order {action['reason']}, as the"
                    f" {count[customer]}th action"
                )
            last[customer] = cause
    return found


def stalls_ms(history: FenceHistory, changes: Sequence[float], end: float) -> list[float]:
    """How long each shard stood still at each change, at most."""
    ends = [*changes[1:], end]
    return [
        stall
        for since, until in zip(changes, ends, strict=True)
        for stall in history.stalls_ms(since, until).values()
    ]


def run(run: Run) -> Outcome:
    events = told(run.seed, CUSTOMERS, start_ms=time.time_ns() // 1_000_000 - 600_000)
    switches = ("--naive", "--hasty") if run.naive else ()
    with (
        broker_of(run) as kafka,
        running_redis() as server,
        # The product's own default: how often workers ask the group follows from it.
        rig(kafka, server, run.folder, run.prefix, *switches, session_timeout_ms=10_000) as workers,
        server.client() as client,
        watching(server, PARTITIONS) as history,
        settling(client, history),
    ):
        (run.folder / "rules.toml").write_bytes(RULES)
        sender = Sender(workers.settings)
        for name in NAMES[:2]:
            workers.start(name)
        began = time.monotonic()
        with loading(sender, events, RATE):
            until_begun(client)
            found = traffic(run, workers, history)
            end = time.monotonic()
        run.say(f"{len(found.changes)} changes in {end - found.changes[0]:.0f} s")
        workers.wait_until_read(naive=run.naive)
        said = verdict(wanted_of(sender.sent), stored(client))
        inverted = inversions(client)
    stalls = stalls_ms(history, found.changes, end)
    worst = p99(stalls)
    wrong = [*found.failures, *inverted[:10], *said.wrong]
    slow = []
    if worst is not None and worst > STALL_MS_P99:
        slow.append(f"A shard stood still for {worst:.0f} ms (p99), at most {STALL_MS_P99:.0f}.")
    return replace(
        said.outcome(len(found.changes), len(sender.sent)),
        stall_ms_max=max(stalls, default=None),
        recover_ms_p99=worst,
        figures={
            "inversions": len(inverted),
            "events_per_second": round(len(sender.sent) / (end - began)),
        },
        wrong=tuple(wrong),
        slow=tuple(slow),
    )


def until_begun(client: redis.Redis) -> None:
    """Wait until somebody has stored something."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while not client.keys("rapport:*:row:*"):
        assert time.monotonic() < deadline, "the workers do not begin"
        time.sleep(0.05)


EXPERIMENT = Experiment(
    number=8,
    name="rebalances",
    title="Workers join and leave at 5,000 events a second",
    shows=(
        "However the group changes, a customer's events are folded in their order, each once, and a"
        " shard stands still for at most 3 s (p99 of each shard at each change)."
    ),
    naive=(
        "Shards are handed on as Faust does by default, without waiting for the batch in hand, and"
        " there is no fence."
    ),
    needs_kafka=True,
    run=run,
    seconds=230,
    alone=True,
)
