"""The index of timers: never too little, cleaned by the owner, and nothing is asked while nothing is due."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import msgspec
import pytest

from processors.batch import Origin, Records
from streams.claimer import Claimer
from streams.commit import StandingWatch
from streams.errors import DamagedError, FencedError, StoreDownError
from streams.fence import Fence
from streams.keys import Keys
from streams.shard import Shard
from streams.store import Command, StoreAddress
from streams.timers import LOOKED_AT_MAX
from streams.work import Ports, Work
from tests.replaying import engine_of
from tests.simulation.memory_commands import Refused, Reply, Scores
from tests.simulation.memory_redis import MemoryRedis, Session
from tests.simulation.test_rollbacks import Calm
from tests.simulation.virtual_loop import START_MS
from tests.simulation.world import World, installed

KEYS = Keys.of(0)
SILENCE_MS = 1_000
STALE_MS = 60_000
CART = """
[rule.cart]
sequence = ["click.add_to_cart", "no click.checkout within 1s"]
then = [{ webhook = "crm" }]
"""
PLAIN = """
[rule.other]
on = "click.search"
then = [{ webhook = "crm" }]
"""


@pytest.fixture
def world() -> Iterator[World]:
    with installed(0) as world:
        world.chance.is_calm = True
        world.redis.wrote = lambda *_: None
        world.engine = engine_of(CART)
        yield world
        world.loop.close()


@contextmanager
def claimed(world: World, name: str = "one") -> Iterator[Shard]:
    world.wire.owners[name] = Calm(name)
    ports = Ports(
        dead_letters=None,  # type: ignore[arg-type]  # there are none
        committed=lambda *_: None,
        stored=lambda *_: None,
        rolled_back=lambda *_: None,
    )
    claimer = Claimer(
        StoreAddress(path=name), lambda: world.engine, ports, lambda: START_MS, STALE_MS
    )
    shard = claimer(0, 0)
    try:
        yield shard
    finally:
        shard.close()


def clicks(*events: tuple[str, str, int]) -> Records:
    """Customer, action and when, in ms since the start."""
    values: list[bytes | None] = [
        msgspec.json.encode(
            {
                "id": f"{customer}-{action}-{at_ms}",
                "type": "click",
                "action": action,
                "customer_id": customer,
                "at_ms": START_MS + at_ms,
            }
        )
        for customer, action, at_ms in events
    ]
    return Records(
        values,
        [START_MS] * len(values),
        lambda index: Origin("clicks", 0, str(index), None, (), START_MS),
    )


def fold(shard: Shard, *events: tuple[str, str, int]) -> None:
    shard.step(clicks(*events), {"clicks": "1"})()


def fire(shard: Shard, at_ms: int) -> Work | None:
    work = shard.fire(START_MS + at_ms)
    if work is not None:
        work()
    return work


def index(world: World) -> dict[str, int]:
    found = world.redis.data.get(KEYS.timers, Scores())
    assert isinstance(found, Scores)
    return {name.decode(): int(due_ms) - START_MS for name, due_ms in found.items()}


def test_an_entry_is_written_where_a_row_begins_to_wait_or_waits_less_long(world: World) -> None:
    """A customer who waits already costs no write more, however many events come."""
    with claimed(world) as shard, patch.object(MemoryRedis, "execute", autospec=True) as execute:
        execute.side_effect = original
        fold(shard, ("ann", "add_to_cart", 100), ("bob", "search", 100))
        assert index(world) == {"ann": 1_100}
        fold(shard, ("ann", "search", 200), ("ann", "add_to_cart", 300))
        fold(shard, ("bob", "add_to_cart", 400))
        written = [each.args[2] for each in execute.call_args_list if each.args[2][0] == b"ZADD"]

    assert [words[4:] for words in written] == [[b"ann"], [b"bob"]]
    assert index(world) == {"ann": 1_100, "bob": 1_400}


original = MemoryRedis.execute


def test_while_nothing_is_due_nothing_is_asked(world: World) -> None:
    """Millions wait; a look for each turn of the loop would be the cost of all."""
    with claimed(world) as shard, patch.object(MemoryRedis, "execute", autospec=True) as execute:
        execute.side_effect = original
        assert not shard.due_ms
        assert fire(shard, 10_000) is None
        fold(shard, ("ann", "add_to_cart", 0))
        before = execute.call_count
        assert shard.due_ms == START_MS + SILENCE_MS
        assert fire(shard, SILENCE_MS - 1) is None

    assert execute.call_count == before


def test_a_timer_fires_once_and_its_entry_goes_after_the_commit(world: World) -> None:
    """Removed before, a crash in between would have lost it."""
    with claimed(world) as shard:
        fold(shard, ("ann", "add_to_cart", 0), ("bob", "add_to_cart", 5_000))
        work = shard.fire(START_MS + SILENCE_MS)
        assert work is not None
        assert index(world) == {"ann": 1_000, "bob": 6_000}
        work()
        assert [each.cause for each in work.outcome.actions] == [f"timer:{START_MS + SILENCE_MS}"]
        assert (work.fired_ms, work.by_clock) == ([START_MS + SILENCE_MS], True)
        assert fire(shard, SILENCE_MS) is None

        assert index(world) == {"bob": 6_000}
        assert shard.due_ms == START_MS + 6_000
        assert shard.offsets == {"clicks": "1"}


def test_whoever_claims_the_shard_next_knows_who_waits(world: World) -> None:
    """Nobody reads a million rows to find out."""
    with claimed(world) as shard:
        fold(shard, ("ann", "add_to_cart", 0))
    with claimed(world, "two") as heir:
        assert heir.due_ms == START_MS + SILENCE_MS
        work = fire(heir, SILENCE_MS)

    assert work is not None
    assert len(work.outcome.actions) == 1


def test_entries_that_no_row_confirms_lead_to_nothing_and_go(world: World) -> None:
    """A crash before cleaning, or an owner who came late, leaves too much."""
    with claimed(world) as shard:
        fold(shard, ("ann", "add_to_cart", 5_000))
    session = Session("test", world.redis)
    session.execute([b"ZADD", KEYS.timers, b"%d" % START_MS, b"ann"])
    session.execute([b"ZADD", KEYS.timers, b"%d" % START_MS, b"nobody"])
    with claimed(world, "two") as heir:
        assert fire(heir, 10) is None
        assert index(world) == {"ann": 6_000}
        assert fire(heir, 10) is None

        assert heir.due_ms == START_MS + 6_000


def test_rules_without_timers_clean_up_after_those_that_had_some(world: World) -> None:
    """Else the index of a shard would keep for ever whom a former rule made wait."""
    for later in (engine_of(PLAIN), engine_of()):
        with claimed(world) as shard:
            world.engine = engine_of(CART)
            fold(shard, ("ann", "add_to_cart", 0))
            world.engine = later
            work = fire(shard, SILENCE_MS)
            assert work is not None
            assert work.outcome.actions == []
            assert fire(shard, SILENCE_MS) is None
        assert index(world) == {}
        world.redis.data.clear()


def test_a_new_rule_waits_from_the_next_event_on(world: World) -> None:
    """Rows are migrated when they are read; nobody goes over all of them at a reload."""
    world.engine = engine_of(PLAIN)
    with claimed(world) as shard:
        fold(shard, ("ann", "add_to_cart", 0))
        assert index(world) == {}
        world.engine = engine_of(PLAIN, CART)
        fold(shard, ("ann", "add_to_cart", 100))
        work = fire(shard, 100 + SILENCE_MS)

    assert work is not None
    assert [each.rule for each in work.outcome.actions] == ["cart"]


def test_so_many_at_a_time_and_the_rest_at_once(world: World) -> None:
    """Events wait for the thread that fires; nobody waits for ten thousand timers in one go."""
    count = LOOKED_AT_MAX + 7
    with claimed(world) as shard:
        fold(shard, *((f"c{number}", "add_to_cart", number % 3) for number in range(count)))
        works = []
        while shard.due_ms is not None:
            assert shard.due_ms <= START_MS + 2_000
            works.append(fire(shard, 2_000))

        assert [len(each.fired_ms) for each in works if each] == [LOOKED_AT_MAX, 7]
        assert index(world) == {}


@pytest.mark.parametrize(("late_ms", "is_stale"), [(STALE_MS, False), (STALE_MS + 1, True)])
def test_a_timer_that_nobody_was_there_to_fire_is_stale(
    world: World, late_ms: int, is_stale: bool
) -> None:
    """Nobody is reminded of a cart that was left alone days ago, while we were away."""
    with claimed(world) as shard:
        fold(shard, ("ann", "add_to_cart", 0))
        work = shard.fire(START_MS + SILENCE_MS + late_ms)

    assert work is not None
    assert [each.is_stale for each in work.outcome.actions] == [is_stale]


def test_what_is_no_index_of_ours_stops_the_claim(world: World) -> None:
    """Written over, it would be somebody's data; passed over, timers would be lost."""
    Session("test", world.redis).execute([b"SET", KEYS.timers, b"precious"])
    refused = Refused("WRONGTYPE Operation against a key holding the wrong kind of value")
    read = MemoryRedis.execute

    def typed(redis: MemoryRedis, session: Session, words: Sequence[bytes]) -> Reply:
        return refused if words[0] == b"ZRANGE" else read(redis, session, words)

    with (
        patch.object(MemoryRedis, "execute", typed),
        pytest.raises(DamagedError, match="timers"),
        claimed(world),
    ):
        pass


