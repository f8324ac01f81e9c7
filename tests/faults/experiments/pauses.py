"""Workers are frozen past the session timeout; others take over; then the frozen ones go on.

How       Several groups of two workers, each with a Redis of its own, so that waiting for session
          timeouts overlaps. What a frozen worker had in its hands it tries to commit when it goes on.
          At larger scales the first pause of the first group is longer than the time after which the
          group's client gives up by itself.
Judged    Every fence that Redis wrote, by its append-only file: a commit of a former owner is a stale
          write. And every event and action, by the oracle.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Final

from tests.faults.experiment import Experiment, Outcome, Run, p99
from tests.faults.fences import KEEP_ALL, Course, actions_written, fence_writes, judged
from tests.faults.installed import Installed, installed
from tests.faults.load import loading
from tests.faults.oracle import NOTHING, Verdict, verdict
from tests.faults.shared_broker import broker_of
from tests.integration.kafka_broker import KafkaBroker
from tests.integration.redis_server import running_redis
from tests.integration.shop import Sender, Told, expected, stored, told
from tests.integration.workers import Rig, rig

PAUSES: Final = 50
GROUPS: Final = 4
PAUSES_MIN: Final = 3  # of a group: starting two workers costs as much
NAIVE_PAUSES: Final = 2  # of each of NAIVE_GROUPS
NAIVE_GROUPS: Final = 2
NAMES: Final = ("one", "two")
CUSTOMERS: Final = 60
RATE: Final = 250  # events a second of each group
SESSION_SECONDS: Final = 2.0  # of the rigs
LONG_SECONDS: Final = 33.0  # the group's client gives up after 30 without a sign of life
LONG_FROM_SCALE: Final = 0.5  # below, tests/integration/test_control_plane.py has to do
NAIVE_START_SECONDS: Final = 4.0


@dataclass
class Group:
    """What became of one group."""

    pauses: int = 0
    offered: int = 0
    found: Verdict = NOTHING
    course: Course = field(default_factory=Course)
    stalls_ms: list[float] = field(default_factory=list)
    rejoined_ms: list[float] = field(default_factory=list)
    refused: float = 0
    codes: list[int] = field(default_factory=list)


def run(run: Run) -> Outcome:
    pauses = run.of(PAUSES)
    count = NAIVE_GROUPS if run.naive else min(GROUPS, ceil(pauses / PAUSES_MIN))
    shares = [pauses // count + (index < pauses % count) for index in range(count)]
    with broker_of(run) as broker, ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        if run.naive:
            rigs = [stack.enter_context(naive_group(run, broker, index)) for index in range(count)]
            doing = [pool.submit(naive, run, *each) for each in enumerate(rigs)]
        else:
            groups = [stack.enter_context(group(run, broker, index)) for index in range(count)]
            doing = [
                pool.submit(paused, run, index, *each)
                for index, each in enumerate(zip(groups, shares, strict=True))
            ]
        return outcome([each.result() for each in doing])


@contextmanager
def group(run: Run, broker: KafkaBroker, index: int) -> Iterator[Installed]:
    """Workers as installed."""
    folder = run.folder / f"group-{index}"
    with (
        running_redis(settings=KEEP_ALL) as redis,
        installed(broker, redis, folder, f"{run.prefix}{index}-") as workers,
    ):
        yield workers


@contextmanager
def naive_group(run: Run, broker: KafkaBroker, index: int) -> Iterator[Rig]:
    """Workers without a fence: positions in the group, rows just written."""
    folder = run.folder / f"naive-{index}"
    folder.mkdir()
    with (
        running_redis() as redis,
        rig(broker, redis, folder, f"{run.prefix}{index}-", "--naive") as workers,
    ):
        yield workers


def events_of(run: Run, index: int) -> Iterator[Told]:
    return told(run.seed + index, CUSTOMERS, start_ms=time.time_ns() // 1_000_000 - 600_000)


def paused(run: Run, index: int, workers: Installed, pauses: int) -> Group:
    """A group whose workers are paused so often, whichever chance names."""
    chance, found, sender = random.Random(run.seed + index), Group(), Sender(workers.settings)
    for name in NAMES:
        workers.start(name)
    with loading(sender, events_of(run, index), RATE):
        workers.until(lambda: all(workers.commits(each) for each in NAMES), "both work")
        for number in range(pauses):
            is_long = (index, number) == (0, 0) and run.scale >= LONG_FROM_SCALE
            seconds = LONG_SECONDS if is_long else chance.uniform(0, 1)
            one_pause(workers, chance.choice(NAMES), seconds, found)
            time.sleep(chance.uniform(0.2, 1.0))
    workers.wait_until_read()
    found.codes = [workers.stop(name)[0] for name in NAMES]
    with workers.redis.client() as client:
        there = stored(client)
    workers.redis.stop()
    actions = actions_written(workers.redis)
    causes = Counter((each.customer, each.rule, each.cause) for each in actions)
    found.offered = len(sender.sent)
    found.found = verdict(expected(sender.sent), replace(there, causes=causes))
    found.course = judged(fence_writes(workers.redis))
    run.say(f"group {index}: {found.pauses} pauses, {found.refused:.0f} refusals")
    return found


def one_pause(workers: Installed, name: str, seconds: float, found: Group) -> None:
    """Freeze a worker until others have its shards, and `seconds` longer; wait until it works again."""
    before, refused = workers.fences(), workers.refusals(name)
    began = time.monotonic()
    workers.pause(name)
    workers.until_claimed_after(before)
    found.stalls_ms.append((time.monotonic() - began) * 1_000)
    time.sleep(seconds)
    workers.resume(name)
    resumed = time.monotonic()
    # Nothing of it is stored before it has joined again, so one commit more means that it has.
    commits = workers.commits(name)
    workers.until(lambda: workers.commits(name) > commits > 0, f"{name} works again")
    found.rejoined_ms.append((time.monotonic() - resumed) * 1_000)
    found.refused += workers.refusals(name) - refused
    found.pauses += 1


def naive(run: Run, index: int, workers: Rig) -> Group:
    """The same without a fence, by the clock: nobody can see who owns what."""
    chance, found, sender = random.Random(run.seed + index), Group(), Sender(workers.settings)
    for name in NAMES:
        workers.start(name)
    with loading(sender, events_of(run, index), RATE):
        time.sleep(NAIVE_START_SECONDS)
        for _ in range(NAIVE_PAUSES):
            process = workers.workers[chance.choice(NAMES)]
            process.send_signal(signal.SIGSTOP)
            time.sleep(SESSION_SECONDS + chance.uniform(1.0, 2.0))
            process.send_signal(signal.SIGCONT)
            time.sleep(NAIVE_START_SECONDS)
            found.pauses += 1
    workers.wait_until_read(naive=True)
    with workers.redis.client() as client:
        found.found = verdict(expected(sender.sent), stored(client))
    found.offered = len(sender.sent)
    return found


def outcome(groups: Sequence[Group]) -> Outcome:
    found = sum((each.found for each in groups), NOTHING)
    refused = sum(each.refused for each in groups)
    courses = [each.course for each in groups]
    wrong = [line for each in groups for line in (*each.found.wrong, *each.course.wrong)]
    wrong += [f"A worker ended with {code}." for each in groups for code in each.codes if code]
    if not refused:
        wrong.append("No commit was refused: the pauses show nothing.")
    return replace(
        found.outcome(sum(each.pauses for each in groups), sum(each.offered for each in groups)),
        stall_ms_max=max((ms for each in groups for ms in each.stalls_ms), default=None),
        recover_ms_p99=p99(ms for each in groups for ms in each.rejoined_ms),
        figures={
            "stale_writes": sum(len(each.stale) for each in courses),
            "refused": refused,
            "claims": sum(each.claims for each in courses),
            "commits": sum(each.commits for each in courses),
        },
        wrong=tuple(wrong),
    )


EXPERIMENT = Experiment(
    number=6,
    name="pauses",
    title="a worker is frozen past the session timeout, another takes over, the frozen one goes on",
    shows="no stale write, refusals counted, 0 missing, 0 surplus, and the worker rejoins by itself",
    naive="no fence: whoever believes to own a shard writes its rows",
    needs_kafka=True,
    run=run,
    seconds=180,
)
