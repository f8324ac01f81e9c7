"""A webhook receiver that behaves as badly as it is told to, and knows what it has been asked.

Promise   Each request is answered in one of five ways: whole, not at all, by a reset, or with a body
          that breaks off; `ended_s` says when we were done with it, or the caller gave up.
How       HTTP/1.1 on a loopback port, one loop in a thread of its own. Written against the sockets,
          because no server library resets a connection or cuts a body on demand.
Limits    Requests with a Content-Length, one after the other on a connection.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, cast

from tests.faults.loop_thread import LoopThread

SECONDS_MAX: Final = 10.0
Way = Literal["whole", "hang", "reset", "cut"]

_HEAD_END: Final = b"\r\n\r\n"
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close at once, with a reset
_CUT: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789"


@dataclass(frozen=True, slots=True)
class Answer:
    way: Way = "whole"
    status: int = 204
    headers: str = ""
    """Lines, each with its end."""
    after_s: float = 0.0

    @property
    def takes(self) -> bool:
        """Whether the caller is told that we have it."""
        return self.way == "whole" and 200 <= self.status <= 299


@dataclass(slots=True)
class Request:
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    came_s: float
    """By time.monotonic(), as `ended_s`."""
    ended_s: float | None = None


class Receiver:
    """Asks `answer` about each request, in its own thread."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self.port = 0
        self._answer = answer
        self._thread = LoopThread()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        self._thread.start()
        self.port = self._thread.do(self._open(), SECONDS_MAX)

    def stop(self) -> None:
        self._thread.do(self._close(), SECONDS_MAX)
        self._thread.stop()

    async def _open(self) -> int:
        self._talks: set[_Talk] = set()
        made = partial(_Talk, self._answer, self._talks)  # one a connection
        self._server = await self._thread.loop.create_server(made, "127.0.0.1", 0, backlog=1024)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _close(self) -> None:
        self._server.close()
        for talk in list(self._talks):
            talk.transport.abort()
        await self._server.wait_closed()


class _Talk(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self, answer: Callable[[Request], Answer], talks: "set[_Talk]") -> None:
        self._answer = answer
        self._talks = talks
        self._data = b""
        self._open: Request | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._talks.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._talks.discard(self)
        self._end()

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (request := self._next()) is not None:
            self._open = request
            self._say(self._answer(request))

    def _next(self) -> Request | None:
        """The next whole request, if there is one."""
        head, end, rest = self._data.partition(_HEAD_END)
        if not end:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = int(headers["content-length"])
        if len(rest) < length:
            return None
        self._data = rest[length:]
        return Request(first.split(" ")[1], headers, rest[:length], time.monotonic())

    def _say(self, answer: Answer) -> None:
        if answer.way == "whole":
            length = "" if answer.status == 204 else "Content-Length: 0\r\n"
            text = f"HTTP/1.1 {answer.status} So\r\n{length}{answer.headers}\r\n".encode()
            if answer.after_s:
                asyncio.get_running_loop().call_later(answer.after_s, self._write, text)
            else:
                self._write(text)
        elif answer.way == "reset":
            plain: socket.socket = self.transport.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()
        elif answer.way == "cut":
            self._write(_CUT)
            self.transport.close()
        else:
            assert answer.way == "hang"

    def _write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)
        self._end()

    def _end(self) -> None:
        if self._open is not None:
            self._open.ended_s = time.monotonic()
            self._open = None


@contextmanager
def bad_receiver(answer: Callable[[Request], Answer]) -> Iterator[Receiver]:
    """A receiver that listens as long as the block lasts."""
    receiver = Receiver(answer)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
