"""Back-filling over HTTP talks to the very gateway that is served, so the two cannot drift apart."""

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from processors.event import Event
from streams.appender import AppendError, AppendRefusedError
from streams.gateway_appender import GatewayAppender
from tests.corpus import record
from tests.streams.web_fakes import World, opened


def records(*ids: str) -> list[tuple[Event, bytes]]:
    values = [record(id=each) for each in ids]
    return [
        (Event(each, "click", "view", "c", 0), value)
        for each, value in zip(ids, values, strict=True)
    ]


async def test_what_is_appended_is_in_the_gateways_log() -> None:
    """In order, with the bytes as they were."""
    world, sent = World(), records("1", "2", "3")
    async with opened(world) as client:
        appender = GatewayAppender(client.session, str(client.make_url("")))

        assert await appender.append([]) == ()
        assert await appender.append(sent) == []

    assert [value for _, value in world.log.records] == [value for _, value in sent]


async def test_what_the_gateway_rejects_is_told_by_its_place() -> None:
    """The back-fill turns the place into the number of a row."""
    world = World()
    world.log.refuses = {"2"}
    async with opened(world) as client:
        appender = GatewayAppender(client.session, str(client.make_url("/")))

        some = await appender.append(records("1", "2", "3"))
        all_of_them = await appender.append(records("2"))

    assert [(each.index, each.reason) for each in some] == [(1, "log")]
    assert [(each.index, each.reason) for each in all_of_them] == [(0, "log")]
    assert [event.id for event, _ in world.log.records] == ["1", "3"]


async def test_a_log_that_is_down_or_full_asks_to_try_again() -> None:
    """The events are not durable, and will be when the log is back."""
    world = World()
    async with opened(world) as client:
        appender = GatewayAppender(client.session, str(client.make_url("")))

        world.log.fails = True
        with pytest.raises(AppendError, match="503"):
            await appender.append(records("1"))
        world.log.fails, world.log.capacity = False, 0
        with pytest.raises(AppendError, match="full"):
            await appender.append(records("1"))


async def test_a_gateway_that_is_not_there_asks_to_try_again() -> None:
    """It may be restarting."""
    server = TestServer(web.Application())
    await server.start_server()
    url = str(server.make_url(""))
    await server.close()

    async with ClientSession() as session:
        with pytest.raises(AppendError, match=url):
            await GatewayAppender(session, url).append(records("1"))
        with pytest.raises(AppendRefusedError, match="no URL"):
            await GatewayAppender(session, "nonsense").append(records("1"))


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (502, b"<html>", AppendError),
        (200, b"<html>", AppendRefusedError),
        (200, b"\xff", AppendRefusedError),
        (404, b'{"detail":"nothing here"}', AppendRefusedError),
        (401, b'{"title":"Unauthorized"}', AppendRefusedError),
        (200, b'{"rejected":[{"index":1,"reason":"x"}]}', AppendRefusedError),
        (302, b"", AppendRefusedError),
    ],
)
async def test_other_answers_are_never_taken_for_success(
    status: int, body: bytes, error: type[Exception]
) -> None:
    """Any web server may be at the address; only the gateway's own words say durable."""

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer let-me-in"
        return web.Response(status=status, body=body)

    application = web.Application()
    application.router.add_post("/v1/events", answer)
    world = World()
    async with TestServer(application) as server, opened(world) as client:
        appender = GatewayAppender(client.session, str(server.make_url("")), "let-me-in")

        with pytest.raises(error):
            await appender.append(records("1"))


async def test_the_gateway_is_asked_for_a_customer_by_any_name() -> None:
    """Ids are the shop's own, with slashes and all."""
    world = World()
    world.store.views["a/b c?ü"] = b"{}"
    async with opened(world) as client:
        appender = GatewayAppender(client.session, str(client.make_url("")))

        assert await appender.knows("a/b c?ü")
        assert not await appender.knows("a")
        world.store.fails = True
        with pytest.raises(AppendError, match="503"):
            await appender.knows("a")
