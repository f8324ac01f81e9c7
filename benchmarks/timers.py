"""What do a million pending timers cost, and how late are 10,000 that come due in one second?

Workload  An embedded Redis of its own (Redis Streams, append-only file, fsync each second), 4 shards, one
          thread. 1,000,000 customers wait, for an hour to a day; besides, 10,000 customers have an event
          that leads to an absence within the same second, evenly spread, seeded. Rules: the fifty of
          workload.py, and `order.placed, no order.paid within 8s`. The default model.
Measures  Memory of Redis and of the worker for the million; CPU of client and server to insert one entry,
          as it stands in front of a commit; CPU of an idle worker while the million wait; lateness from
          when a timer was due to its commit, with rows read, rules judged, actions and views stored.
Bars      Lateness p99 250 ms.
Caveats   Of the million, only the entries of the index are there: their rows are what a customer has
          anyway, and nobody reads them before their time. Redis and worker share the machine. Delivery
          is not part of it.
"""

import platform
import random
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import workload
from benchmarks.results import tell
from processors.model_file import default_model
from processors.partition import partition_of
from processors.plan import PlanBuilder
from processors.scores import Scores
from rules.action import Action
from rules.load import load
from streams.claimer import Claimer
from streams.keys import Keys
from streams.outfit import calm_collector
from streams.ownership import Claims
from streams.redis_log import RedisLog
from streams.redis_server import RedisServer
from streams.step import Engine
from streams.store import Command, Connection, checked, information
from streams.work import Letters, Ports, Work

SEED: Final = 7
SHARDS: Final = 4
ENTRIES_A_COMMAND: Final = 1_000
SILENCE_MS: Final = 8_000  # long enough to append, read and commit what leads to the timers
SPREAD_MS: Final = 1_000
IDLE_SECONDS: Final = 3.0
WAIT_SECONDS_MAX: Final = 120.0
BAR_MS: Final = 250.0
RULE: Final = f"""
[rule.unpaid]
sequence = ["order.placed", "no order.paid within {SILENCE_MS}ms"]
then = [{{ log = "remind", type = "order.unpaid" }}]
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of each."""

    pending: int = 1_000_000
    due: int = 10_000


@dataclass(slots=True)
class Seen:
    """What the shards have told."""

    late_ms: list[float] = field(default_factory=list)
    records: int = 0

    def committed(self, _number: int, _sequence: int, actions: Sequence[Action]) -> None:
        now_ms = time.time_ns() / 1e6
        self.late_ms += [now_ms - each.at_ms for each in actions if each.rule == "unpaid"]

    def stored(self, work: Work, _took_ns: int) -> None:
        self.records += len(work.times_ms)

    def send(self, letters: Sequence[object]) -> Letters:
        raise AssertionError(f"{len(letters)} events are none")

    def ports(self) -> Ports:
        return Ports(self, self.committed, self.stored, lambda *_: None)


def engine() -> Engine:
    """The default model, fifty rules and one with a timer."""
    model = default_model()
    builder = PlanBuilder()
    Scores.compile(builder, model)
    files = {"benchmark.toml": workload.rules(50), "timer.toml": RULE.encode()}
    return Engine(model, load(files, builder.names))


