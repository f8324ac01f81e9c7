"""Redis freezes, then it is full, then an endpoint is dead: everything waits, and nothing is dropped.

Promise   Each event is counted once, and each action is with its receiver or kept for its next attempt.
          The worker says within two seconds that it cannot be used, holds at most 64 MB more, and
          catches up at three times the rate at which events come in.
How       A steady load that never stops. Catching up is measured from the moment at which the fault
          ends until what is sent and what is committed differ by no more than a moment's events.
Limits    An action that has failed twice waits for five minutes, as the schedule of attempts has it:
          it must be kept in Redis, and its delivery is not waited for.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from benchmarks.processes import python, running
from tests.faults.door import Cause, Door, door
from tests.faults.experiment import Experiment, Outcome, Run, p99
from tests.faults.load import loading
from tests.faults.lone_worker import Site, Worker, site_of, until, worker
from tests.faults.oracle import verdict
from tests.integration.kafka_broker import running_broker
from tests.integration.reading import PARTITIONS
from tests.integration.redis_server import RedisServer, running_redis
from tests.integration.shop import RULES, Sender, expected, stored, told

RATE = 1_000
CUSTOMERS = 400
FROZEN_SECONDS = 30
FULL_SECONDS = 30
DEAD_SECONDS = 150
FAULT_SECONDS_MIN = 3.0
WARM_SECONDS = 5.0
NOT_READY_SECONDS_MAX = 2.0
GROWTH_KB_MAX = 64 * 1024
CATCH_UP_MIN = 3.0  # times the rate
BEHIND_SECONDS_MAX = 0.2  # so far behind is caught up: what is under way
SECONDS_MAX = 120.0
SETTLED_SECONDS_MAX = 150.0  # the breaker asks once a minute at the latest
FOLDER = Path(__file__).parents[1]
HOOKS = RULES.decode().replace('{ log = "audit"', '{ webhook = "crm"')


@dataclass
class Watch:
    """A worker under a load, and what was seen of it."""

    site: Site
    sender: Sender
    worker: Worker
    resident_kb: int = 0
    resident_kb_max: int = 0
    not_ready_s: list[float] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)
    catch_up: list[float] = field(default_factory=list)  # times the rate
    wrong: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    def look(self) -> None:
        self.resident_kb_max = max(self.resident_kb_max, self.worker.resident_kb())

    def until_not_ready(self, what: str) -> None:
        """Wait until it says that it cannot be used."""

        def is_told() -> bool:
            self.look()
            return not self.worker.is_ready()

        seconds = until(is_told, f"not ready while {what}", SECONDS_MAX)
        self.not_ready_s.append(seconds)
        if seconds > NOT_READY_SECONDS_MAX:
            self.slow.append(f"It takes {seconds:.1f} s to be not ready while {what}.")

    def committed(self) -> int:
        """How many events are behind the fences."""
        return sum(self.site.positions().values())

    def until_caught_up(self, before: int, what: str) -> None:
        """Wait until the load is kept up with again, from `before` events on."""
        began = time.monotonic()

        def is_caught_up() -> bool:
            self.look()
            return len(self.sender.sent) - self.committed() <= RATE * BEHIND_SECONDS_MAX

        seconds = until(is_caught_up, f"catching up after {what}", SECONDS_MAX)
        rate = (self.committed() - before) / (time.monotonic() - began) / RATE
        self.recovered_s.append(seconds)
        self.catch_up.append(rate)
        if rate < CATCH_UP_MIN:
            self.slow.append(f"It catches up at {rate:.1f} times the rate after {what}.")
        until(self.worker.is_ready, f"ready after {what}", SECONDS_MAX)


@contextmanager
def frozen(redis: RedisServer) -> Iterator[None]:
    redis.pause()
    try:
        yield
    finally:
        redis.resume()


@contextmanager
def full(redis: RedisServer) -> Iterator[None]:
    """Redis has reached its `maxmemory`: it takes no writes."""
    with redis.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)


def hold(run: Run, seconds: int, began: float, look: Callable[[], None]) -> None:
    """Let a fault last."""
    while time.monotonic() - began < max(FAULT_SECONDS_MIN, seconds * run.scale):
        look()
        time.sleep(0.1)


def redis_faults(run: Run, watch: Watch) -> None:
    """Redis is frozen, then it is full."""
    redis = watch.site.redis
    for what, fault, seconds in (
        ("Redis is frozen", frozen, FROZEN_SECONDS),
        ("Redis is full", full, FULL_SECONDS),
    ):
        before, began = watch.committed(), time.monotonic()
        with fault(redis):
            watch.until_not_ready(what)
            hold(run, seconds, began, watch.look)
        watch.until_caught_up(before, what)
        run.say(
            f"{what}: not ready after {watch.not_ready_s[-1]:.2f} s, caught up after"
            f" {watch.recovered_s[-1]:.2f} s at {watch.catch_up[-1]:.1f} times the rate"
        )


def endpoint_fault(run: Run, watch: Watch, hook: Door) -> None:
    """The endpoint is dead for long, and events go on being folded; then it comes back."""
    hook.go()
    hold(run, DEAD_SECONDS, time.monotonic(), watch.look)
    behind = len(watch.sender.sent) - watch.committed()
    if behind > RATE * BEHIND_SECONDS_MAX:
        watch.wrong.append(f"While the endpoint is dead, {behind} events wait.")
    hook.come()


def settled(site: Site, hook: Door, wanted: set[Cause]) -> tuple[Counter[Cause], set[Cause]]:
    """Wait until all actions are delivered, or will be later than now; those of Redis that wait."""
    kept: set[Cause] = set()

    def is_settled() -> bool:
        nonlocal kept
        kept = later(site)
        return wanted <= set(hook.causes.values()) | kept

    try:
        until(is_settled, "delivering", SETTLED_SECONDS_MAX)
    except AssertionError:
        kept = later(site)  # what is missing is for the checker to say
    return Counter(hook.causes.values()), kept - set(hook.causes.values())


def later(site: Site) -> set[Cause]:
    """The actions in Redis that are to be tried again, but not at once."""
    found = set()
    soon_ms = time.time_ns() // 1_000_000 + 60_000
    with site.redis.client() as client:
        for number in range(PARTITIONS):
            for record in client.hvals(f"rapport:{{{number}}}:actions:waiting"):
                action = msgspec.json.decode(record)
                if action["status"] == "retrying" and action["due_ms"] > soon_ms:
                    found.add((action["customer_id"], action["rule"], action["cause"]))
    return found


def judged(
    site: Site, sender: Sender, causes: Counter[Cause], kept: set[Cause], hook: Door
) -> Outcome:
    """Hold views and deliveries beside what was sent."""
    wanted = expected(sender.sent)
    with site.redis.client() as client:
        found = replace(stored(client), causes=causes + Counter(kept))
    verdict_ = verdict(wanted, found)
    return replace(
        verdict_.outcome(3, len(sender.sent)),
        delivered=causes.total(),
        repeated=hook.taken.total() - len(hook.taken),
        figures={"kept_for_later": len(kept)},
    )


def real(run: Run, site: Site, hook: Door) -> Outcome:
    sender = Sender(site.settings)
    events = told(run.seed, CUSTOMERS, start_ms=time.time_ns() // 1_000_000 - 600_000)
    with worker(site, f'[endpoints.crm]\nurl = "{hook.url}"\n') as made:
        watch = Watch(site, sender, made)
        with loading(sender, events, RATE):
            time.sleep(WARM_SECONDS)
            until(made.is_ready, "ready", SECONDS_MAX)
            watch.resident_kb = made.resident_kb()
            redis_faults(run, watch)
            endpoint_fault(run, watch, hook)
        site.wait_until_read(SECONDS_MAX)
        wanted = {(n, *each) for n, c in expected(sender.sent).items() for each in c.causes}
        causes, kept = settled(site, hook, wanted)
        watch.look()
    growth_kb = watch.resident_kb_max - watch.resident_kb
    if growth_kb > GROWTH_KB_MAX:
        watch.wrong.append(f"The worker's memory grows by {growth_kb / 1024:.0f} MB.")
    outcome = judged(site, sender, causes, kept, hook)
    slowest = p99(watch.recovered_s)
    return replace(
        outcome,
        recover_ms_p99=None if slowest is None else round(slowest * 1_000),
        figures={
            **outcome.figures,
            "not_ready_s_max": round(max(watch.not_ready_s), 2),
            "catch_up_times_min": round(min(watch.catch_up), 1),
            "rss_growth_mb": round(growth_kb / 1024, 1),
        },
        wrong=(*watch.wrong, *outcome.wrong),
        slow=tuple(watch.slow),
    )


def naive(run: Run, site: Site, hook: Door) -> Outcome:
    """A consumer that goes on when Redis or the endpoint does not answer."""
    sender = Sender(site.settings)
    events = told(run.seed, CUSTOMERS, start_ms=time.time_ns() // 1_000_000 - 600_000)
    script = FOLDER / "naive_consumer.py"
    command = python(script, site.broker.bootstrap, site.redis.url, hook.url)
    with running(run.folder / "consumer.log", *command):
        sender.send(events, RATE, RATE)
        sender.flush()
        site.wait_until_read(SECONDS_MAX, naive=True)  # it has begun
        with frozen(site.redis):
            sender.send(events, 2 * RATE, RATE)
        with full(site.redis):
            sender.send(events, 2 * RATE, RATE)
        hook.go()
        sender.send(events, 2 * RATE, RATE)
        hook.come()
        sender.flush()
        site.wait_until_read(SECONDS_MAX, naive=True)
    return judged(site, sender, Counter(hook.causes.values()), set(), hook)


def run(run: Run) -> Outcome:
    with (
        running_broker(run.folder / "kafka") as broker,
        running_redis() as redis,
        door() as hook,
    ):
        site = site_of(broker, redis, run.folder, HOOKS)
        return naive(run, site, hook) if run.naive else real(run, site, hook)


EXPERIMENT = Experiment(
    number=14,
    name="stalls_and_limits",
    title="Redis frozen for 30 s, then at its maxmemory, then an endpoint dead for minutes.",
    shows=(
        "Nothing is dropped; not ready within 2 s; at most 64 MB more; caught up at three times the"
        " rate at which events come in."
    ),
    naive="A consumer that skips what Redis or the endpoint does not take.",
    needs_kafka=True,
    run=run,
    seconds=360.0,
)
