"""The shard with the real engine on a real Redis: what goes wrong, and what is left afterwards."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest

from processors.batch import Origin, Records
from streams.claimer import Claimer
from streams.errors import DamagedError, FencedError, MismatchError, StoreDownError
from streams.keys import Keys
from streams.outbox import Outbox, settle
from streams.redis_dead_letters import RedisDeadLetters, read
from streams.shard import Shard
from streams.step import Engine
from streams.store import Connection, StoreAddress
from tests.integration.embedded import FIRST_ORDER, Recorder, engine_of, now_ms, order
from tests.integration.redis_server import RedisServer

KEYS = Keys.of(0)
ENGINE = engine_of()


def records_of(numbers: Sequence[int], customer_id: str = "ann") -> Records:
    """One order each."""
    at_ms = now_ms()
    values: list[bytes | None] = [order(n, customer_id, at_ms)[1] for n in numbers]
    return Records(
        values, [at_ms] * len(values), lambda index: Origin("log", 0, str(index), None, (), at_ms)
    )


def claimer_of(server: RedisServer, recorder: Recorder, engine: Engine = ENGINE) -> Claimer:
    return Claimer(StoreAddress.parse(server.url), lambda: engine, recorder.ports(), now_ms)


@contextmanager
def claimed(server: RedisServer, recorder: Recorder, engine: Engine = ENGINE) -> Iterator[Shard]:
    shard = claimer_of(server, recorder, engine)(0, 0)
    try:
        yield shard
    finally:
        shard.close()


@contextmanager
def asking(server: RedisServer) -> Iterator[Connection]:
    connection = Connection(StoreAddress.parse(server.url))
    try:
        yield connection
    finally:
        connection.close()


def orders_count(shard: Shard, customer_id: str = "ann") -> float:
    """Of the row in the shard's table."""
    register = shard.engine.plan.names["orders_count"].register
    assert register is not None
    work = shard.step(records_of([99_999], customer_id), {})
    return float(work.outcome.views[0].partition(b'"orders_count":')[2].split(b",")[0]) - 1


def test_a_batch_that_was_stepped_in_vain_is_forgotten(redis_server: RedisServer) -> None:
    """A rebalance dropped it: the table is ahead of the fence, and the next owner folds it again."""
    recorder = Recorder()
    claimer = claimer_of(redis_server, recorder)
    shard = claimer(0, 1)
    shard.step(records_of([1]), {"log": "1-0"})()
    shard.step(records_of([2]), {"log": "2-0"})
    shard.close()
    again = claimer(0, 2)
    again.close()

    assert again.table is not shard.table
    assert recorder.rollbacks == []


def test_a_table_is_kept_when_nobody_came_between(redis_server: RedisServer) -> None:
    """Most rebalances give a worker back what it had; reading every row again would cost seconds."""
    claimer = claimer_of(redis_server, Recorder())
    shard = claimer(0, 1)
    shard.step(records_of([1]), {"log": "1-0"})()
    again = claimer(0, 2)
    other = claimer_of(redis_server, Recorder())(0, 3)
    third = claimer(0, 4)
    for each in (again, other, third):
        each.close()

    assert again.table is shard.table
    assert third.table is not shard.table


def test_step_and_commit_overlap(redis_server: RedisServer) -> None:
    """The next batch is computed while Redis stores the last one."""
    recorder = Recorder()
    with claimed(redis_server, recorder) as shard:
        first = shard.step(records_of([1]), {"log": "1-0"})
        shard.begin(first)
        second = shard.step(records_of([2, 3], "bob"), {"log": "2-0"})
        shard.finish(first)
        shard.begin(second)
        shard.finish(second)

        assert shard.offsets == {"log": "2-0"}
    assert recorder.works == [first, second]


