"""The Kafka broker is killed and restarted; then brokers answer with errors.

How       Two `rapport worker` under load on a real broker that advertises our proxy, so that all they
          and the producer say passes there. Before each restart the network does harm: connections
          reset, silent, half closed, replies in small pieces. Every other restart is a SIGKILL.
          Then two workers on librdkafka's mock cluster of three brokers, whose leaders and coordinator
          move, which answer with errors, late, or not at all. An error counts when it was answered with.
Judged    Events and actions by the oracle; progress by the fences: all that was sent before a fault was
          over must be committed within PROGRESS_SECONDS_MAX after it.
Naive     A consumer with auto commit, and state that knows nothing of positions.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Final

from processors.partition import partition_of
from streams import topics
from streams.errors import LogDownError
from streams.kafka_settings import KafkaSettings
from tests.faults.broker_errors import KINDS, inject, until
from tests.faults.crew import crew
from tests.faults.experiment import Experiment, Outcome, Run, p99
from tests.faults.fence_history import watching
from tests.faults.installed import installed
from tests.faults.load import loading
from tests.faults.mock_cluster import MockCluster, mock_cluster
from tests.faults.oracle import NOTHING, Verdict, verdict
from tests.faults.proxy import FaultProxy, Faults, fault_proxy
from tests.integration.free_port import free_port
from tests.integration.kafka_broker import KafkaBroker, broker_behind
from tests.integration.reading import PARTITIONS
from tests.integration.redis_server import RedisServer, running_redis
from tests.integration.shop import Sender, Told, expected, stored, told
from tests.integration.workers import Rig, rig

RESTARTS: Final = 10
ERRORS: Final = 25
RESTARTS_NAIVE: Final = 2
SESSION_SECONDS_NAIVE: Final = 6.0  # of naive_consumer.py
CUSTOMERS: Final = 120
RATE: Final = 1_000
RATE_MOCK: Final = 600
HARM_SECONDS: Final = 1.5
CALM_SECONDS: Final = (0.5, 1.5)
PROGRESS_SECONDS_MAX: Final = 10.0  # the promise
PATIENCE_MS: Final = 180_000  # of the producer: a broker may need a minute to start
NAMES: Final = ("one", "two")
MOCK_WORKER: Final = Path(__file__).parents[1] / "mock_worker.py"
NAIVE_CONSUMER: Final = Path(__file__).parents[1] / "naive_consumer.py"

HARMS: Final = ("reset", "silent", "half closed", "slices")


@dataclass
class Part:
    """What came of the restarts, or of the mock cluster's errors."""

    faults: Counter[str] = field(default_factory=Counter)
    offered: int = 0
    recoveries_ms: list[float] = field(default_factory=list)
    stall_ms_max: float = 0.0
    found: Verdict = NOTHING
    wrong: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    def recovers(self, workers: Rig, sender: Sender, words: str) -> None:
        """Wait until all that was sent before now is committed, and write down how long it took."""
        since = time.monotonic()
        settings = workers.settings
        sent = Counter(
            (settings.input_of(each.kind), partition_of(each.customer, PARTITIONS))
            for each in sender.sent.copy()
        )

        def is_so() -> bool:
            positions = workers.positions()
            return all(positions.get(place, 0) >= count for place, count in sent.items())

        until(is_so, f"what was sent is committed after: {words}")
        took_s = time.monotonic() - since
        self.recoveries_ms.append(took_s * 1_000)
        if took_s > PROGRESS_SECONDS_MAX:
            self.slow.append(f"After {words} it took {took_s:.1f} s until all was committed.")


