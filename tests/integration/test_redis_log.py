"""The embedded log against a real Redis: append, consume, stop, go on; and when Redis goes away."""

import asyncio
import json
import random
import threading

import pytest

from processors.batch import Records
from streams.errors import LogFullError
from streams.keys import Keys
from streams.log_entries import TOPIC
from streams.ownership import Claims
from streams.probes import STALL_MS_MAX, stalled
from streams.read import StoreReader
from streams.redis_appender import RedisAppender
from streams.redis_log import OBSERVE_MS, RedisLog
from streams.store import Connection, StoreAddress, list_of
from streams.store_async import AsyncConnection
from tests.at_once import AtOnce
from tests.integration.embedded import (
    FIRST_ORDER,
    Recorder,
    append,
    engine_of,
    now_ms,
    order,
    running_log,
    wait_until,
)
from tests.integration.redis_server import RedisServer, running_redis

PARTITIONS = 3
CUSTOMERS = [f"c{number}" for number in range(20)]


def orders_counts(url: str) -> dict[str, int]:
    """How many orders each customer's view shows."""

    async def reading() -> dict[str, int]:
        connection = AsyncConnection(StoreAddress.parse(url))
        reader = StoreReader(connection, PARTITIONS)
        views = {each: await reader.customer(each) for each in CUSTOMERS}
        await connection.close()
        return {each: json.loads(view)["orders_count"] for each, view in views.items() if view}

    return asyncio.run(reading())


def test_what_is_appended_ends_in_the_customers_views(redis_server: RedisServer) -> None:
    """The whole way of an event, from the gateway's call to what others read."""
    recorder = Recorder()
    events = [order(n, CUSTOMERS[n % 20], now_ms()) for n in range(100)]
    with running_log(redis_server.url, PARTITIONS, recorder):
        append(redis_server.url, PARTITIONS, events)
        wait_until(lambda: recorder.records_count >= 100, "all events are folded")

    assert orders_counts(redis_server.url) == dict.fromkeys(CUSTOMERS, 5)


@pytest.mark.slow
def test_a_second_start_goes_on_where_the_first_stopped(redis_server: RedisServer) -> None:
    """Stopped while events keep coming in: nothing is lost, nothing is folded twice."""
    events = [order(n, random.Random(n).choice(CUSTOMERS), now_ms()) for n in range(3_000)]
    folded = 0

    def append_all() -> None:
        for at in range(0, 3_000, 50):
            append(redis_server.url, PARTITIONS, events[at : at + 50])

    appending = threading.Thread(target=append_all)
    appending.start()
    while folded < 3_000:
        recorder = Recorder()
        with running_log(redis_server.url, PARTITIONS, recorder):
            want = min(700, 3_000 - folded)
            wait_until(lambda: recorder.records_count >= want, "some events are folded")  # noqa: B023  awaited within the turn
        folded += recorder.records_count
        assert sum(work.outcome.duplicates for work in recorder.works) == 0
    appending.join()

    assert folded == 3_000
    assert sum(orders_counts(redis_server.url).values()) == 3_000


@pytest.mark.slow
def test_redis_killed_again_and_again_loses_and_doubles_nothing() -> None:
    """What was appended is on disk, and state and position come back together."""
    with running_redis(fsync="always") as server:
        recorder = Recorder()
        with running_log(server.url, PARTITIONS, recorder):
            for turn in range(5):
                events = [order(turn * 200 + n, CUSTOMERS[n % 20], now_ms()) for n in range(200)]
                append(server.url, PARTITIONS, events)
                server.kill()
                server.start()
            wait_until(
                lambda: sum(orders_counts(server.url).values()) >= 1_000, "all events are folded"
            )

        assert orders_counts(server.url) == dict.fromkeys(CUSTOMERS, 50)
        assert sum(work.outcome.duplicates for work in recorder.works) == 0


def test_actions_are_committed_with_their_cause_and_listed(redis_server: RedisServer) -> None:
    """An action that the relay has not seen yet is in the outbox, and shown as pending."""
    recorder = Recorder()
    engine = engine_of(FIRST_ORDER)
    with running_log(redis_server.url, PARTITIONS, recorder, engine):
        append(redis_server.url, PARTITIONS, [order(n, CUSTOMERS[n], now_ms()) for n in range(9)])
        wait_until(lambda: recorder.records_count >= 9, "all events are folded")

    async def listing() -> list[str]:
        connection = AsyncConnection(StoreAddress.parse(redis_server.url))
        actions = await StoreReader(connection, PARTITIONS).actions(5)
        await connection.close()
        assert {each["status"] for each in actions} == {"pending"}
        return [each["id"] for each in actions]

    listed = asyncio.run(listing())
    assert len(recorder.actions) == 9
    assert len(listed) == 5
    assert set(listed) <= {action.id for action in recorder.actions}