def test_a_commit_is_not_done_with_while_its_entry_is_refused(world: World) -> None:
    """Full for the entry, and a moment later with room for the commit: the timer would be lost."""
    refusals = [Refused("OOM command not allowed"), Refused("OOM command not allowed")]
    read = MemoryRedis.execute

    def full(redis: MemoryRedis, session: Session, words: Sequence[bytes]) -> Reply:
        if words[0] == b"ZADD" and refusals:
            return refusals.pop()
        return read(redis, session, words)

    with patch.object(MemoryRedis, "execute", full), claimed(world) as shard:
        work = shard.step(clicks(("ann", "add_to_cart", 0)), {"clicks": "1"})
        for _ in range(2):
            with pytest.raises(StoreDownError):
                work()
        work()
        commits = shard.fence.commits

    assert index(world) == {"ann": 1_000}
    assert commits == 1


def test_a_former_owner_cleans_nothing(world: World) -> None:
    """It would remove what the new owner's commit relies on."""
    with claimed(world) as zombie:
        fold(zombie, ("ann", "add_to_cart", 0))
        assert fire(zombie, SILENCE_MS) is not None
        with claimed(world, "two") as owner:
            fold(owner, ("ann", "add_to_cart", 500))
            with pytest.raises(FencedError):
                zombie.fire(START_MS + SILENCE_MS)

    assert index(world) == {"ann": 1_000}