@pytest.mark.parametrize("is_stepping", [True, False], ids=["step", "commit"])
def test_a_zombie_is_refused_in_step_and_commit(
    redis_server: RedisServer, is_stepping: bool
) -> None:
    """It may have read rows before or after the new owner's first commit: neither may count."""
    with claimed(redis_server, Recorder()) as zombie:
        work = zombie.step(records_of([1]), {"log": "1-0"})
        with claimed(redis_server, Recorder()) as owner:
            owner.step(records_of([1]), {"log": "1-0"})()
            late = partial(zombie.step, records_of([2], "bob"), {"log": "2-0"})
            with pytest.raises(FencedError):
                (late if is_stepping else work)()

            assert orders_count(owner) == 1


def test_a_row_of_another_type_stops_the_shard_before_anything_is_written(
    redis_server: RedisServer,
) -> None:
    """MGET would take it for a new customer, and the commit would overwrite it."""
    with asking(redis_server) as connection, claimed(redis_server, Recorder()) as shard:
        connection.call("HSET", KEYS.row_ + b"ann", "field", "precious")
        before = connection.call("GET", KEYS.fence)
        with pytest.raises(DamagedError, match="row:ann is a hash"):
            shard.step(records_of([1]), {"log": "1-0"})

        assert connection.call("HGET", KEYS.row_ + b"ann", "field") == b"precious"
        assert connection.call("GET", KEYS.fence) == before
        assert connection.call("EXISTS", KEYS.customer_ + b"ann") == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda connection: connection.call("SET", KEYS.row_ + b"ann", b"12345678garbage!"),
        lambda connection: connection.call("DEL", KEYS.layout(ENGINE.plan.layout.fingerprint)),
        lambda connection: connection.call("SETRANGE", KEYS.row_ + b"ann", 8, b"\xff" * 8),
    ],
    ids=["garbage", "layout lost", "bitmap"],
)
def test_a_damaged_row_stops_the_shard(
    redis_server: RedisServer, spoil: Callable[[Connection], object]
) -> None:
    """A profile that begins anew in silence is worse than a shard that says what is wrong."""
    with claimed(redis_server, Recorder()) as shard:
        shard.step(records_of([1]), {"log": "1-0"})()
    with asking(redis_server) as connection:
        spoil(connection)
    other = engine_of(FIRST_ORDER)  # of another layout, so that the stored one is needed
    assert other.plan.layout.fingerprint != ENGINE.plan.layout.fingerprint
    with claimed(redis_server, Recorder(), other) as shard, pytest.raises(DamagedError):
        shard.step(records_of([2]), {"log": "2-0"})


def test_new_rules_keep_the_profiles(redis_server: RedisServer) -> None:
    """A reload moves rows of the table, and rows in Redis when they are read, to the new layout."""
    engines = [ENGINE]
    recorder = Recorder()
    store = StoreAddress.parse(redis_server.url)
    shard = Claimer(store, lambda: engines[-1], recorder.ports(), now_ms)(0, 0)
    shard.step(records_of([1, 2]), {"log": "1-0"})()
    shard.step(records_of([3], "bob"), {"log": "2-0"})()
    engines.append(engine_of(FIRST_ORDER))
    shard.step(records_of([4]), {"log": "3-0"})()

    assert shard.engine is engines[-1]
    assert orders_count(shard) == 3
    shard.close()
    fresh = Claimer(store, lambda: engines[-1], recorder.ports(), now_ms)(0, 0)
    assert orders_count(fresh, "bob") == 1
    fresh.close()


@pytest.mark.parametrize(
    ("ill", "well"),
    [
        (("CONFIG", "SET", "maxmemory", 1), ("CONFIG", "SET", "maxmemory", 0)),
        (("REPLICAOF", "127.0.0.1", 1), ("REPLICAOF", "NO", "ONE")),
    ],
    ids=["oom", "read-only"],
)
def test_a_store_that_cannot_write_now_is_waited_for(
    redis_server: RedisServer,
    ill: tuple[str | int, ...],
    well: tuple[str | int, ...],
    request: pytest.FixtureRequest,
) -> None:
    """Out of memory, or demoted by a failover: the same work is committed once it has passed."""
    with asking(redis_server) as connection, claimed(redis_server, Recorder()) as shard:
        shard.step(records_of([1]), {"log": "1-0"})()
        work = shard.step(records_of([2]), {"log": "2-0"})
        connection.call(*ill)
        for _ in range(3):
            with pytest.raises(StoreDownError) as caught:
                work()
            assert caught.value.reason == request.node.callspec.id
        connection.call(*well)
        work()

        assert shard.offsets == {"log": "2-0"}
        assert orders_count(shard) == 2


