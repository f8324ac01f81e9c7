"""How long from an event's produce to Redis, and to the receiver of its webhook, at a steady rate?

Question  Percentiles of produce -> committed in Redis and of produce -> webhook received, beside those of
          produce -> a bare consumer on the same broker; and the worker's CPU an event at that rate.
Workload  workload.py: its events at RATE a second, its fifty rules, the default model; and one rule more
          that sends a signed webhook for each order that is placed, about 4 % of the events.
How       `rapport worker` as installed, its relay inside. Sender, receiver and observer are processes of
          their own (latency_parts/); they and the bare consumer take times from one clock of the
          machine. First the floor is measured, without a worker, then the worker, each after a warm-up:
          a broker that has just started takes five times as long.
Error     The observer sees a commit later than it happened, never earlier: by the message that tells it,
          one round trip to Redis, and its turn on a busy core. `observer_us` is that round trip.
Caveats   Everything shares the cores: sender, broker, Redis, worker, observer, receiver. Latency counts from
          the call of produce; `sender_late_us` tells how far behind its schedule the sender was.
Run       rapport bench latency
"""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from benchmarks import metrics_of, results, servers, workload
from benchmarks.processes import Process, python, rapport, running, spent_by_thread
from streams import topics
from streams.kafka_settings import KafkaSettings
from tests.integration.free_port import free_port
from tests.integration.kafka_broker import KafkaBroker
from tests.integration.redis_server import RedisServer

RULES: Final = 50
PARTITIONS: Final = 4
REDIS_BAR_MS: Final = 1.0
WEBHOOK_BAR_MS: Final = 2.0
WAIT_SECONDS_MAX: Final = 60.0
PARTS: Final = Path(__file__).parent / "latency_parts"
SECRET: Final = "whsec_cmFwcG9ydCBiZW5jaG1hcmsgc2VjcmV0ISE="  # noqa: S105  of a receiver on loopback
WEBHOOK_RULE: Final = """
[rule.order-placed]
on = "order.placed"
reason = "An order of {amount:.2f}"
then = [{ webhook = "bench", type = "order.placed" }]
"""

