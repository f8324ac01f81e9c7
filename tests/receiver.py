"""A webhook receiver on loopback that behaves as badly as it is told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came in, and what is to be done next; `otherwise` once `next` is used up."""

    received: list[Received] = field(default_factory=list)
    next: list[Behaviour] = field(default_factory=list)
    otherwise: Behaviour = field(default_factory=lambda: answer(204))
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    connections: set[object] = field(default_factory=set)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.connections.add(request.transport)
        self.received.append(Received(request.path, dict(request.headers), body))
        self.arrived.set()
        behaviour = self.next.pop(0) if self.next else self.otherwise
        return await behaviour(request)


@asynccontextmanager
async def running_receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application(client_max_size=1 << 20)
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    server = TestServer(app, host="127.0.0.1", handler_cancellation=True)
    await server.start_server()
    assert server.port is not None
    receiver.port = server.port
    try:
        yield receiver
    finally:
        await server.close()


def answer(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Behaviour:
    async def behave(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers=headers, body=body)

    return behave


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets this event")


async def reset(request: web.Request) -> web.StreamResponse:
    """End the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def close_in_body(status: int) -> Behaviour:
    """Promise a thousand bytes, send ten, and end the connection."""

    async def behave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"0123456789")
        assert request.transport is not None
        request.transport.close()
        return response

    return behave


async def talk_for_ever(request: web.Request) -> web.StreamResponse:
    """Answer 200 with a body that has no end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 4096)


async def hang_in_body(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "10"})
    await response.prepare(request)
    await response.write(b"01234")
    await asyncio.Event().wait()
    raise AssertionError("nobody sets this event")