@pytest.mark.slow
def test_a_store_that_loads_its_data_is_waited_for(redis_server: RedisServer) -> None:
    """After a restart of a large Redis every command is refused for minutes."""
    with asking(redis_server) as connection, claimed(redis_server, Recorder()) as shard:
        work = shard.step(records_of([1]), {"log": "1-0"})
        connection.ask([("SET", f"filler-{number}", 1) for number in range(8_192)])
        redis_server.kill()
        redis_server.settings["key-load-delay"] = "100"  # microseconds
        starting = threading.Thread(target=redis_server.start)
        starting.start()
        reasons = []
        while not shard.offsets:
            try:
                work()
            except StoreDownError as error:
                reasons.append(error.reason)
                time.sleep(0.01)
        starting.join()

        assert "loading" in reasons
        assert orders_count(shard) == 1


def test_a_rollback_is_told(redis_server: RedisServer) -> None:
    """On-call engineers must know that Redis lost commits, although the log repeats them."""
    recorder = Recorder()
    claimer = claimer_of(redis_server, recorder)
    shard = claimer(0, 0)
    with asking(redis_server) as connection:
        before = connection.call("GET", KEYS.fence)
        shard.step(records_of([1]), {"log": "1-0"})()
        assert isinstance(before, bytes)
        connection.call("SET", KEYS.fence, before)
        connection.call("DEL", KEYS.row_ + b"ann")
    with pytest.raises(MismatchError):
        shard.step(records_of([2]), {"log": "2-0"})()
    again = claimer(0, 0)

    assert [(number, ours.commits) for number, ours, _ in recorder.rollbacks] == [(0, 1)]
    assert again.offsets == {}
    assert orders_count(again) == 0
    again.close()


def test_a_full_outbox_stops_consuming_until_actions_are_settled(
    redis_server: RedisServer,
) -> None:
    """A receiver that is down for hours must not fill Redis, and nothing may be dropped."""
    with claimed(redis_server, Recorder(), engine_of(FIRST_ORDER)) as shard:
        shard.outbox = Outbox(0, actions_max=2)
        for number, customer in enumerate(("ann", "bob")):
            assert not shard.is_full()
            shard.step(records_of([number], customer), {"log": f"{number}-1"})()
        assert shard.is_full()
        assert [sequence for sequence, _ in shard.pending()] == [1, 2]
        with asking(redis_server) as connection:
            connection.ask(settle(0, 1))

        assert not shard.is_full()
        assert [sequence for sequence, _ in shard.pending()] == [2]
        with claimed(redis_server, Recorder(), engine_of(FIRST_ORDER)) as heir:
            assert heir.outbox.actions_count == 1


def test_dead_letters_read_as_they_were_written(redis_server: RedisServer) -> None:
    """They are mended and sent again with key, headers and time as they came."""
    recorder = Recorder()
    with claimed(redis_server, recorder) as shard:
        records = records_of([1])
        records.values[0] = b"\xff{"
        origin = Origin("clicks", 0, "7", b"ann", (("trace", b"\x00\xff"),), 5)
        broken = Records(records.values, records.times_ms, lambda _index: origin)
        shard.step(broken, {"log": "1-0"})()
    with asking(redis_server) as connection:
        RedisDeadLetters(connection).send(recorder.letters).wait()
        found = read(connection, 0, "0-0", 10)

    assert [letter for _, letter in found] == recorder.letters
    assert recorder.letters[0].origin == origin
