"""What does an event of the reference job cost, end to end on a real broker, and what in plain Faust?

Question  CPU time of the worker process an event, all threads, log and Redis clients included.
Workload  job.py: three decayed aggregates a customer, a score to Redis, an action when it falls below a
          threshold. Rapport: `rapport worker`, as installed: aligned topics, rows and views, outbox, fence,
          one atomic commit a batch (effectively once). Rival: rivals/plain_faust.py, in the same run, on
          the same broker, with the same events, but fewer of them.
How       For either side: start; send the first events and wait until they are done; freeze the
          process (SIGSTOP); send the measured events; take its CPU time; let it go; wait until Redis
          shows the last one done; take its CPU time again. So it is paid for all of its work, fetching
          ahead included, and for nothing before; and it reads a backlog, at its own speed.
Agreement After the first events both sides have seen the same ones: the health of every customer must be
          equal, else the comparison is void and the benchmark fails. The numbers of actions are told:
          they differ, for plain Faust reads its three topics in whatever order they come.
          Neither side judges in silence: the rule is written so that Rapport does not look ahead.
Caveats   Producer, broker and Redis share the cores with the worker (but the producer is idle in the
          measured part): events a second depend on that, CPU an event much less. Delivering actions is
          measured on neither side; see latency.py. A batch holds up to 16,384 events of CUSTOMERS / 4
          customers, so commits write a customer once in some events; the rival writes at each.
Run       rapport bench reference
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from benchmarks import job, metrics_of, results, servers
from benchmarks.processes import python, rapport, running, spent_by_thread
from streams import topics
from streams.kafka_settings import KafkaSettings
from tests.integration.free_port import free_port
from tests.integration.kafka_broker import KafkaBroker
from tests.integration.redis_server import RedisServer

RATIO_BAR: Final = 55.0
DONE_SECONDS_MAX: Final = 300.0
SESSION_TIMEOUT_MS: Final = 120_000  # longer than a side is frozen
HEALTH_ERROR_MAX: Final = 0.011  # both round to hundredths
KNOWN_SHARE_MIN: Final = 0.9
RIVAL: Final = Path(__file__).parent / "rivals" / "plain_faust.py"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many events are sent: `first` to both, then so many to be measured."""

    first: int = 60_000
    measured: int = 1_200_000
    rival: int = 60_000
    customers: int = job.CUSTOMERS


@dataclass(frozen=True, slots=True)
class Measured:
    """One side's figures."""

    cpu_us_per_event: float
    events_per_second: float
    stages: dict[str, float]  # µs an event; empty for the rival
    threads: dict[str, float]  # CPU µs an event
    healths: dict[str, float | None]  # after the first events
    actions: int  # after the first events


class Side:
    """One side: its broker's topics, its Redis, and how to see what it has done."""

    def __init__(self, broker: KafkaBroker, redis: RedisServer, prefix: str) -> None:
        self.settings = KafkaSettings((broker.bootstrap,), topic_prefix=prefix)
        self.redis = redis
        self.client = redis.client()
        topics.create(self.settings, job.PARTITIONS, 1)

    def done(self) -> int:
        """How many events are done, by Redis."""
        raise NotImplementedError

    def stages(self) -> dict[str, float]:
        """Seconds in each stage so far."""
        return {}

    def healths(self) -> dict[str, float | None]:
        raise NotImplementedError

    def actions(self) -> int:
        raise NotImplementedError

    def views(self, pattern: str) -> dict[str, float | None]:
        keys = list(self.client.scan_iter(pattern, count=1_000))
        found: Any = self.client.mget(keys)
        views = [orjson.loads(view) for view in found]
        return {view["customer_id"]: view["health"] for view in views}


class Rapport(Side):
    def __init__(self, broker: KafkaBroker, redis: RedisServer) -> None:
        super().__init__(broker, redis, "rapport-")
        self.http = f"127.0.0.1:{free_port()}"

    def command(self) -> tuple[str | Path, ...]:
        settings = self.settings
        return rapport(
            *("worker", "--no-relay", "--log", f"kafka://{settings.servers[0]}"),
            *("--redis", self.redis.url, "--topic-prefix", settings.topic_prefix),
            *("--model", job.MODEL, "--rules", job.RULES, "--http", self.http),
            *("--session-timeout-ms", str(SESSION_TIMEOUT_MS)),
        )

    def done(self) -> int:
        keys = [f"rapport:{{{number}}}:fence" for number in range(job.PARTITIONS)]
        fences: Any = self.client.mget(keys)
        offsets = [orjson.loads(fence)["offsets"] for fence in fences if fence]
        return sum(int(offset) for each in offsets for offset in each.values())

    def stages(self) -> dict[str, float]:
        return metrics_of.stage_seconds(self.http)

    def healths(self) -> dict[str, float | None]:
        return self.views("rapport:*:customer:*")

    def actions(self) -> int:
        entries = list(self.client.scan_iter("rapport:*:outbox:*", count=1_000))
        found: Any = self.client.mget(entries) if entries else []
        return sum(len(orjson.loads(entry)) for entry in found)


