"""An inbox: a webhook receiver that remembers each action it has taken, and how often.

Promise   `taken` has every id that was answered with 204, its cause, and whether a repeat was ever
          of other bytes. Which ids are refused at first depends on the ids alone.
How       An event loop in a thread of its own, on loopback. One id in REFUSED_ONE_IN is answered with
          500 the first time it comes, so that waiting for another attempt is part of the way.
Not here  Receivers that hang, reset or lie (tests/receiver.py).
"""

import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from aiohttp import web

from tests.faults.loop_thread import LoopThread

REFUSED_ONE_IN: Final = 10
STOP_SECONDS_MAX: Final = 10.0

Cause = tuple[str, str, str]
"""Customer, rule, event id: what an action stands for."""


class Inbox:
    """Read it when nothing more is on its way, or be content with a moment ago."""

    def __init__(self) -> None:
        self.port = 0
        self.taken: Counter[str] = Counter()  # by id, how often
        self.causes: dict[str, Cause] = {}
        self.altered: list[str] = []  # ids whose repeat was not the same bytes
        self._bodies: dict[str, bytes] = {}
        self._thread = LoopThread()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def delivered(self) -> Counter[Cause]:
        """How many ids there are of each cause: more than one is an action too many."""
        return Counter(self.causes[each] for each in list(self.taken))

    @property
    def repeated(self) -> int:
        return self.taken.total() - len(self.taken)

    def start(self) -> None:
        self._thread.start()
        self._thread.do(self._listen(), STOP_SECONDS_MAX)

    def stop(self) -> None:
        self._thread.do(self._end(), STOP_SECONDS_MAX)
        self._thread.stop()

    async def _listen(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self._came)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def _end(self) -> None:
        assert self._runner is not None, "started"
        await self._runner.cleanup()

    async def _came(self, request: web.Request) -> web.Response:
        name, body = request.headers["webhook-id"], await request.read()
        is_first = name not in self._bodies
        if self._bodies.setdefault(name, body) != body:
            self.altered.append(name)
        if is_first and zlib.crc32(name.encode()) % REFUSED_ONE_IN == 0:
            return web.Response(status=500)
        data = msgspec.json.decode(body)["data"]
        self.causes[name] = (data["customer_id"], data["rule"], data["cause"])
        self.taken[name] += 1
        return web.Response(status=204)


@contextmanager
def running_inbox() -> Iterator[Inbox]:
    made = Inbox()
    made.start()
    try:
        yield made
    finally:
        made.stop()
