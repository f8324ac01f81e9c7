"""What others read over HTTP, and what on-call engineers ask."""

import asyncio
import logging
from urllib.parse import quote

import pytest
from aiohttp import ClientSession
from yarl import URL

from streams import web as web_module
from streams.errors import StoreDownError
from streams.feed import Lag
from streams.given import Address
from streams.probes import STALL_MS_MAX, Check
from streams.shard_status import ShardStatus
from streams.web import application, serve
from streams.web_reading import ACTIONS_LISTED, ACTIONS_LISTED_MAX
from tests.streams.web_fakes import LOOPBACK, World, opened


def actions(count: int) -> list[dict[str, object]]:
    return [
        {
            "id": f"act_{number}",
            "rule": "vip",
            "version": 2,
            "customer_id": "c-1",
            "reason": "Bought much",
            "at_ms": number,
            "status": "delivered",
            "target": {"kind": "webhook" if number % 3 else "alert", "name": "risk"},
        }
        for number in range(count)
    ]


@pytest.mark.parametrize("customer_id", ["c-1", "a/b", "ключ 😀", "50%", "?x#y", "{1}"])
async def test_a_customer_is_told_as_stored(customer_id: str) -> None:
    """The view is stable JSON, whoever reads it and whatever the id is made of."""
    world = World()
    world.store.views[customer_id] = b'{"customer_id": "whoever", "health": 71.5}'
    async with opened(world) as client:
        escaped = quote(customer_id, safe="")
        answer = await client.get(URL(f"/v1/customers/{escaped}", encoded=True))

        assert (answer.status, answer.content_type) == (200, "application/json")
        assert await answer.read() == world.store.views[customer_id]


@pytest.mark.parametrize("customer_id", ["nobody", "x" * 101])
async def test_an_unknown_customer_is_a_problem(customer_id: str) -> None:
    """RFC 9457, as every error here."""
    async with opened(World()) as client:
        answer = await client.get(f"/v1/customers/{customer_id}")
        told = await answer.json(content_type="application/problem+json")

        assert (answer.status, told["reason"]) == (404, "unknown_customer")
        assert set(told) == {"type", "title", "status", "reason", "detail"}


async def test_the_newest_actions_come_first() -> None:
    """A hundred of them unless told otherwise."""
    world = World()
    world.store.newest_last = [*actions(ACTIONS_LISTED + 5)]
    async with opened(world) as client:
        listed = (await (await client.get("/v1/actions?limit=2")).json())["actions"]
        many = (await (await client.get("/v1/actions")).json())["actions"]

    assert listed == actions(ACTIONS_LISTED + 5)[:-3:-1]
    assert len(many) == ACTIONS_LISTED


@pytest.mark.parametrize(
    "limit", ["0", "-1", "1.5", "x", "", "²", str(ACTIONS_LISTED_MAX + 1), "9" * 99]
)
async def test_a_limit_that_is_none_is_refused(limit: str) -> None:
    """Bounded, and said so."""
    async with opened(World()) as client:
        answer = await client.get("/v1/actions", params={"limit": limit})

        assert answer.status == 400


async def test_alerts_are_those_among_the_newest_actions() -> None:
    """Who is on call asks what was rung, and whether it arrived."""
    world = World()
    world.store.newest_last = [*actions(7)]
    async with opened(world) as client:
        every = (await (await client.get("/v1/alerts")).json())["alerts"]
        one = (await (await client.get("/v1/alerts?limit=1")).json())["alerts"]
        refused = await client.get("/v1/alerts?limit=0")

    assert [(each["id"], each["status"]) for each in every] == [
        ("act_6", "delivered"),
        ("act_3", "delivered"),
        ("act_0", "delivered"),
    ]
    assert one == every[:1]
    assert refused.status == 400


async def test_rules_are_listed_and_what_has_no_port_has_no_route() -> None:
    """An empty list would say that there is nothing."""
    async with opened(World()) as client:
        rules = await (await client.get("/v1/rules")).json()
        assert rules == {"rules": [{"name": "vip", "version": 2}]}
    async with opened(World(), reader=None, appender=None) as client:
        assert (await client.get("/v1/alerts")).status == 404
        assert (await client.post("/v1/events")).status == 404


async def test_a_wrong_method_and_a_wrong_path_are_problems_too() -> None:
    """One form for all errors, and the way to go from there."""
    async with opened(World()) as client:
        wrong_method, wrong_path = await client.get("/v1/events"), await client.get("/v1/event")
        told = [
            (await answer.json(content_type="application/problem+json"))["detail"]
            for answer in (wrong_method, wrong_path)
        ]

        assert (wrong_method.status, wrong_path.status) == (405, 404)
        assert wrong_method.headers["Allow"] == "POST"
        assert told[0] == "GET /v1/events: this path takes POST"
        assert told[1].startswith("GET /v1/event: nothing is here; paths are /v1/events, ")
        assert told[1].endswith("/metrics")


async def test_a_store_that_cannot_tell_now_is_not_an_unknown_customer() -> None:
    """404 would make a caller create it anew."""
    world = World()
    world.store.fails = True
    async with opened(world) as client:
        answer = await client.get("/v1/customers/c-1")

        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"


