"""The index of timers: who waits is found, who does not is not kept, and nothing is asked in between."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from streams.timers import LOOKED_AT_MAX
from tests.replaying import engine_of
from tests.simulation.memory_redis import MemoryRedis, Session
from tests.simulation.virtual_loop import START_MS
from tests.simulation.world import World
from tests.streams.timed import (
    CART,
    KEYS,
    PLAIN,
    SILENCE_MS,
    STALE_MS,
    claimed,
    fire,
    fold,
    index,
    timed_world,
)


@pytest.fixture
def world() -> Iterator[World]:
    with timed_world() as made:
        yield made


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