@pytest.mark.slow
def test_what_is_folded_is_trimmed_and_the_lag_told(redis_server: RedisServer) -> None:
    """The log's memory is bounded by what waits, not by how long the shop exists."""
    recorder = Recorder()
    events = [order(n, CUSTOMERS[0], now_ms()) for n in range(500)]
    store = Connection(StoreAddress.parse(redis_server.url))
    with running_log(redis_server.url, 1, recorder) as log:
        append(redis_server.url, 1, events)
        wait_until(lambda: recorder.records_count >= 500, "all events are folded")
        wait_until(lambda: store.call("XLEN", Keys.of(0).log) == 1, "the log is trimmed")
        wait_until(lambda: bool(log.statuses) and log.statuses[0].lag_records == 0, "no lag")
    append(redis_server.url, 1, [order(1_000 + n, CUSTOMERS[1], now_ms()) for n in range(7)])
    left = list_of(store.call("XRANGE", Keys.of(0).log, "-", "+"))
    store.close()

    assert OBSERVE_MS == 1_000
    assert len(left) == 1 + 7


@pytest.mark.slow
def test_a_shard_with_nothing_to_do_makes_progress(redis_server: RedisServer) -> None:
    """Else the first event of the morning would look as if it had waited all night."""
    with running_log(redis_server.url, 1, Recorder()) as log:
        wait_until(lambda: bool(log.statuses), "the shard is looked at")
        first_ms = log.statuses[0].progress_ms or 0
        wait_until(lambda: (log.statuses[0].progress_ms or 0) > first_ms, "and again")


@pytest.mark.slow
class FullShard:
    """Its receivers are away."""

    offsets: dict[str, str]

    def __init__(self) -> None:
        self.offsets = {}

    def is_full(self) -> bool:
        return True

    def look(self) -> None:
        """It is as it was left."""

    def step(self, records: Records, offsets: dict[str, str]) -> AtOnce:
        raise AssertionError((records, offsets))

    @property
    def due_ms(self) -> int | None:
        return 1

    def fire(self, until_ms: int) -> AtOnce | None:
        raise AssertionError(until_ms)

    def close(self) -> None:
        """Nothing is open."""


def test_a_shard_that_waits_for_receivers_is_alive(redis_server: RedisServer) -> None:
    """They may be away for hours; a restart would bring nothing but another claim."""
    append(redis_server.url, 1, [order(1, "c1", now_ms())])
    clock = [1_000]
    log = RedisLog(
        StoreAddress.parse(redis_server.url),
        1,
        Claims(lambda _number, _generation, _forced: FullShard(), 0),
        now_ms=lambda: clock[0],
    )
    for _ in range(3):
        clock[0] += STALL_MS_MAX
        log.turn()
    log.halt()
    log.run()  # nothing but its end
    (status,) = log.statuses

    assert status.lag_records == 1
    assert stalled(log.statuses, clock[0]) == []
    assert stalled(log.statuses, clock[0] + STALL_MS_MAX + 1) != []


def test_a_log_that_lost_records_stops_its_shard_loudly(redis_server: RedisServer) -> None:
    """Somebody trimmed the stream: to go on as if nothing were missing would be a silent loss."""
    recorder = Recorder()
    store = Connection(StoreAddress.parse(redis_server.url))
    with running_log(redis_server.url, 1, recorder):
        append(redis_server.url, 1, [order(1, CUSTOMERS[0], now_ms())])
        wait_until(lambda: recorder.records_count >= 1, "the event is folded")
    store.call("DEL", Keys.of(0).log)
    store.close()
    with running_log(redis_server.url, 1, recorder) as log:
        wait_until(lambda: bool(log.statuses) and log.statuses[0].state == "stopped", "it stops")

        assert "--accept-gap" in log.statuses[0].detail


def test_a_bad_record_becomes_a_dead_letter_and_the_good_go_on(redis_server: RedisServer) -> None:
    """One broken producer must not stop a shard, and its records must not vanish."""
    recorder = Recorder()
    store = Connection(StoreAddress.parse(redis_server.url))
    store.call("XADD", Keys.of(0).log, "*", "v", b'{"id": "1", "type"')
    store.call("XADD", Keys.of(0).log, "*", "something", "else", "in", "it")
    store.close()
    append(redis_server.url, 1, [order(1, CUSTOMERS[0], now_ms())])
    with running_log(redis_server.url, 1, recorder):
        wait_until(lambda: recorder.records_count >= 3, "all records are read")

    assert [(each.origin.topic, each.origin.partition) for each in recorder.letters] == [
        (TOPIC, 0),
        (TOPIC, 0),
    ]
    assert sum(work.outcome.admitted for work in recorder.works) == 1


def test_a_full_log_refuses_before_it_appends(redis_server: RedisServer) -> None:
    """Memory is bounded: who sends faster than the engine reads is told to wait."""

    async def filling() -> None:
        connection = AsyncConnection(StoreAddress.parse(redis_server.url))
        appender = RedisAppender(connection, 1, records_max=10)
        try:
            await appender.append([order(n, "c", now_ms()) for n in range(10)])
            with pytest.raises(LogFullError):
                await appender.append([order(11, "c", now_ms())])
            await connection.call("XTRIM", Keys.of(0).log, "MAXLEN", 3)
            await appender.append([order(12, "c", now_ms())])
        finally:
            await connection.close()

    asyncio.run(filling())


def test_many_callers_share_one_connection(redis_server: RedisServer) -> None:
    """Requests come together at the gateway; each gets its own replies."""

    async def asking() -> list[object]:
        connection = AsyncConnection(StoreAddress.parse(redis_server.url))
        try:
            return list(
                await asyncio.gather(*(connection.call("ECHO", number) for number in range(500)))
            )
        finally:
            await connection.close()

    assert asyncio.run(asking()) == [b"%d" % number for number in range(500)]
