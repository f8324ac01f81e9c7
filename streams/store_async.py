"""The store for asyncio: one connection that many tasks share.

Promise   As store.py: a command is sent at most once, and StoreDownError says that it is not known
          what became of it.
How       Each request is one write; replies come back in the order of requests, so nobody waits for
          his turn, and Redis makes all that came in together durable with one fsync.
Limits    REQUESTS_MAX requests under way, REPLY_SECONDS_MAX a reply. One event loop.
Not here  Commands that change the connection's state: WATCH, MULTI, SELECT, blocking ones.
"""

import asyncio
import ssl
from collections import deque
from typing import Final

import hiredis

from streams.errors import StoreDownError, StoreError
from streams.packing import pack
from streams.store import (
    CONNECT_SECONDS_MAX,
    REPLY_SECONDS_MAX,
    Command,
    Reply,
    StoreAddress,
    checked,
)

REQUESTS_MAX: Final = 1024


class AsyncConnection:
    """Connects at the first use, and again at the first use after an error."""

    def __init__(self, address: StoreAddress) -> None:
        self.address = address
        self._wire: _Wire | None = None
        self._connecting = asyncio.Lock()

    async def call(self, *command: bytes | str | int) -> Reply:
        """Send one command and await its reply. Raises as `ask` and `checked` do."""
        return checked((await self.ask([command]))[0])

    async def ask(self, commands: list[Command]) -> list[Reply]:
        """Send the commands in one write and await all replies; errors stand in their places.

        Raises:
            StoreDownError: No connection, or it broke, or no reply came in time, or too many wait.
        """
        wire = self._wire
        if wire is None or wire.is_lost:
            wire = await self._connect()
        return await wire.ask(commands)

    async def close(self) -> None:
        if self._wire is not None:
            self._wire.give_up(StoreDownError("connection", "we closed the connection"))
            self._wire = None

    async def _connect(self) -> "_Wire":
        async with self._connecting:
            if self._wire is not None and not self._wire.is_lost:
                return self._wire  # somebody was faster
            loop = asyncio.get_running_loop()
            where = self.address
            context = ssl.create_default_context() if where.tls else None
            try:
                async with asyncio.timeout(CONNECT_SECONDS_MAX):
                    if where.path is not None:
                        _, wire = await loop.create_unix_connection(_Wire, where.path)
                    else:
                        _, wire = await loop.create_connection(
                            _Wire, where.host, where.port, ssl=context
                        )
            except TimeoutError as error:
                raise StoreDownError("timeout", f"{where}: no connection in time") from error
            except OSError as error:
                raise StoreDownError("connection", f"{where}: {error}") from error
            greeting = where.greeting()
            if greeting:
                try:
                    for reply in await wire.ask(greeting):
                        checked(reply)
                except StoreError as error:
                    wire.give_up(StoreDownError("connection", str(error)))
                    raise
            self._wire = wire
            return wire


class _Wire(asyncio.Protocol):
    """One connection's life."""

    def __init__(self) -> None:
        self.is_lost = False
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[int, asyncio.Future[list[Reply]]]] = deque()
        self._replies: list[Reply] = []

    async def ask(self, commands: list[Command]) -> list[Reply]:
        if self._transport is None or self.is_lost:
            raise StoreDownError("connection", "the connection was closed")
        if len(self._waiting) >= REQUESTS_MAX:
            raise StoreDownError("busy", f"{REQUESTS_MAX} requests wait for Redis")
        future: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        self._waiting.append((len(commands), future))
        self._transport.write(pack(commands))
        try:
            async with asyncio.timeout(REPLY_SECONDS_MAX):
                return await future
        except TimeoutError as error:
            down = StoreDownError("timeout", "no reply in time")
            self.give_up(down)
            raise down from error

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "streams are what we asked for"
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        reader, replies = self._reader, self._replies
        reader.feed(data)
        while (reply := reader.gets()) is not False:
            replies.append(reply)
            count, future = self._waiting[0]
            if len(replies) == count:
                self._waiting.popleft()
                # A request that was cancelled has nobody who waits, but its replies still came.
                if not future.done():
                    future.set_result(replies.copy())
                replies.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        words = "Redis closed the connection" if exc is None else str(exc)
        self.give_up(StoreDownError("connection", words))

    def give_up(self, reason: StoreDownError) -> None:
        """Close the connection and tell everybody who waits."""
        self.is_lost = True
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(reason)
        if self._transport is not None:
            self._transport.abort()