async def test_a_fault_of_ours_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The caller learns no inner workings; the log has the trace."""

    def broken() -> list[dict[str, object]]:
        raise RuntimeError("inner workings")

    async with opened(World(), rules=broken) as client:
        answer = await client.get("/v1/rules")

        assert answer.status == 500
        assert "inner workings" not in await answer.text()
    assert "inner workings" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_livez_fails_when_a_shard_with_lag_makes_no_progress() -> None:
    """Then a restart may help; and the answer says which shard it is."""
    world = World()
    world.statuses = [ShardStatus(1, "running", "", 0, {"orders": Lag(9, 1)})]
    async with opened(world) as client:
        world.monotonic_ms = STALL_MS_MAX
        assert (await client.get("/livez")).status == 200
        world.monotonic_ms = STALL_MS_MAX + 1
        answer = await client.get("/livez")

        assert answer.status == 503
        assert "shard 1" in (await answer.json())["checks"]["shards"]["detail"]
        assert "rapport_live 0.0" in await (await client.get("/metrics")).text()


async def test_readyz_tells_each_part_with_its_reason() -> None:
    """On call at 3 a.m.: what is it?"""
    world = World()
    world.statuses = [ShardStatus(1, "claiming", "", None, {})]

    async def redis() -> Check:
        raise StoreDownError("loading", "soon")

    async def log() -> Check:
        return Check(ok=True)

    async with opened(world, probes={"redis": redis, "log": log}) as client:
        answer = await client.get("/readyz")

        assert answer.status == 503
        assert await answer.json() == {
            "ok": False,
            "checks": {
                "redis": {"ok": False, "detail": "Redis is not available (loading): soon"},
                "log": {"ok": True, "detail": ""},
                "fence": {"ok": False, "detail": "shard 1 is claiming"},
            },
        }
        assert 'rapport_ready{part="redis"} 0.0' in await (await client.get("/metrics")).text()


async def test_metrics_tell_lag_and_requests_by_route_and_never_by_path() -> None:
    """Each path as a label would be a series for every customer."""
    world = World()
    world.statuses = [ShardStatus(1, "running", "", 0, {"orders": Lag(9, 1_500)})]
    async with opened(world) as client:
        for path in ("/v1/customers/1", "/v1/customers/2", "/nowhere/1"):
            await client.get(path)
        answer = await client.get("/metrics")
        text = await answer.text()

    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert 'rapport_lag_seconds{shard="1",topic="orders"} 1.5' in text
    assert (
        'rapport_http_request_seconds_count{method="GET",route="/v1/customers/{id}",status="404"}'
        " 2.0" in text
    )
    assert 'route="other",status="404"} 1.0' in text
    assert "nowhere" not in text


async def test_it_listens_where_it_was_told_and_ends_when_told() -> None:
    """Port 0 asks the system; the answer says which it was."""
    runner, address = await serve(application(World().ports(), LOOPBACK, None), LOOPBACK)
    try:
        async with ClientSession() as session:
            answer = await session.get(f"http://{address.host}:{address.port}/livez")
            assert answer.status == 200
            with pytest.raises(OSError, match="address already in use"):
                await serve(
                    application(World().ports(), LOOPBACK, None),
                    Address(address.host, address.port),
                )
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("begun", [b"", b"GET /livez HTTP/1.1\r\nHost: a"])
async def test_who_never_finishes_asking_is_closed(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else 512 callers who say nothing keep everybody else out, for as long as they like."""
    monkeypatch.setattr(web_module, "IDLE_SECONDS_MAX", 0.05)
    runner, address = await serve(application(World().ports(), LOOPBACK, None), LOOPBACK)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(begun)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
    finally:
        writer.close()
        await runner.cleanup()


async def test_when_it_is_full_who_has_long_said_nothing_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """512 callers who say nothing must not keep the probe out: the process would be restarted for them."""
    monkeypatch.setattr(web_module, "CONNECTIONS_MAX", 2)
    runner, address = await serve(application(World().ports(), LOOPBACK, None), LOOPBACK)
    callers = []
    try:
        for begun in (b"", b"GET /li", b"GET /livez HTTP/1.0\r\n\r\n"):
            callers.append(await asyncio.open_connection(address.host, address.port))
            callers[-1][1].write(begun)
        async with asyncio.timeout(10):
            assert (await callers[2][0].readline()).split()[1] == b"200"
            assert await callers[0][0].read() == b""
            callers[1][1].write(b"vez HTTP/1.0\r\n\r\n")
            assert (await callers[1][0].readline()).split()[1] == b"200"
    finally:
        for _, writer in callers:
            writer.close()
        await runner.cleanup()


async def test_who_comes_when_all_are_being_answered_is_turned_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand callers took every descriptor, and webhooks and Redis had none."""
    monkeypatch.setattr(web_module, "CONNECTIONS_MAX", 2)
    runner, address = await serve(application(World().ports(), LOOPBACK, None), LOOPBACK)
    begun = (
        b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    callers = []
    try:
        async with asyncio.timeout(10):
            for _ in range(2):
                callers.append(await asyncio.open_connection(address.host, address.port))
                callers[-1][1].write(begun)
                assert b"100" in await callers[-1][0].readline()  # the answer has begun
            callers.append(await asyncio.open_connection(address.host, address.port))
            assert await callers[2][0].read() == b""
            callers[1][1].write(b"[]")
            assert (await callers[1][0].readuntil(b"HTTP/1.1 4")) != b""
    finally:
        for _, writer in callers:
            writer.close()
        await runner.cleanup()