Place = tuple[str, int, int]  # topic, partition, offset


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is sent."""

    rate: int = 2_000
    floor_seconds: int = 10
    warm_seconds: int = 15
    seconds: int = 30

    def count(self, seconds: int) -> int:
        return self.rate * seconds


@dataclass(frozen=True, slots=True)
class Bench:
    """Where everything is."""

    broker: KafkaBroker
    redis: RedisServer
    folder: Path

    def settings(self, prefix: str) -> KafkaSettings:
        return KafkaSettings((self.broker.bootstrap,), topic_prefix=prefix)

    def part(self, name: str, *arguments: object) -> tuple[str | Path, ...]:
        return python(PARTS / f"{name}.py", *(str(each) for each in arguments))

    def read(self, name: str) -> Any:  # noqa: ANN401  what a part has written
        return orjson.loads((self.folder / name).read_bytes())

    def send(self, prefix: str, first: int, count: int, rate: int, name: str) -> None:
        """Send, and wait until all of it is in the log."""
        file = self.folder / name
        command = self.part("sender", self.broker.bootstrap, prefix, first, count, rate, file)
        with running(self.folder / "sender.log", *command) as process:
            seconds = WAIT_SECONDS_MAX + count / rate
            process.wait_until(file.exists, "the sender", seconds)


def percentiles(ns: Sequence[int]) -> dict[str, float]:
    """In milliseconds.

    >>> percentiles([1_000_000] * 99 + [5_000_000])["p99"]
    1.0
    """
    ordered = sorted(ns)
    found: dict[str, float] = {"count": len(ordered)}
    shares = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))
    for name, share in shares if ordered else ():
        found[name] = round(ordered[math.ceil(len(ordered) * share) - 1] / 1e6, 3)
    return found


def floor(bench: Bench, plan: Plan) -> dict[str, float]:
    """Produce -> a consumer that does nothing."""
    prefix = "floor-"
    topics.create(bench.settings(prefix), PARTITIONS, 1)
    file = bench.folder / "floor.json"
    command = bench.part("floor", bench.broker.bootstrap, prefix, PARTITIONS, file)
    with running(bench.folder / "floor.log", *command):
        warm, count = plan.count(plan.warm_seconds), plan.count(plan.floor_seconds)
        bench.send(prefix, 0, warm, plan.rate, "floor-warm.json")
        bench.send(prefix, warm, count, plan.rate, "floor-sent.json")
        time.sleep(0.5)
    arrived = {(topic, part, offset): ns for topic, part, offset, ns in bench.read("floor.json")}
    sent = places_of(bench.read("floor-sent.json")["sent"])
    return percentiles([arrived[place] - ns for place, ns in sent.items()])


def places_of(sent: Sequence[Sequence[Any]]) -> dict[Place, int]:
    """When what stands at each place was produced."""
    return {(topic, part, offset): ns for topic, part, offset, ns, _ in sent}


def committed(moves: Sequence[Sequence[Any]]) -> dict[Place, int]:
    """When each record was first seen to be committed."""
    found: dict[Place, int] = {}
    ends: dict[tuple[str, int], int] = {}
    for _, seen_ns, topic, shard, position in moves:
        begin = ends.get((topic, shard), 0)
        found.update(((topic, shard, offset), seen_ns) for offset in range(begin, position))
        ends[topic, shard] = position
    return found


def worker_files(bench: Bench, port: int) -> tuple[Path, Path]:
    """A settings file and a folder of rules."""
    rules = bench.folder / "rules"
    rules.mkdir()
    (rules / "fifty.toml").write_bytes(workload.rules(RULES))
    (rules / "webhook.toml").write_text(WEBHOOK_RULE)
    settings = bench.folder / "rapport.toml"
    settings.write_text(
        f'[endpoints.bench]\nurl = "http://127.0.0.1:{port}/hook"\nsecret = "{SECRET}"\n'
    )
    return settings, rules


def is_claimed(redis: RedisServer) -> bool:
    """Whether every shard has an owner."""
    with redis.client() as client:
        return all(client.exists(f"rapport:{{{n}}}:fence") for n in range(PARTITIONS))


def engine(bench: Bench, plan: Plan) -> dict[str, object]:
    """Produce -> Redis and produce -> webhook, with a worker."""
    prefix = "worker-"
    topics.create(bench.settings(prefix), PARTITIONS, 1)
    port, http = free_port(), f"127.0.0.1:{free_port()}"
    settings, rules = worker_files(bench, port)
    folder = bench.folder
    moves, received = folder / "moves.json", folder / "received.json"
    observing = bench.part("observer", bench.redis.url, PARTITIONS, moves)
    working = rapport(
        *("worker", "--settings", settings, "--log", f"kafka://{bench.broker.bootstrap}"),
        *("--redis", bench.redis.url, "--topic-prefix", prefix, "--rules", rules, "--http", http),
    )
    with (
        running(folder / "receiver.log", *bench.part("receiver", port, received)),
        running(folder / "observer.log", *observing) as observer,
        running(folder / "worker.log", *working) as worker,
    ):
        worker.wait_until(lambda: is_claimed(bench.redis), "claiming", WAIT_SECONDS_MAX)
        warm = plan.count(plan.warm_seconds)
        bench.send(prefix, 0, warm, plan.rate, "warm.json")
        looking = observer.cpu_seconds()
        cost = Cost(worker, http)
        bench.send(prefix, warm, plan.count(plan.seconds), plan.rate, "sent.json")
        time.sleep(1.0)  # what is under way arrives
        spent = cost.spent(plan.count(plan.seconds))
        looking = observer.cpu_seconds() - looking
    seen = figures(bench, plan)
    return {**seen, **spent, "observer_cpu_share": round(looking / plan.seconds, 3)}


class Cost:
    """What a worker spends from now on."""

    def __init__(self, worker: Process, http: str) -> None:
        self._worker = worker
        self._http = http
        self._stages = metrics_of.stage_seconds(http)
        self._threads = worker.cpu_by_thread()
        self._cpu = worker.cpu_seconds()

    def spent(self, events: int) -> dict[str, object]:
        """Up to now, for so many events: CPU µs an event, in all, by thread, and wall time by stage."""
        cpu = self._worker.cpu_seconds() - self._cpu
        threads = spent_by_thread(self._threads, self._worker.cpu_by_thread(), self._worker.pid)
        after = metrics_of.stage_seconds(self._http)
        return {
            "cpu_us_per_event": round(cpu / events * 1e6, 1),
            "threads": {name: round(each / events * 1e6, 1) for name, each in threads.items()},
            "stages": metrics_of.per_event(self._stages, after, events),
        }


def placed(first: int, count: int) -> set[str]:
    """The ids of the orders placed among these events; of those that did not come before."""
    values = [orjson.loads(value) for value in workload.values(first + count)]
    before = {event["id"] for event in values[:first]}
    return {
        event["id"]
        for event in values[first:]
        if (event["type"], event["action"]) == ("order", "placed") and event["id"] not in before
    }


def figures(bench: Bench, plan: Plan) -> dict[str, object]:
    """What the parts have seen, joined. Of a repeated event or webhook the first one counts."""
    told = bench.read("sent.json")
    sent = places_of(told["sent"])
    there = committed(moves := bench.read("moves.json"))
    expected = placed(plan.count(plan.warm_seconds), plan.count(plan.seconds))
    by_time = sorted(told["sent"], key=lambda each: -int(each[3]))
    produced = {name: ns for _, _, _, ns, name in by_time if name in expected}
    hooks = {}
    for cause, ns, is_signed in reversed(bench.read("received.json")):
        assert is_signed, "every webhook is signed"
        if cause in produced:
            hooks[cause] = ns
    return {
        "produce_to_redis_ms": percentiles([there[place] - ns for place, ns in sent.items()]),
        "produce_to_webhook_ms": percentiles([ns - produced[name] for name, ns in hooks.items()]),
        "webhooks_expected": len(expected),
        "sender_late_us": in_us(percentiles([each * 1_000 for each in told["late_us"]])),
        "observer_us": in_us(percentiles([seen - asked for asked, seen, *_ in moves])),
    }


def in_us(found: Mapping[str, float]) -> dict[str, int]:
    """Percentiles in microseconds."""
    return {name: round(each * 1_000) for name, each in found.items() if name != "count"}


def run(plan: Plan) -> dict[str, Any]:
    """Measure floor and worker.

    Raises:
        MissingError: The machine lacks something.
        ProcessError: A part does not work.
    """
    servers.check()
    with (
        TemporaryDirectory(prefix="rapport-bench-") as folder,
        servers.kafka() as broker,
        servers.redis() as redis,
    ):
        bench = Bench(broker, redis, Path(folder))
        told = servers.versions(redis)
        bare = floor(bench, plan)
        found = engine(bench, plan)
    return {
        "floor_ms": bare,
        **found,
        "bars_ms": {"produce_to_redis p50": REDIS_BAR_MS, "produce_to_webhook p50": WEBHOOK_BAR_MS},
        "workload": {
            "events_per_second": plan.rate,
            "seconds": plan.seconds,
            "rules": RULES + 1,
            "customers": workload.CUSTOMERS,
            "partitions": PARTITIONS,
        },
        "seed": workload.SEED,
        **told,
    }


def main(*, json_out: bool = False, save: bool = False, plan: Plan | None = None) -> int:
    """Print the figures; 1 where a bar is missed, or webhooks are: the slow ones may be those."""
    try:
        told = run(plan or Plan())
    except servers.MissingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    redis, hooks = told["produce_to_redis_ms"], told["produce_to_webhook_ms"]
    missing = told["webhooks_expected"] - hooks["count"]
    results.tell("latency", told, json_out=json_out, save=save and not missing)
    if missing:
        sys.stderr.write(f"{missing} of {told['webhooks_expected']} webhooks did not arrive\n")
        return 1
    return 0 if redis["p50"] <= REDIS_BAR_MS and hooks["p50"] <= WEBHOOK_BAR_MS else 1


if __name__ == "__main__":
    sys.exit(main(json_out="--json" in sys.argv, save="--save" in sys.argv))
