"""Workers are stopped by SIGTERM under load, as in a rolling restart, again and again.

How       Several groups of two workers as installed, each with a Redis of its own. One of the two is
          stopped and started again, while the other has its shards; then the other one. A webhook
          takes its time to answer, so that something is under way at each stop, and records that are
          no events come right before it.
Judged    Each claim begins exactly where the last commit ended, and the commits go over each record
          once, by Redis' append-only file. A batch that was folded and dropped would have written its
          dead letters twice.
Limits    Deliveries that come twice are counted and not judged: the promise is at least once, and each
          worker that comes back takes shards of which something may be under way.
Naive     A stop like any other death, positions in the group, committed on a timer.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from confluent_kafka import Producer

from tests.faults.bad_receiver import Answer, Request, bad_receiver
from tests.faults.experiment import Experiment, Outcome, Run, p99
from tests.faults.fences import KEEP_ALL, Course, actions_written, fence_writes, judged
from tests.faults.installed import Installed, installed
from tests.faults.load import loading
from tests.faults.oracle import NOTHING, Verdict, verdict
from tests.faults.shared_broker import broker_of
from tests.integration.kafka_broker import ONE_AT_A_TIME, KafkaBroker
from tests.integration.redis_server import running_redis
from tests.integration.shop import RULES, Sender, Told, expected, stored, told
from tests.integration.workers import rig

STOPS: Final = 100
GROUPS: Final = 3
NAIVE_STOPS: Final = 3
NAMES: Final = ("one", "two")
CUSTOMERS: Final = 60
RATE: Final = 400  # events a second of each group
LETTERS: Final = 20  # before each stop
ANSWER_SECONDS: Final = 0.05
STOP_SECONDS_MAX: Final = 5.0
NAIVE_SECONDS: Final = 5.0
WEBHOOK: Final = b'webhook = "crm"'


@dataclass
class Inbox:
    """How often each action has come."""

    taken: Counter[str] = field(default_factory=Counter)

    def came(self, request: Request) -> Answer:
        self.taken[request.headers["webhook-id"]] += 1
        return Answer(after_s=ANSWER_SECONDS)


@dataclass
class Group:
    """What became of one group."""

    stops: int = 0
    offered: int = 0
    letters: int = 0
    found: Verdict = NOTHING
    course: Course = field(default_factory=Course)
    decided: set[str] = field(default_factory=set)
    taken: Counter[str] = field(default_factory=Counter)
    letters_twice: int = 0
    letters_missing: int = 0
    codes: list[int] = field(default_factory=list)
    stop_seconds: list[float] = field(default_factory=list)
    stalls_ms: list[float] = field(default_factory=list)


def run(run: Run) -> Outcome:
    stops = run.of(STOPS)
    count = min(GROUPS, max(1, stops // 5))
    shares = [stops // count + (index < stops % count) for index in range(count)]
    inboxes = [Inbox() for _ in shares]
    with broker_of(run) as broker:
        if run.naive:
            return outcome([naive(run, broker)])
        with ExitStack() as stack, ThreadPoolExecutor(count) as pool:
            groups = [stack.enter_context(group(run, broker, *each)) for each in enumerate(inboxes)]
            doing = [
                pool.submit(stopped, run, index, *each)
                for index, each in enumerate(zip(groups, inboxes, shares, strict=True))
            ]
            return outcome([each.result() for each in doing])


@contextmanager
def group(run: Run, broker: KafkaBroker, index: int, inbox: Inbox) -> Iterator[Installed]:
    """Workers as installed, whose actions go to the inbox."""
    folder, rules = run.folder / f"group-{index}", RULES.replace(b'log = "audit"', WEBHOOK)
    with (
        running_redis(settings=KEEP_ALL) as redis,
        bad_receiver(inbox.came) as receiver,
        installed(
            *(broker, redis, folder, f"{run.prefix}{index}-"),
            rules=rules,
            more=f'[endpoints.crm]\nurl = "{receiver.url("hook")}"',
        ) as workers,
    ):
        yield workers


def events_of(run: Run, index: int) -> Iterator[Told]:
    return told(run.seed + index, CUSTOMERS, start_ms=time.time_ns() // 1_000_000 - 600_000)


def stopped(run: Run, index: int, workers: Installed, inbox: Inbox, stops: int) -> Group:
    """A group whose workers are stopped so often, in turns."""
    chance, found, sender = random.Random(run.seed + index), Group(), Sender(workers.settings)
    for name in NAMES:
        workers.start(name)
    with loading(sender, events_of(run, index), RATE):
        for number in range(stops):
            name = NAMES[number % 2]
            workers.until(lambda: all(workers.commits(each) for each in NAMES), "both work")
            time.sleep(chance.uniform(0, 0.5))
            one_stop(workers, name, found)
            workers.start(name)
        workers.until(lambda: all(workers.commits(each) for each in NAMES), "both work")
    workers.wait_until_read()
    workers.until(workers.is_delivered, "all actions are delivered")
    found.codes += [workers.stop(name)[0] for name in NAMES]
    with workers.redis.client() as client:
        there = stored(client)
    workers.redis.stop()
    actions = actions_written(workers.redis)
    causes = Counter((each.customer, each.rule, each.cause) for each in actions)
    found.offered, found.taken = len(sender.sent), inbox.taken
    found.decided = {each.id for each in actions}
    found.found = verdict(expected(sender.sent), replace(there, causes=causes))
    found.course = judged(fence_writes(workers.redis))
    read = workers.broker.read(workers.settings.dead_letters, found.letters + 100, 5.0)
    letters = Counter(read)
    found.letters_twice = letters.total() - len(letters)
    found.letters_missing = found.letters - len(letters)
    run.say(f"group {index}: {found.stops} stops, at most {max(found.stop_seconds):.1f} s")
    return found


def one_stop(workers: Installed, name: str, found: Group) -> None:
    """Give it something to do, end it, and wait until the other one has gone on with all shards."""
    send_letters(workers, found)
    before, began = workers.fences(), time.monotonic()
    code, seconds = workers.stop(name)
    workers.until_claimed_after(before)
    found.stalls_ms.append((time.monotonic() - began) * 1_000)
    found.stop_seconds.append(seconds)
    found.codes.append(code)
    found.stops += 1


def send_letters(workers: Installed, found: Group) -> None:
    """Records that are no events, each unlike all others."""
    producer = Producer({**workers.settings.producer(), **ONE_AT_A_TIME})
    for number in range(found.letters, found.letters + LETTERS):
        producer.produce(workers.settings.inputs[0], f"no event, {number}", f"c{number}")
    assert producer.flush(30) == 0
    found.letters += LETTERS


def naive(run: Run, broker: KafkaBroker) -> Group:
    """Killed instead, with positions in the group, committed each second."""
    chance, found = random.Random(run.seed), Group()
    folder = run.folder / "group"
    folder.mkdir()
    with running_redis() as redis, rig(broker, redis, folder, run.prefix, "--naive") as workers:
        sender = Sender(workers.settings)
        for name in NAMES:
            workers.start(name)
        with loading(sender, events_of(run, 0), RATE):
            time.sleep(NAIVE_SECONDS)
            for number in range(NAIVE_STOPS):
                name = NAMES[number % 2]
                workers.kill(name)
                workers.start(name)
                time.sleep(NAIVE_SECONDS + chance.uniform(0, 1))
                found.stops += 1
        workers.wait_until_read(naive=True)
        with redis.client() as client:
            found.found = verdict(expected(sender.sent), stored(client))
        found.offered = len(sender.sent)
    return found


def wrong_of(group: Group) -> Iterator[str]:
    """What is not as promised."""
    yield from (*group.found.wrong, *group.course.wrong)
    yield from (f"A worker ended with {code}." for code in group.codes if code)
    records = group.offered + group.letters
    if group.course.claims and group.course.records != records:
        yield f"Commits went over {group.course.records} records; there are {records}."
    if group.letters_twice or group.letters_missing:
        yield f"{group.letters_twice} dead letters twice, {group.letters_missing} missing."
    if group.taken.keys() != group.decided:
        yield f"{len(group.taken)} actions came, {len(group.decided)} were decided."


def outcome(groups: Sequence[Group]) -> Outcome:
    found = sum((each.found for each in groups), NOTHING)
    delivered = sum(len(each.taken) for each in groups)
    seconds = [each for group in groups for each in group.stop_seconds]
    stalls_ms = [ms for each in groups for ms in each.stalls_ms]
    return replace(
        found.outcome(sum(each.stops for each in groups), sum(each.offered for each in groups)),
        delivered=delivered,
        repeated=sum(each.taken.total() for each in groups) - delivered,
        missing=found.missing + sum(each.letters_missing for each in groups),
        surplus=found.surplus + sum(each.letters_twice for each in groups),
        stall_ms_max=max(stalls_ms, default=None),
        recover_ms_p99=p99(stalls_ms),
        figures={
            "stop_s_max": round(max(seconds, default=0.0), 2),
            "claims": sum(each.course.claims for each in groups),
            "commits": sum(each.course.commits for each in groups),
            "processed_again": sum(len(each.course.jumps) for each in groups),
            "dead_letters": sum(each.letters for each in groups),
        },
        wrong=tuple(line for each in groups for line in wrong_of(each)),
        slow=tuple(f"A stop took {each:.1f} s." for each in seconds if each > STOP_SECONDS_MAX),
    )


EXPERIMENT = Experiment(
    number=9,
    name="clean_stops",
    title="workers stopped by SIGTERM under load, in turns",
    shows="exit 0 within 5 s, each next owner begins where the last commit ended, nothing again",
    naive="stopped like any other death; positions in the group, committed each second",
    needs_kafka=True,
    run=run,
    seconds=240,
)
