"""Redis carries a commit out, and its reply is lost.

How       Two workers in this process, with the claimer, the shard and the patience of a worker, read
          shards whose log is a list. A proxy before Redis loses the reply to each tenth EXEC, and some
          to WATCH and MGET: those of claims and of rows too. Now and then the worker gives the shard up
          while it does not know: the other claims it and goes on from the fence, and then the first
          tries its commit again and must be refused.
Judged    Views and outbox by the oracle; and each fence that Redis wrote, by its append-only file: a
          commit that was carried out twice is there twice.
Limits    A worker waits 100 ms before it tries again; here it does not, for the sake of the number.
"""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from processors.batch import Origin, Records
from processors.partition import partition_of
from streams.claimer import Claimer
from streams.errors import FencedError, StreamsError
from streams.patience import Patience, UnwantedError
from streams.shard import Shard
from streams.store import StoreAddress
from streams.work import Ports, Work
from tests.faults.experiment import Experiment, Outcome, Run
from tests.faults.fences import KEEP_ALL, fence_writes, judged
from tests.faults.oracle import verdict
from tests.faults.proxy import FaultProxy, Faults, fault_proxy
from tests.integration.embedded import Recorder
from tests.integration.kafka_worker import engine_of
from tests.integration.redis_server import RedisServer, running_redis
from tests.integration.shop import DEAR, RETURNS, RULES, Stored, Told, expected, stored, told

LOST: Final = 10_000
LOST_NAIVE: Final = 200
LOSSES: Final = {b"EXEC": 0.1, b"WATCH": 0.01, b"MGET": 0.05}
GIVEN_UP: Final = 0.05  # of the commits whose reply was lost
SHARDS: Final = 4
CUSTOMERS: Final = 200
EVENTS_AT_ONCE: Final = 8  # of all shards: most commits are of two
HOUR_MS: Final = 3_600_000

Result = TypeVar("Result")


class AtOnce(threading.Event):
    """Never set, and nobody waits for it."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return False


@dataclass
class Two:
    """Two workers, of which one has each shard, and what happened to them."""

    address: StoreAddress
    chance: random.Random
    commits: int = 0
    lost: int = 0
    """Commits whose reply did not come."""
    handed_over: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    recorder: Recorder = field(default_factory=Recorder)
    _troubles: int = 0

    def __post_init__(self) -> None:
        engine = engine_of(RULES)
        kept = self.recorder.ports()
        ports = Ports(kept.dead_letters, kept.committed, lambda _work, _ns: None, kept.rolled_back)
        self.claimers = [
            Claimer(self.address, lambda: engine, ports, lambda: time.time_ns() // 1_000_000)
            for _ in range(2)
        ]
        self.patience = Patience(AtOnce(), self._trouble, lambda: None)
        self.logs: list[list[Told]] = [[] for _ in range(SHARDS)]
        self.shards = [self.claimed(number, 0) for number in range(SHARDS)]
        self.owners = [0] * SHARDS

    def _trouble(self, _error: StreamsError) -> None:
        self._troubles += 1

    def until_done(self, work: Callable[[], Result]) -> Result:
        return self.patience.until_done(work, lambda: True)

    def claimed(self, number: int, worker: int) -> Shard:
        return self.until_done(lambda: self.claimers[worker](number, 0))

    def add(self, events: list[Told]) -> None:
        for each in events:
            self.logs[partition_of(each.customer, SHARDS)].append(each)

    def advance(self, number: int) -> None:
        """Fold and commit what waits in a shard's log."""
        shard, log = self.shards[number], self.logs[number]
        begin, end = int(shard.offsets.get("log", "0")), len(log)
        if begin == end:
            return
        records = records_of(number, log, begin, end)
        work = self.until_done(lambda: shard.step(records, {"log": str(end)}))
        self.commits += 1
        before, is_given_up = self._troubles, self.chance.random() < GIVEN_UP
        try:
            self.patience.until_done(work, lambda: not is_given_up)
        except UnwantedError:
            self.hand_over(number, shard, work)
        self.lost += self._troubles > before

    def hand_over(self, number: int, former: Shard, work: Work) -> None:
        """The other worker claims the shard; the former owner wakes up, and tries its commit again."""
        self.owners[number] = 1 - self.owners[number]
        self.shards[number] = self.claimed(number, self.owners[number])
        self.handed_over += 1
        try:
            self.until_done(work)
        except FencedError:
            self.refused += 1
        else:
            self.wrong.append(f"Shard {number}: a commit of its former owner was accepted.")
        former.close()


def records_of(number: int, log: list[Told], begin: int, end: int) -> Records:
    return Records(
        [each.value for each in log[begin:end]],
        [each.at_ms for each in log[begin:end]],
        lambda index: Origin("log", number, str(begin + index), None, (), log[begin + index].at_ms),
    )