def main(*, json_out: bool = False, save: bool = False, counts: Counts | None = None) -> int:
    """Print the figures; 1 where the bar is missed."""
    asked = counts or Counts()
    compiled = engine()
    calm_collector()
    with tempfile.TemporaryDirectory(prefix="rapport-bench-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            figures = _measured(server, compiled, asked)
        finally:
            server.stop()
    tell("timers", figures, json_out=json_out, save=save)
    late = figures["lateness_ms"]
    assert isinstance(late, dict), "figures of lateness"
    return 0 if late["p99"] <= BAR_MS and late["count"] == asked.due else 1


def _measured(server: RedisServer, compiled: Engine, counts: Counts) -> dict[str, object]:
    connection = Connection(server.address)
    pending = _insert(connection, counts.pending)
    seen = Seen()
    before_bytes = _resident_bytes()
    with _running(server, compiled, seen):
        _wait(lambda: len(_owned(connection)) == SHARDS, "all shards are owned")
        held_bytes = _resident_bytes() - before_bytes
        began = time.process_time()
        time.sleep(IDLE_SECONDS)
        idle_share = (time.process_time() - began) / IDLE_SECONDS
        due_ms = _come_due(connection, counts.due)
        _wait(lambda: len(seen.late_ms) >= counts.due, "all timers fire")
    found = information(connection, "server")
    connection.close()
    late = sorted(seen.late_ms)
    return {
        "workload": {"seed": SEED, "shards": SHARDS, "rules": 51, **msgspec.to_builtins(counts)},
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "redis": found["redis_version"],
        "pending": {**pending, "worker_bytes": max(0, held_bytes)},
        "idle_worker_cpu_share": round(idle_share, 4),
        "due_within_ms": due_ms,
        "lateness_ms": {
            "count": len(late),
            "min": round(late[0], 1),
            "p50": round(statistics.median(late), 1),
            "p99": round(late[int(len(late) * 0.99)], 1),
            "max": round(late[-1], 1),
        },
        "bars": {"lateness_p99_ms": BAR_MS},
    }


def _insert(connection: Connection, count: int) -> dict[str, float]:
    """Entries of customers who wait; what each cost in memory and CPU."""
    chance = random.Random(SEED)
    now_ms = time.time_ns() // 1_000_000
    before = _server(connection)
    client = 0.0
    for first in range(0, count, ENTRIES_A_COMMAND):
        words: list[bytes | int] = []
        for number in range(first, min(count, first + ENTRIES_A_COMMAND)):
            due_ms = now_ms + chance.randint(3_600_000, 86_400_000)
            words += (due_ms, b"waiting-%08d" % number)
        key = Keys.of(first // ENTRIES_A_COMMAND % SHARDS).timers
        began = time.process_time()
        checked(connection.call("ZADD", key, "LT", *words))
        client += time.process_time() - began
    after = _server(connection)
    each = 1e6 / max(count, 1)
    return {
        "redis_bytes": after[0] - before[0],
        "redis_bytes_per_timer": round((after[0] - before[0]) / max(count, 1), 1),
        "insert_server_us": round((after[1] - before[1]) * each, 3),
        "insert_client_us": round(client * each, 3),
    }


def _come_due(connection: Connection, count: int) -> int:
    """Append events whose absence is over within SPREAD_MS; how long before the first they were in."""
    chance = random.Random(SEED)
    first_ms = time.time_ns() // 1_000_000
    commands: list[Command] = []
    for number in range(count):
        customer = f"customer-{number:06d}"
        event = {
            "id": f"due-{number}",
            "type": "order",
            "action": "placed",
            "customer_id": customer,
            "at_ms": first_ms + number * SPREAD_MS // count,
            "amount": chance.randint(1, 100),
        }
        log = Keys.of(partition_of(customer, SHARDS)).log
        commands.append(("XADD", log, "*", "v", msgspec.json.encode(event)))
    for start in range(0, count, ENTRIES_A_COMMAND):
        for reply in connection.ask(commands[start : start + ENTRIES_A_COMMAND]):
            checked(reply)
    return SPREAD_MS


@contextmanager
def _running(server: RedisServer, compiled: Engine, seen: Seen) -> Iterator[None]:
    claimer = Claimer(
        server.address, lambda: compiled, seen.ports(), lambda: time.time_ns() // 10**6
    )
    log = RedisLog(server.address, SHARDS, Claims(claimer, 0))
    failures: list[BaseException] = []

    def run() -> None:
        try:
            log.run()
        except BaseException as error:  # noqa: BLE001  raised again below
            failures.append(error)

    thread = threading.Thread(target=run, name="log")
    thread.start()
    try:
        yield
    finally:
        log.halt()
        thread.join()
        if failures:
            raise failures[0]


def _owned(connection: Connection) -> list[int]:
    return [number for number in range(SHARDS) if connection.call("GET", Keys.of(number).fence)]


def _server(connection: Connection) -> tuple[int, float]:
    """Bytes in use, and CPU seconds."""
    found = information(connection, "memory", "cpu")
    spent = float(found["used_cpu_user"]) + float(found["used_cpu_sys"])
    return int(found["used_memory"]), spent


def _resident_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


def _wait(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain: {what}")
        time.sleep(0.01)


if __name__ == "__main__":
    raise SystemExit(main())
