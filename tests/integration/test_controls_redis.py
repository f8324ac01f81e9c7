"""What is said about rules, in a real Redis: nobody's change is lost, and nothing grows for ever."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from streams.controls import NOTHING, Control, ControlError, Known, Stage, paused, resumed, snoozed
from streams.controls_redis import CONTROLS_KEY, KNOWN_KEY, Changed, ControlStore, Entry
from streams.errors import DamagedError, StoreError
from streams.store import StoreAddress
from streams.store_async import AsyncConnection
from tests.integration.redis_server import RedisServer

LIVE = Stage("live")


@pytest.fixture
async def connection(redis_server: RedisServer) -> AsyncIterator[AsyncConnection]:
    made = AsyncConnection(StoreAddress.parse(redis_server.url))
    yield made
    await made.close()


def noted(what: str, rule: str = "vip") -> Entry:
    return Entry(1, "ann", what, rule)


async def test_changes_of_many_at_once_are_all_there(connection: AsyncConnection) -> None:
    """Two people, and the guard; each has read before the others wrote."""
    stores = [ControlStore(connection) for _ in range(5)]
    versions = [await stores[0].version()]

    async def snooze(store: ControlStore, number: int) -> None:
        await store.change(
            "vip",
            lambda control: snoozed(control, 10_000, "ann", 1, f"c-{number}"),
            lambda changed: noted(f"{len(changed.after.customers)}"),
        )

    await asyncio.gather(*(snooze(store, number) for number, store in enumerate(stores)))
    versions.append(await stores[0].version())
    control = (await stores[0].controls())["vip"]
    history = await stores[0].history("vip", 10)

    assert sorted(control.customers) == [f"c-{number}" for number in range(5)]
    assert [entry.what for entry in history] == ["5", "4", "3", "2", "1"]
    assert versions == [0, 5]


async def test_what_is_refused_changes_nothing(connection: AsyncConnection) -> None:
    """Neither the control, nor the history, nor the version."""
    store = ControlStore(connection)
    with pytest.raises(ControlError):
        await store.change("vip", lambda control: resumed(control, 1), lambda _: noted("resume"))

    assert (await store.controls(), await store.version()) == ({}, 0)
    assert await store.history(None, 10) == []


async def test_a_control_that_says_nothing_any_more_makes_room(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules come and go for years."""
    monkeypatch.setattr("streams.controls_redis.CONTROLS_MAX", 2)
    store = ControlStore(connection)

    async def pause(rule: str) -> None:
        await store.change(
            rule, lambda it: paused(it, "", "ann", 1), lambda _: noted("pause", rule)
        )

    await pause("one")
    await pause("two")
    with pytest.raises(ControlError, match="which is the most"):
        await pause("three")
    await store.change("one", lambda it: resumed(it, 2), lambda _: noted("resume", "one"))
    assert set(await store.controls()) == {"two"}
    await pause("three")
    assert set(await store.controls()) == {"two", "three"}


async def test_the_history_is_bounded_and_is_read_by_pages(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest first, and the oldest go."""
    monkeypatch.setattr("streams.controls_redis.HISTORY_MAX", 7)
    monkeypatch.setattr("streams.controls_redis.PAGE", 2)
    store = ControlStore(connection)
    for number in range(10):
        control = Control(customers={"c": number + 1})
        entry = noted(f"{number}", "even" if number % 2 == 0 else "odd")
        await store.change("vip", lambda _, to=control: to, lambda _, it=entry: it)  # type: ignore[misc]  # bound by their defaults

    assert [each.what for each in await store.history(None, 100)] == list("9876543")
    assert [each.what for each in await store.history("even", 2)] == ["8", "6"]
    assert [each.what for each in await store.history("vip", 2)] == []


async def test_one_of_many_processes_tells_of_a_reload(connection: AsyncConnection) -> None:
    """Each worker reads the same files; the history has what has changed once."""
    store = ControlStore(connection)
    rules = {"vip": Known(2, LIVE)}

    def entry(before: object) -> Entry | None:
        return None if before == rules else Entry(1, "files", "reload", rules=[{"rule": "vip"}])

    told = await asyncio.gather(*(store.announce(rules, entry) for _ in range(4)))

    assert sorted(told, key=repr) == [None, None, None, {}]
    assert len(await store.history("vip", 10)) == 1
    assert await store.known() == rules


async def test_who_is_always_too_late_is_told(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than trying for ever."""
    monkeypatch.setattr("streams.controls_redis.CHANGES_TRIED_MAX", 3)
    store, tries = ControlStore(connection), []

    def change(control: Control) -> Control:
        tries.append(control)
        return paused(control, "", "ann", 1)

    def meanwhile(_changed: Changed) -> Entry:
        return noted("x" * len(tries))

    call = connection.call

    async def slower(*command: bytes | str | int) -> object:
        if command[0] == "EVAL":
            await call(
                "HSET",
                CONTROLS_KEY,
                "vip",
                b'{"snooze":{"until_ms":%d,"by":"b","at_ms":1}}' % len(tries),
            )
        return await call(*command)

    monkeypatch.setattr(connection, "call", slower)
    with pytest.raises(StoreError, match="again and again"):
        await store.change("vip", change, meanwhile)

    assert [each == NOTHING for each in tries] == [True, False, False]


@pytest.mark.parametrize("key", [CONTROLS_KEY, KNOWN_KEY])
async def test_what_is_none_of_ours_is_named(connection: AsyncConnection, key: bytes) -> None:
    """By its key, so that somebody can look."""
    store = ControlStore(connection)
    await connection.call("HSET", CONTROLS_KEY, "vip", "{")
    await connection.call("SET", KNOWN_KEY, "[]")

    with pytest.raises(DamagedError, match=key.decode()):
        await (store.controls() if key == CONTROLS_KEY else store.known())