def run(run: Run) -> Outcome:
    events = told(run.seed, CUSTOMERS, start_ms=time.time_ns() // 1_000_000 - HOUR_MS)
    with (
        running_redis(settings=KEEP_ALL) as server,
        fault_proxy(server.socket, seed=run.seed, redis=True) as proxy,
    ):
        return (naive if run.naive else real)(run, server, proxy, events)


def real(run: Run, server: RedisServer, proxy: FaultProxy, events: Iterator[Told]) -> Outcome:
    logging.getLogger("streams.patience").setLevel(logging.ERROR)  # a line for each loss
    sent: list[Told] = []
    two = Two(StoreAddress(path=str(proxy.address)), random.Random(run.seed))
    proxy.set(Faults(lose=LOSSES))
    said = 0
    while two.lost < run.of(LOST):
        fresh = list(islice(events, EVENTS_AT_ONCE))
        sent += fresh
        two.add(fresh)
        for number in range(SHARDS):
            two.advance(number)
        if two.commits // 20_000 > said:
            said = two.commits // 20_000
            run.say(f"{two.commits:,} commits, the replies to {two.lost:,} lost")
    proxy.set(Faults())
    for number in range(SHARDS):  # a shard that was handed over last has yet to be read to its end
        two.advance(number)
        two.shards[number].close()
    with server.client() as client:
        found = verdict(expected(sent), stored(client))
    server.stop()
    course = judged(fence_writes(server))
    wrong = [*two.wrong, *found.wrong, *course.wrong]
    wrong += [f"A rollback was told of shard {each[0]}." for each in two.recorder.rollbacks]
    wrong += [f"A dead letter: {each.detail}" for each in two.recorder.letters]
    if not two.refused:
        wrong.append("No shard was handed over.")
    return replace(
        found.outcome(two.lost, len(sent)),
        figures={
            "commits": two.commits,
            "commits_in_file": course.commits,
            "replies_lost": proxy.counts["lost"],
            "handed_over": two.handed_over,
            "refused": two.refused,
        },
        wrong=tuple(wrong),
    )


def naive(run: Run, server: RedisServer, proxy: FaultProxy, events: Iterator[Told]) -> Outcome:
    """Counters that go up in a transaction, and a client that sends again by itself.

    redis-py does so by default; only its waiting in between is left out.
    """
    sent: list[Told] = []
    lost = run.of(LOST_NAIVE)
    with redis.Redis(unix_socket_path=str(proxy.address), retry=Retry(NoBackoff(), 3)) as client:
        proxy.set(Faults(lose={b"EXEC": LOSSES[b"EXEC"]}))
        returns: Counter[str] = Counter()
        while proxy.counts["lost"] < lost:
            fresh = list(islice(events, EVENTS_AT_ONCE))
            increment(client, fresh, len(sent), returns)
            sent += fresh
        proxy.set(Faults())
    with server.client(decode_responses=True) as client:
        found = verdict(expected(sent), incremented(client))
    return found.outcome(proxy.counts["lost"], len(sent))


def increment(client: redis.Redis, events: list[Told], first: int, returns: Counter[str]) -> None:
    """What the events do to counters, in one transaction. They are the first-th and following."""
    with client.pipeline() as pipe:
        for number, each in enumerate(events, first):
            key = f"naive:{each.customer}"
            pipe.hincrby(key, "events_count", 1)
            pipe.hsetnx(key, "first_at_ms", str(each.at_ms))
            pipe.hset(key, "last_at_ms", str(each.at_ms))
            if each.amount is None:
                continue
            if b'"placed"' in each.value:
                pipe.hincrby(key, "orders_count", 1)
                pipe.hincrby(key, "cents", round(100 * each.amount))
                if each.amount > DEAR:
                    pipe.rpush("naive-actions", f"{each.customer} dear e{number}")
            else:
                pipe.hincrby(key, "returns_count", 1)
                returns[each.customer] += 1
                if returns[each.customer] == RETURNS:
                    pipe.rpush("naive-actions", f"{each.customer} returns e{number}")
        pipe.execute()


def incremented(client: redis.Redis) -> Stored:
    """The counters as views."""
    views: dict[str, dict[str, object]] = {}
    for key in client.scan_iter("naive:*"):
        fields: dict[str, str] = client.hgetall(key)  # type: ignore[assignment]  # of a synchronous client
        view = {name: int(value) for name, value in fields.items()}
        amount = view.pop("cents", 0) / 100
        zero = {"orders_count": 0, "returns_count": 0}
        views[key.partition(":")[2]] = {**zero, **view, "orders_amount": amount}
    actions: list[str] = client.lrange("naive-actions", 0, -1)  # type: ignore[assignment]  # the same
    causes = Counter((who, rule, cause) for who, rule, cause in (each.split() for each in actions))
    return Stored(views, {}, causes, {})


EXPERIMENT = Experiment(
    number=5,
    name="lost_replies",
    title="the reply to each tenth commit is lost after Redis has carried it out",
    shows="0 missing, 0 surplus in state and actions; each commit once in Redis' file",
    naive="no compare-and-set: counters go up, and the client sends again what was not answered",
    needs_kafka=False,
    run=run,
    seconds=150,
)
