"""Timers on real logs: on time with no event coming, and fired once whoever dies."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from processors.event import Event
from rules.action import Action
from streams.keys import Keys
from streams.work import DeadLetterPort, Ports
from tests.integration.embedded import (
    Recorder,
    append,
    engine_of,
    now_ms,
    order,
    running_log,
    wait_until,
)
from tests.integration.kafka_broker import KafkaBroker
from tests.integration.reading import PARTITIONS
from tests.integration.redis_server import RedisServer
from tests.integration.shop import Sender, Told
from tests.integration.workers import Rig, rig

SHARDS = 3
SILENCE_MS = 400
LATE_MS_MAX = 250
TAKEOVER_SECONDS_MAX = 30.0
RULES = """
[rule.unpaid]
sequence = ["order.placed", "no order.paid within {silence_ms}ms"]
then = [{{ log = "remind", type = "order.unpaid" }}]
"""


@dataclass
class Timed(Recorder):
    """Writes down when each action was committed."""

    committed: list[tuple[Action, int]] = field(default_factory=list)

    def ports(self, dead_letters: DeadLetterPort | None = None) -> Ports:
        ports = super().ports(dead_letters)

        def noted(_number: int, _sequence: int, actions: Sequence[Action]) -> None:
            self.committed.extend((each, now_ms()) for each in actions)

        return Ports(ports.dead_letters, noted, ports.stored, ports.rolled_back)

    @property
    def lateness_ms(self) -> list[int]:
        return [at_ms - action.at_ms for action, at_ms in self.committed]


def rules(silence_ms: int = SILENCE_MS) -> bytes:
    return RULES.format(silence_ms=silence_ms).encode()


def test_timers_fire_on_the_second_with_no_event_coming(redis_server: RedisServer) -> None:
    """Absence is what a rule waits for: nothing comes that could set it off."""
    timed = Timed()
    with running_log(redis_server.url, SHARDS, timed, engine_of(rules())):
        append(redis_server.url, SHARDS, [order(n, f"c{n}", now_ms()) for n in range(30)])
        wait_until(lambda: len(timed.committed) >= 30, "all timers fire")
        time.sleep(2 * LATE_MS_MAX / 1_000)  # and nothing more

    assert len({action.id for action, _ in timed.committed}) == len(timed.committed) == 30
    assert all(action.cause == f"timer:{action.at_ms}" for action, _ in timed.committed)
    assert min(timed.lateness_ms) >= 0
    assert max(timed.lateness_ms) <= LATE_MS_MAX, sorted(timed.lateness_ms)


def test_timers_of_a_worker_that_was_stopped_fire_when_another_starts(
    redis_server: RedisServer,
) -> None:
    """A deploy at the wrong second must not swallow a reminder, nor send it twice."""
    timed = Timed()
    with running_log(redis_server.url, SHARDS, timed, engine_of(rules())):
        append(redis_server.url, SHARDS, [order(n, f"c{n}", now_ms()) for n in range(9)])
        wait_until(lambda: timed.records_count >= 9, "all events are folded")
    assert timed.committed == []
    time.sleep(SILENCE_MS / 1_000)
    started_ms = now_ms()
    for _ in range(2):
        with running_log(redis_server.url, SHARDS, timed, engine_of(rules())):
            wait_until(lambda: len(timed.committed) >= 9, "all timers fire")
            time.sleep(0.1)
    with redis_server.client() as client:
        left = [client.zcard(Keys.of(number).timers) for number in range(SHARDS)]

    assert len({action.id for action, _ in timed.committed}) == len(timed.committed) == 9
    assert max(at_ms for _, at_ms in timed.committed) - started_ms <= 1_000
    assert left == [0, 0, 0]


def test_a_steady_stream_of_others_does_not_hold_timers_back(redis_server: RedisServer) -> None:
    """There is always an event on its way; who waited for none would wait for ever."""
    timed = Timed()
    ended = threading.Event()

    def others() -> None:
        number = 1_000
        while not ended.is_set():
            events = []
            for _ in range(20):
                number += 1
                event, _ = order(number, f"other{number % 50}", now_ms())
                paid = Event(event.id, "order", "paid", event.customer_id, event.at_ms, amount=1.0)
                events.append((paid, encoded(paid)))
            append(redis_server.url, SHARDS, events)

    with running_log(redis_server.url, SHARDS, timed, engine_of(rules())):
        busy = threading.Thread(target=others)
        busy.start()
        try:
            append(redis_server.url, SHARDS, [order(n, f"c{n}", now_ms()) for n in range(30)])
            wait_until(lambda: len(timed.committed) >= 30, "all timers fire")
        finally:
            ended.set()
            busy.join()

    assert min(timed.lateness_ms) >= 0
    assert max(timed.lateness_ms) <= LATE_MS_MAX, sorted(timed.lateness_ms)


def encoded(event: Event) -> bytes:
    named = {name: getattr(event, name) for name in event.__struct_fields__}
    return msgspec.json.encode({name: each for name, each in named.items() if each is not None})


def placed(count: int) -> Iterator[Told]:
    """An order each, now."""
    for number in range(count):
        event, value = order(number, f"k{number}", now_ms())
        yield Told("order", event.customer_id, value, event.at_ms, None)


@contextmanager
def reminding(
    kafka: KafkaBroker, redis: RedisServer, folder: Path, prefix: str, silence_ms: int
) -> Iterator[Rig]:
    with rig(kafka, redis, folder, prefix) as made:
        (folder / "rules.toml").write_bytes(rules(silence_ms))
        yield made


def outbox(redis: RedisServer) -> list[dict[str, object]]:
    """All actions that were decided; nobody delivers them."""
    with redis.client() as client:
        keys = [
            key
            for number in range(PARTITIONS)
            for key in client.keys(f"rapport:{{{number}}}:outbox:*")
        ]
        return [each for key in keys for each in json.loads(client.get(key) or b"[]")]


@pytest.mark.slow
def test_a_timer_on_kafka_fires_on_the_second_with_no_event_coming(
    kafka: KafkaBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """As on the embedded log; the worker waits for messages meanwhile."""
    with reminding(kafka, redis_server, tmp_path, "timers-", silence_ms=1_000) as one:
        sender = Sender(one.settings)
        one.start("one")
        deadline = time.monotonic() + TAKEOVER_SECONDS_MAX
        while len(one.owners()) < PARTITIONS and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1.0)
        late_ms: list[int] = []
        sender.send(placed(1), 1)
        sender.flush()
        due_ms = sender.sent[0].at_ms + 1_000
        while not late_ms and now_ms() < due_ms + 5_000:
            if outbox(redis_server):
                late_ms.append(now_ms() - due_ms)
            time.sleep(0.002)
        assert one.stop("one")[0] == 0

    assert late_ms, one.log("one")
    assert 0 <= late_ms[0] <= LATE_MS_MAX


def until_shared(two: Rig) -> None:
    """Wait until each of the two owns shards, and all have an owner, for a second."""
    deadline = time.monotonic() + TAKEOVER_SECONDS_MAX
    since = time.monotonic()
    while time.monotonic() - since < 1.0:
        assert time.monotonic() < deadline, f"{two.owners()}\n{two.log('two')}"
        nonces = set(two.owners().values())
        if len(nonces) < PARTITIONS or not all(two.claims(each) & nonces for each in two.workers):
            since = time.monotonic()
        time.sleep(0.1)


@pytest.mark.slow
def test_after_a_kill_another_worker_fires_the_timers_once(
    kafka: KafkaBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """The dead one knew when they are due; the living one finds it in Redis."""
    with reminding(kafka, redis_server, tmp_path, "heirs-", silence_ms=2_500) as two:
        sender = Sender(two.settings)
        for name in ("one", "two"):
            two.start(name)
        until_shared(two)
        sender.send(placed(40), 40)
        sender.flush()
        two.wait_until_read()
        two.kill("one")
        deadline = time.monotonic() + TAKEOVER_SECONDS_MAX
        while len(outbox(redis_server)) < 40 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)  # and nothing more
        decided = outbox(redis_server)
        assert two.stop("two")[0] == 0

    assert len(decided) == len({each["id"] for each in decided}) == 40, two.log("two")
    assert {each["customer_id"] for each in decided} == {f"k{number}" for number in range(40)}
