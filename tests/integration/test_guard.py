"""A rule that does far too much is stopped within its bound and one look: an experiment with a real Redis.

Time is made by hand, so that what one look lets through is known to the event.
"""

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest

from rules.action import Action, Target
from streams.controls import Stage
from streams.controls_redis import ControlStore, Entry
from streams.errors import StoreDownError
from streams.guard import FIRES_MIN, Limits
from streams.guard_counts import HOUR_MS, WAITING_MAX, Counts, CountStore
from streams.guard_watch import LOOK_MS
from streams.rule_life import Who
from streams.store import StoreAddress
from streams.store_async import AsyncConnection
from tests.integration.guard_world import NOON_MS, World, opened, wrote
from tests.integration.redis_server import RedisServer


async def shadowed_and_promoted(world: World) -> None:
    """Two hours in shadow, of which the busier one has 30 fires; then it is live."""
    for count in (10, 30):
        world.orders(count)
        await world.guard.look()
        world.clock.advance(HOUR_MS)
    assert world.fires == 0
    told = await world.life.promote("loud", Who("ann", world.clock.now_ms()), "live", None, None)
    assert told["expected"]["an_hour"] == 30.0
    assert 0.005 < told["expected"]["share"] < 0.012


async def test_a_rule_that_storms_is_paused_within_its_bound_and_one_look(
    redis_server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The wrong condition at noon: without the guard, each customer is called within the hour."""
    async with opened(redis_server, tmp_path / "off", Limits(0, 0)) as world:
        await shadowed_and_promoted(world)
        await world.storm(20)
        assert world.fires == 20 * 400
        assert world.trips() == 0
        await world.connection.call("FLUSHALL")
    async with opened(redis_server, tmp_path / "on", Limits(5, 0.1)) as world:
        await shadowed_and_promoted(world)
        await world.storm(20)
        bound, a_look = 5 * 30, 400 * LOOK_MS // 1_000

        assert bound < world.fires <= bound + a_look
        assert world.trips() == 1
        assert world.rulebook.told()["rules"][0]["paused"]["by"] == "guard"
        newest, *_ = await world.life.history("loud", 10)
        assert newest["what"] == "pause"
        assert (newest["expected"], newest["bound"], newest["found"]) == (30.0, 150, world.fires)
        assert [each.levelno for each in caplog.records if each.name == "rapport.guard"].count(
            logging.CRITICAL
        ) == 1

        # One command, and it goes on: what was found is expected now.
        before = world.fires
        await world.life.resume("loud", Who("ann", world.clock.now_ms()), None)
        await world.storm(1)
        assert before + 300 <= world.fires <= before + 400
        assert world.trips() == 1


async def test_a_rule_that_reaches_too_many_customers_is_paused_though_it_fires_as_often_as_expected(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """Within the hour's bound, but each time for somebody else."""
    async with opened(redis_server, tmp_path / "rules", Limits(5, 0.1)) as world:
        await shadowed_and_promoted(world)
        control = (await world.life.controls())["loud"]
        assert control.expected is not None
        often = msgspec.structs.replace(control.expected, an_hour=1e6)

        await ControlStore(world.connection).change(
            *("loud", lambda it: msgspec.structs.replace(it, expected=often)),
            lambda _changed: Entry(0, "test", "promote", "loud"),
        )
        await world.storm(10)
        touched = {each.customer_id for each in world.acted}

        # A HyperLogLog knows within about 2%, the number of customers within about a tenth.
        assert 0.85 * 500 < len(touched) < 1.15 * 500 + 200
        assert world.trips() == 1


async def test_two_processes_see_it_and_one_pauses(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """An alert a worker would be one too many; and what all of them do adds up."""
    limits, folder = Limits(5, 0.1), tmp_path / "rules"
    async with (
        opened(redis_server, folder, limits) as one,
        opened(redis_server, folder, limits) as two,
    ):
        await shadowed_and_promoted(one)
        two.clock.advance(one.clock.now_ms() - two.clock.now_ms())
        for world in (one, two):
            await world.guard.look()
            world.orders(80)  # 160 together: neither is over the bound alone
        await asyncio.gather(one.guard.look(), two.guard.look())
        for world in (one, two):
            await world.guard.look()
            world.orders(10)

        assert one.trips() + two.trips() == 1
        assert one.fires == two.fires == 80
        pauses = [each for each in await one.life.history("loud", 100) if each["what"] == "pause"]
        assert len(pauses) == 1


async def test_a_rule_that_was_promoted_from_nothing_may_do_little(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """Nobody has seen what it would do; --expect is there for who knows."""
    async with opened(redis_server, tmp_path / "rules", Limits(5, 0.1), stage="draft") as world:
        who = Who("ann", world.clock.now_ms())
        await world.life.promote("loud", who, "live", None, None)
        await world.guard.look()
        world.orders(FIRES_MIN)
        await world.guard.look()
        assert world.trips() == 0
        world.orders(1)
        await world.guard.look()
        assert world.trips() == 1

        await world.life.promote("loud", who, "shadow", None, None)
        await world.life.resume("loud", who, None)
        told = await world.life.promote("loud", who, "canary", "20%", "400/h")
        assert told["expected"]["an_hour"] == 400.0


async def test_a_file_that_says_live_promotes_as_a_command_does_and_reloads_are_kept(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """Who works with pull requests has the same guard."""
    folder = tmp_path / "rules"
    async with opened(redis_server, folder, Limits(5, 0.1)) as world:
        world.orders(10)
        await world.guard.look()
        wrote(folder, 2, "live")
        assert await world.rulebook.reload()
        await world.guard.look()
        entries = await world.life.history(None, 10)
        control = (await world.life.controls())["loud"]

        assert [(each["by"], each["what"]) for each in entries] == [
            ("files", "promote"),
            ("files", "reload"),
            ("files", "reload"),
        ]
        assert entries[1]["rules"] == [
            {
                "rule": "loud",
                "from": {"version": 1, "stage": "shadow"},
                "to": {"version": 2, "stage": "live"},
            }
        ]
        assert control.expected is not None
        assert control.expected.an_hour == 10.0
        assert control.staged is None


async def test_while_redis_is_away_rules_stay_as_they_are_and_are_looked_after_again(
    redis_server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The guard must not be what ends a worker."""
    async with opened(redis_server, tmp_path / "rules", Limits(5, 0.1)) as world:
        await world.connection.call("CONFIG", "SET", "appendfsync", "always")
        await world.life.pause("loud", Who("ann", NOON_MS), "quiet, please")
        await world.guard.look()
        stop = asyncio.Event()
        watching = asyncio.create_task(world.guard.watch(stop))
        redis_server.kill()
        for _ in range(3):
            await _looked(world)
        assert caplog.text.count("not looked after for now") == 1
        assert world.rulebook.told()["rules"][0]["paused"]["why"] == "quiet, please"
        redis_server.start()
        while True:
            await _looked(world)
            try:
                await world.life.resume("loud", Who("ann", world.clock.now_ms()), None)
                break
            except StoreDownError:
                continue
        while world.rulebook.told()["rules"][0]["paused"] is not None:
            await _looked(world)
        stop.set()
        await watching


async def _looked(world: World) -> None:
    """One look of the watcher, with all that follows from it."""
    while world.clock.next_ms() is None:  # noqa: ASYNC110  it waits for threads and for Redis
        await asyncio.sleep(0.001)
    world.clock.advance(LOOK_MS)
    while (world.clock.next_ms() or 0) <= world.clock.now_ms():  # noqa: ASYNC110  the same
        await asyncio.sleep(0.001)


async def test_counts_are_bounded_in_time_and_in_memory(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was a week ago expects nothing of today; a burst between two looks takes no memory for ever."""
    monkeypatch.setattr("streams.guard_counts.WAITING_MAX", 5)
    connection = AsyncConnection(StoreAddress.parse(redis_server.url))
    counts, store = Counts(), CountStore(connection)
    counts.add([_action(f"c-{k}", NOON_MS) for k in range(9)])
    counts.add([_action("c-1", NOON_MS, stale=True), _action("c-2", NOON_MS, withheld="holdout")])
    taken = counts.take()
    await store.add(taken)
    (did,) = taken
    (found,) = await store.found([did], 100)
    keys = [f"rapport:rules:fires:{did.hour}", f"rapport:rules:touched:{did.day}:acted|loud"]
    left = [await connection.call("TTL", key) for key in keys]
    later = await store.expected("loud", Stage("live"), NOON_MS + 9 * 24 * HOUR_MS)
    await connection.close()

    assert WAITING_MAX > 5
    assert (found.fires, found.customers) == (9, 5)
    assert [round(int(each) / 86_400) for each in left if isinstance(each, int)] == [8, 3]
    assert later.an_hour == 0.0
    assert counts.take() == {}


def _action(customer_id: str, at_ms: int, *, stale: bool = False, withheld: str = "") -> Action:
    return Action(
        *(customer_id, "loud", 1, customer_id, 0, customer_id, at_ms, ""),
        target=Target("log", "orders", "order.big"),
        data={},
        withheld=withheld,
        is_stale=stale,
    )
