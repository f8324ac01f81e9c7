"""A webhook receiver that goes away and comes back at the same address, as often as it is told to.

Promise   `taken` has what was answered with 204: how often each id came. While it is away, connections
          are refused, and those that stand are cut.
How       On loopback, by a loop in a thread (loop_thread.py).
Not here  Receivers that hang, reset or lie (tests/receiver.py).
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from aiohttp import web

from tests.faults.loop_thread import LoopThread
from tests.integration.free_port import free_port

STOP_SECONDS_MAX = 10.0

Cause = tuple[str, str, str]
"""Customer, rule, event id: what an action stands for."""


class Door:
    """Call it from any one thread; read `taken` and `causes` at any time."""

    def __init__(self, *, keeps_causes: bool = True) -> None:
        self.port = free_port()
        self.taken_count = 0
        self.taken: Counter[str] = Counter()  # by id
        self.causes: dict[str, Cause] = {}
        self._keeps_causes = keeps_causes
        self._thread = LoopThread()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def come(self) -> None:
        """Answer from now on."""
        self._thread.do(self._come(), STOP_SECONDS_MAX)

    def go(self) -> None:
        """Be away from now on."""
        self._thread.do(self._go(), STOP_SECONDS_MAX)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.go()
        self._thread.stop()

    async def _come(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self._knocked)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def _go(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _knocked(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.taken_count += 1
        if self._keeps_causes:
            data = msgspec.json.decode(body)["data"]
            name = request.headers["webhook-id"]
            self.causes[name] = (data["customer_id"], data["rule"], data["cause"])
            self.taken[name] += 1
        return web.Response(status=204)


@contextmanager
def door(*, keeps_causes: bool = True) -> Iterator[Door]:
    """A receiver that is there; gone with the block."""
    made = Door(keeps_causes=keeps_causes)
    made.start()
    try:
        made.come()
        yield made
    finally:
        made.stop()