def test_a_cleaning_that_comes_late_removes_no_entry_of_a_commit_under_way(world: World) -> None:
    """1 a cleaning is sent and given up, 2 a commit's entry is written, 3 the cleaning, 4 the commit."""
    with claimed(world) as shard:
        fold(shard, ("ann", "add_to_cart", 0))
        assert fire(shard, SILENCE_MS) is not None
        late = given_up(shard, world)
        work = shard.step(clicks(("ann", "add_to_cart", 3_000)), {"clicks": "2"})
        begin = StandingWatch.begin

        def overtaken(
            watch: StandingWatch,
            fence: bytes,
            pairs: list[bytes],
            also: Command,
            first: Command | None = None,
        ) -> None:
            begin(watch, fence, pairs, also, first)
            if first is not None:
                late()

        with patch.object(StandingWatch, "begin", overtaken):
            work()
        stored = world.redis.data[KEYS.fence]
        assert isinstance(stored, bytes)

        assert index(world) == {"ann": 1_000}  # too early is no harm
        assert Fence.decode(0, stored).commits == 4  # of which one changed nothing else


def given_up(shard: Shard, world: World) -> Callable[[], None]:
    """Have the cleaning time out; answers with what lets it arrive."""
    watch = shard._watch
    found = world.redis.data[KEYS.fence]
    session = Session("one", world.redis)
    session.execute([b"WATCH", KEYS.fence])
    assert found == watch.stored
    with (
        patch.object(type(watch._connection), "ask", side_effect=StoreDownError("timeout", "slow")),
        pytest.raises(StoreDownError),
    ):
        shard.fire(START_MS + SILENCE_MS)
    assert watch.in_doubt

    def arrive() -> None:
        session.execute([b"MULTI"])
        session.execute([b"ZREM", KEYS.timers, b"ann"])
        session.execute([b"EXEC"])

    return arrive


def story(shard: Shard) -> None:
    """Waiting, firing, waiting again, and cleaning."""
    fold(shard, ("ann", "add_to_cart", 0), ("bob", "add_to_cart", 200))
    fire(shard, SILENCE_MS)
    fold(shard, ("ann", "add_to_cart", 1_500), ("cid", "add_to_cart", 1_500))
    fire(shard, SILENCE_MS + 300)
    fire(shard, SILENCE_MS + 300)
    fold(shard, ("bob", "add_to_cart", 1_600), ("cid", "checkout", 1_700))
    fire(shard, 5_000)
    fire(shard, 5_000)


def test_every_prefix_of_what_is_written_has_everybody_who_waits(world: World) -> None:
    """Redis may come back with any of them; whoever claims then must find every timer."""
    with claimed(world) as shard:
        story(shard)
    states = [data for _, data in world.redis.past] + [dict(world.redis.data)]
    found = []
    for number, data in enumerate(states):
        waits = {}
        world.redis.data = dict(data)
        if KEYS.fence not in data:
            continue
        with claimed(world, f"reader{number}") as reader:
            names = [
                key.removeprefix(KEYS.row_).decode() for key in data if key.startswith(KEYS.row_)
            ]
            if names:
                reader._rows.keep_layout(reader.engine.plan.layout)
                reader._load(reader.table.missing(names), names)
                rows = reader.table.whole_rows[reader.table.slots(names)]
                waits = {
                    name: int(row[4]) - START_MS
                    for name, row in zip(names, rows, strict=True)
                    if row[4]
                }
        world.redis.data = dict(data)
        entries = index(world)
        assert all(entries.get(name, 1 << 60) <= due_ms for name, due_ms in waits.items())
        found.append((waits, entries))

    assert len(found) > 12
    assert len({tuple(sorted(waits)) for waits, _ in found}) >= 4
    assert found[-1] == ({}, {})