def events_of(run: Run) -> Iterator[Told]:
    return told(run.seed, CUSTOMERS, start_ms=time.time_ns() // 1_000_000 - 3_600_000)


def run(run: Run) -> Outcome:
    if run.naive:
        return naive(run)
    parts = [restarted(run), mocked(run)]
    offered = sum(each.offered for each in parts)
    network = sum(parts[0].faults[name] for name in HARMS)
    found = sum((each.found for each in parts), NOTHING)
    return replace(
        found.outcome(sum(each.faults.total() for each in parts) - network, offered),
        stall_ms_max=max(each.stall_ms_max for each in parts),
        recover_ms_p99=p99(ms for each in parts for ms in each.recoveries_ms),
        figures={
            "restarts": parts[0].faults["restart"],
            "network_faults": network,
            "errors": parts[1].faults.total(),
        },
        wrong=(*(line for each in parts for line in each.wrong), *found.wrong),
        slow=tuple(line for each in parts for line in each.slow),
    )


@contextmanager
def proxied_broker(run: Run) -> Iterator[tuple[KafkaBroker, FaultProxy]]:
    """A broker whose clients all come through the proxy, for that is what it advertises."""
    inner = free_port()
    with fault_proxy(inner, seed=run.seed) as proxy:
        assert isinstance(proxy.address, int)
        with broker_behind(run.folder / "kafka", proxy.address, inner) as broker:
            yield broker, proxy


def restarted(run: Run) -> Part:
    part, chance = Part(), random.Random(run.seed)
    with (
        proxied_broker(run) as (broker, proxy),
        running_redis() as redis,
        installed(broker, redis, run.folder / "workers", "restarts-") as workers,
    ):
        sender = Sender(workers.settings, patience_ms=PATIENCE_MS)
        for name in NAMES:
            workers.start(name, "--no-relay")  # so that the outbox keeps what was decided
        with watching(redis, PARTITIONS) as history, loading(sender, events_of(run), RATE):
            workers.until(lambda: all(workers.commits(each) for each in NAMES), "both work")
            began = time.monotonic()
            for number in range(run.of(RESTARTS)):
                harm(proxy, HARMS[number % len(HARMS)], part, workers, sender)
                time.sleep(chance.uniform(*CALM_SECONDS))
                (broker.stop if number % 2 else broker.kill)()
                time.sleep(chance.uniform(0.0, 3.0))
                broker.start()
                part.faults["restart"] += 1
                part.recovers(workers, sender, "a restart")
                run.say(f"restart {number + 1}: progress after {part.recoveries_ms[-1]:.0f} ms")
            part.stall_ms_max = max(history.stalls_ms(began, time.monotonic()).values())
        workers.wait_until_read()
        judge(part, redis, sender)
    return part


def harm(proxy: FaultProxy, name: str, part: Part, workers: Rig, sender: Sender) -> None:
    """Something that networks do, and wait until it is over."""
    if name == "reset":
        proxy.reset_all()
    elif name == "half closed":
        proxy.half_close_all()
    else:
        proxy.set(Faults(silent=True) if name == "silent" else Faults(slice_bytes=7))
        time.sleep(HARM_SECONDS)
        proxy.set(Faults())
    part.faults[name] += 1
    part.recovers(workers, sender, f"{name} connections")


def mocked(run: Run) -> Part:
    part, chance = Part(), random.Random(run.seed)
    prefix = "mock-"
    named = KafkaSettings(("",), group=f"{prefix}group", topic_prefix=prefix)
    names = (*named.inputs, named.dead_letters, named.actions)
    folder = run.folder / "mock"
    folder.mkdir(parents=True)
    with (
        mock_cluster(named.group, names, PARTITIONS) as cluster,
        running_redis() as redis,
        rig(
            *(first_of(cluster, folder), redis, folder, prefix),
            script=MOCK_WORKER,
            has_topics=True,
        ) as workers,
    ):
        sender = Sender(workers.settings, patience_ms=PATIENCE_MS)
        for name in NAMES:
            workers.start(name)
        with watching(redis, PARTITIONS) as history, loading(sender, events_of(run), RATE_MOCK):
            until(lambda: len(workers.owners()) == PARTITIONS, "both work")
            began = time.monotonic()
            kinds = chance.sample(KINDS, len(KINDS))
            for number in range(ceil(ERRORS * run.scale)):
                kind = kinds[number % len(kinds)]
                inject(cluster, kind, chance)
                part.faults[kind] += 1
                part.recovers(workers, sender, kind)
                run.say(f"{kind}: progress after {part.recoveries_ms[-1]:.0f} ms")
            part.stall_ms_max = max(history.stalls_ms(began, time.monotonic()).values())
        workers.wait_until_read()
        judge(part, redis, sender)
    run.say(f"{part.faults.total()} errors: {dict(part.faults)}")
    return part


def first_of(cluster: MockCluster, folder: Path) -> KafkaBroker:
    """The mock cluster's first broker, as the rig wants it. It is not to be started."""
    return KafkaBroker(folder=folder / "kafka", port=int(cluster.servers[0].rpartition(":")[2]))


def judge(part: Part, redis: RedisServer, sender: Sender) -> None:
    part.offered = len(sender.sent)
    with redis.client() as client:
        part.found = verdict(expected(sender.sent), stored(client))


def committed(settings: KafkaSettings) -> int:
    """How many records the group has behind it; 0 where the group is not there yet, or not again."""
    try:
        return sum(topics.committed(settings).values())
    except LogDownError:
        return 0


def naive(run: Run) -> Outcome:
    """Only the state is looked at: it decides nothing. What is away long enough ends its session."""
    chance = random.Random(run.seed)
    broker = KafkaBroker(folder=run.folder / "kafka")
    with running_redis() as redis, crew(run.folder) as workers:
        try:
            broker.start()
            settings = KafkaSettings((broker.bootstrap,), group="faults")
            topics.create(settings, PARTITIONS, 1)
            sender = Sender(settings, patience_ms=PATIENCE_MS)
            workers.start("naive", (sys.executable, NAIVE_CONSUMER, broker.bootstrap, redis.url))
            with loading(sender, events_of(run), RATE):
                until(lambda: committed(settings) > 0, "it works")
                for _ in range(min(RESTARTS_NAIVE, run.of(RESTARTS))):
                    time.sleep(chance.uniform(1.0, 2.0))
                    broker.kill()
                    time.sleep(SESSION_SECONDS_NAIVE + 1.0)
                    broker.start()
            until(lambda: committed(settings) == len(sender.sent), "all is read")
        finally:
            broker.stop()
        with redis.client() as client:
            wanted = {
                name: replace(each, causes=[]) for name, each in expected(sender.sent).items()
            }
            found = verdict(wanted, stored(client))
    return found.outcome(min(RESTARTS_NAIVE, run.of(RESTARTS)), len(sender.sent))


EXPERIMENT = Experiment(
    number=7,
    name="broker_faults",
    title="the Kafka broker restarts under load; brokers answer with errors, late, or not at all",
    shows="0 missing, 0 surplus; within 10 s after each fault all that was sent meanwhile is committed",
    naive="no fence: positions by auto commit, apart from the state",
    needs_kafka=True,
    run=run,
    seconds=300,
)
