"""What takes events in is killed under load, again and again; what was acknowledged must be counted.

How       Clients post until each event was answered with 200, and repeat what was not. In one half
          `rapport up` is killed, and every second time its redis-server with it; in the other half
          `rapport gateway` before Kafka, beside a worker. Both halves run at once.
Judged    With Kafka, the topics are read from their beginning: every acknowledged event is there. In
          both, the oracle: each event is counted, once, however often it was sent.
Naive     The same command line, but it says yes a tenth of a second before the log has the events.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import redis
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from tests.faults.crew import crew
from tests.faults.experiment import Experiment, Outcome, Run, p99
from tests.faults.installed import COMMAND, Installed, installed
from tests.faults.oracle import NOTHING, Verdict, verdict
from tests.faults.posters import Posters, posting
from tests.faults.shared_broker import broker_of
from tests.integration.free_port import free_port
from tests.integration.kafka_broker import KafkaBroker
from tests.integration.reading import PARTITIONS
from tests.integration.redis_server import running_redis
from tests.integration.shop import RULES, Stored, Told, expected, stored, told

EVENTS: Final = 100_000  # in each half
KILLS: Final = 15  # in each half
NAIVE_EVENTS: Final = 5_000
NAIVE_KILLS: Final = 2
CUSTOMERS: Final = 400
NAIVE_SECONDS: Final = 2.0  # what is left of the gateway's memory comes into the log
REMEMBERED: Final = 64  # as in the default model
WAIT_SECONDS_MAX: Final = 120.0
POLL_SECONDS: Final = 0.005
HASTY: Final = Path(__file__).parents[1] / "hasty.py"


@dataclass
class Half:
    """What became of one way in."""

    kills: int = 0
    acked: int = 0
    sent_again: int = 0
    unlogged: int = 0
    """Acknowledged events that are not in the log."""
    repeated: int = 0
    """Records of the log beyond the first of each event."""
    back_ms: list[float] = field(default_factory=list)
    """From a kill to the next acknowledgement."""
    found: Verdict = field(default_factory=lambda: Verdict(0, 0, 0, 0, ()))


def run(run: Run) -> Outcome:
    with broker_of(run) as broker, ThreadPoolExecutor(2) as pool:
        doing = [pool.submit(embedded, run), pool.submit(kafka, run, broker)]
        return outcome(run, [each.result() for each in doing])


def events_of(run: Run, half: int) -> list[Told]:
    start_ms = time.time_ns() // 1_000_000 - 600_000
    return list(islice(told(run.seed + half, CUSTOMERS, start_ms), count_of(run)))


def count_of(run: Run) -> int:
    return NAIVE_EVENTS if run.naive else run.of(EVENTS)


def command_of(run: Run) -> list[str | Path]:
    return [sys.executable, HASTY] if run.naive else [COMMAND]


def under_fire(run: Run, half: Half, posters: Posters, strike: Callable[[], None]) -> None:
    """Kill whenever chance says that so many events are acknowledged, until all are."""
    count, kills = count_of(run), NAIVE_KILLS if run.naive else max(2, run.of(KILLS))
    chance = random.Random(run.seed)
    for at in sorted(chance.sample(range(count // 20, count - count // 20), kills)):
        until(partial(posters.has_acked, at), f"{at} events are acked")
        struck = time.monotonic()
        strike()
        half.kills += 1
        until(partial(posters.has_answered_since, struck), "events are acked again")
        half.back_ms.append((posters.answered_at - struck) * 1_000)
    until(posters.is_done, "all events are acked")
    if run.naive:
        time.sleep(NAIVE_SECONDS)
    half.acked, half.sent_again = posters.acked, posters.sent_again


def until(is_so: Callable[[], bool], words: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not is_so():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS_MAX} s: {words}"
        time.sleep(POLL_SECONDS)


def embedded(run: Run) -> Half:
    """`rapport up` is killed, and every second time its redis-server too."""
    half, folder, port = Half(), run.folder / "up", free_port()
    (folder / "rules").mkdir(parents=True)
    (folder / "rules" / "shop.toml").write_bytes(RULES)
    command = [*command_of(run), "up", "--rules", "rules", "--http", f"127.0.0.1:{port}"]
    client = redis.Redis(unix_socket_path=str(folder / "rapport-data" / "redis.sock"))
    events = events_of(run, 0)
    with crew(folder) as processes, client:
        processes.start("up", command)
        try:
            with posting(port, run.seed, events) as posters:
                until(lambda: posters.acked > 0, "events are acked")

                def strike() -> None:
                    # An answer that came after the last kill may have been on its way before it.
                    until(partial(answers, client), "redis-server answers")
                    server = server_of(client)
                    processes.kill("up")
                    if half.kills % 2:
                        os.kill(server, signal.SIGKILL)
                    processes.start("up", command)

                under_fire(run, half, posters, strike)
            until(partial(answers, client), "redis-server answers")
            until(lambda: is_settled(client), "everything is folded, and actions are delivered")
            there = Stored(views_of(client), {}, actions_of(client), {})
            half.found = verdict(expected(events), there)
        finally:
            if "up" in processes.members:
                processes.stop("up")
            with suppress(redis.ConnectionError):  # it has ended with its Rapport
                os.kill(server_of(client), signal.SIGTERM)
    return half


def answers(client: redis.Redis) -> bool:
    """Whether there is a server, and it has loaded its data."""
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def server_of(client: redis.Redis) -> int:
    told_of = client.info("server")
    assert isinstance(told_of, dict)
    return int(told_of["process_id"])


def is_settled(client: redis.Redis) -> bool:
    """Whether each shard has read its log to the end, and all that it decided is delivered."""
    for number in range(PARTITIONS):
        keys = f"rapport:{{{number}}}:"
        last: Any = client.xrevrange(keys + "log", count=1)
        fence, cursor = client.get(keys + "fence"), client.get(keys + "relay")
        assert fence is None or isinstance(fence, bytes)
        assert cursor is None or isinstance(cursor, bytes)
        if not last:
            continue
        at: dict[str, Any] = {"offsets": {}, "outbox": 0} if fence is None else json.loads(fence)
        if at["offsets"].get("log") != last[0][0].decode() or at["outbox"] != int(cursor or 0):
            return False
    return True


def views_of(client: redis.Redis) -> dict[str, dict[str, object]]:
    """The profile of each customer, as others read it."""
    found: dict[str, dict[str, object]] = {}
    for key in client.scan_iter("rapport:{*}:customer:*", count=1_000):
        view = client.get(key)
        assert isinstance(view, bytes)
        found[key.decode().rpartition(":")[2]] = json.loads(view)
    return found


def actions_of(client: redis.Redis) -> Counter[tuple[str, str, str]]:
    """What was decided: the relay has settled it, and keeps the newest 10,000 of a shard."""
    found: Counter[tuple[str, str, str]] = Counter()
    for number in range(PARTITIONS):
        records: Any = client.hvals(f"rapport:{{{number}}}:actions")
        for each in map(json.loads, records):
            found[each["customer_id"], each["rule"], each["cause"]] += 1
    return found


def kafka(run: Run, broker: KafkaBroker) -> Half:
    """`rapport gateway` is killed, beside a worker that is not."""
    half, port, events = Half(), free_port(), events_of(run, 1)
    command = [*command_of(run), "gateway", "--http", f"127.0.0.1:{port}"]
    with (
        running_redis() as server,
        installed(
            broker, server, run.folder / "gateway", run.prefix, remembers=REMEMBERED
        ) as workers,
        crew(workers.folder) as processes,
    ):
        workers.start("one", "--no-relay")
        processes.start("gateway", command)
        with posting(port, run.seed + 1, events) as posters:
            until(lambda: posters.acked > 0, "events are acked")

            def strike() -> None:
                processes.kill("gateway")
                processes.start("gateway", command)

            under_fire(run, half, posters, strike)
        workers.wait_until_read()
        ids = log_ids(workers)
        half.unlogged = sum(f"e{number}" not in ids for number in range(len(events)))
        half.repeated = ids.total() - len(ids)
        with server.client() as client:
            half.found = verdict(expected(events), stored(client))
    return half


def log_ids(workers: Installed) -> Counter[str]:
    """How often the id of each event is in the topics."""
    ends = workers.ends()
    consumer = Consumer({**workers.settings.client(), "group.id": "none"})
    try:
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in ends])
        ids: Counter[str] = Counter()
        while ids.total() < sum(ends.values()):
            records = consumer.consume(10_000, timeout=WAIT_SECONDS_MAX / 10)
            assert records, "the topics are read to their ends"
            ids.update(json.loads(each.value() or b"")["id"] for each in records)
        return ids
    finally:
        consumer.close()


def outcome(run: Run, halves: Sequence[Half]) -> Outcome:
    offered = 2 * count_of(run)
    acked, unlogged = sum(each.acked for each in halves), sum(each.unlogged for each in halves)
    back_ms = [ms for each in halves for ms in each.back_ms]
    found = sum((each.found for each in halves), NOTHING)
    wrong = [*found.wrong]
    if unlogged:
        wrong.append(f"{unlogged} acknowledged events are not in the topics.")
    if acked != offered:
        wrong.append(f"{acked} of {offered} events were acknowledged.")
    if not sum(each.sent_again for each in halves):
        wrong.append("No request was ever without an answer: the kills show nothing.")
    return replace(
        found.outcome(sum(each.kills for each in halves), offered),
        acked=acked,
        stall_ms_max=max(back_ms, default=None),
        recover_ms_p99=p99(back_ms),
        figures={
            "sent_again": sum(each.sent_again for each in halves),
            "repeated_in_topics": sum(each.repeated for each in halves),
            "not_in_topics": unlogged,
        },
        wrong=tuple(wrong),
    )


EXPERIMENT = Experiment(
    number=13,
    name="gateway_kill",
    title="what takes events in is killed under load: rapport up, and a gateway before Kafka",
    shows="every event that was acknowledged is counted, once, however often it was sent",
    naive="events are acknowledged a moment before the log has them",
    needs_kafka=True,
    run=run,
    seconds=120,
)