class PlainFaust(Side):
    def __init__(self, broker: KafkaBroker, redis: RedisServer) -> None:
        super().__init__(broker, redis, "faust-")

    def command(self) -> tuple[str | Path, ...]:
        return python(RIVAL, self.settings.servers[0], self.redis.url, self.settings.topic_prefix)

    def done(self) -> int:
        told: Any = self.client.info("commandstats")
        return int(told.get("cmdstat_set", {}).get("calls", 0))

    def healths(self) -> dict[str, float | None]:
        return self.views("customer:*")

    def actions(self) -> int:
        found: Any = self.client.llen("actions")
        return int(found)


def measure(
    side: Rapport | PlainFaust,
    made: Iterator[tuple[str, str, bytes]],
    first: int,
    count: int,
    log: Path,
) -> Measured:
    """The figures of one side; see the header."""
    with running(log, *side.command()) as process:
        job.send(side.settings, made, first)
        process.wait_until(lambda: side.done() >= first, "the first events", DONE_SECONDS_MAX)
        healths, actions, stages = side.healths(), side.actions(), side.stages()
        process.pause()
        job.send(side.settings, made, count)
        spent, threads = process.cpu_seconds(), process.cpu_by_thread()
        started = time.perf_counter()
        process.resume()
        process.wait_until(
            lambda: side.done() >= first + count, "the measured events", DONE_SECONDS_MAX
        )
        took = time.perf_counter() - started
        spent = process.cpu_seconds() - spent
        threads_spent = spent_by_thread(threads, process.cpu_by_thread(), process.pid)
        after = side.stages()
    each = 1e6 / count
    told = metrics_of.per_event(stages, after, count) if after else {}
    return Measured(
        round(spent * each, 3),
        round(count / took),
        told,
        {name: round(seconds * each, 3) for name, seconds in threads_spent.items()},
        healths,
        actions,
    )


def disagreement(one: Measured, other: Measured) -> str:
    """What is not equal after the first events; nothing if the two have done the same job."""
    if set(one.healths) != set(other.healths):
        return f"{len(one.healths)} customers and {len(other.healths)}"
    # Rapport gives no health to a customer of whom it has seen nothing that counts; the rival a default.
    known = {name: health for name, health in one.healths.items() if health is not None}
    if len(known) < KNOWN_SHARE_MIN * len(one.healths):
        return f"only {len(known)} of {len(one.healths)} customers have a health"
    apart = max(abs(health - (other.healths[name] or 0.0)) for name, health in known.items())
    return f"health differs by {apart}" if apart > HEALTH_ERROR_MAX else ""


def run(counts: Counts) -> dict[str, object]:
    """Measure both sides.

    Raises:
        MissingError: The machine lacks something.
        ProcessError: A side does not work.
    """
    servers.check()
    start_ms = time.time_ns() // 1_000_000 - (counts.first + counts.measured) * job.EVENT_MS
    with TemporaryDirectory(prefix="rapport-bench-") as folder, servers.kafka() as broker:
        with servers.redis() as redis:
            told = servers.versions(redis)
            total = counts.first + counts.measured
            made = job.events(total, start_ms, counts.customers)
            ours = measure(
                Rapport(broker, redis), made, counts.first, counts.measured, Path(folder) / "ours"
            )
        with servers.redis() as redis:
            made = job.events(counts.first + counts.rival, start_ms, counts.customers)
            rival = measure(
                PlainFaust(broker, redis), made, counts.first, counts.rival, Path(folder) / "rival"
            )
    return {
        "cpu_us_per_event": ours.cpu_us_per_event,
        "events_per_second": ours.events_per_second,
        "stages": ours.stages,
        "threads": ours.threads,
        "rival": {
            "name": "plain Faust (benchmarks/rivals/plain_faust.py)",
            "cpu_us_per_event": rival.cpu_us_per_event,
            "events_per_second": rival.events_per_second,
            "actions_of_first": rival.actions,
        },
        "ratio": round(rival.cpu_us_per_event / ours.cpu_us_per_event, 1),
        "bar": RATIO_BAR,
        "disagreement": disagreement(ours, rival),
        "workload": {
            "first": counts.first,
            "measured": counts.measured,
            "rival_measured": counts.rival,
            "customers": counts.customers,
            "partitions": job.PARTITIONS,
            "actions_of_first": ours.actions,
        },
        "seed": job.SEED,
        **told,
        "model": job.MODEL.read_text(encoding="utf-8"),
        "rule": (job.RULES / "crossing.toml").read_text(encoding="utf-8"),
    }


def main(*, json_out: bool = False, save: bool = False, counts: Counts | None = None) -> int:
    """Print the figures; 1 where the two did not do the same job or the bar is missed."""
    try:
        figures = run(counts or Counts())
    except servers.MissingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    results.tell("reference", figures, json_out=json_out, save=save)
    ratio = figures["ratio"]
    assert isinstance(ratio, float)
    return 0 if ratio >= RATIO_BAR and not figures["disagreement"] else 1


if __name__ == "__main__":
    sys.exit(main(json_out="--json" in sys.argv, save="--save" in sys.argv))
