"""The clock, so that whatever waits can be tested without waiting.

Promise   `wait` returns when the event is set or the time has come, whichever is first.
How       A Protocol with the system's clock and one that a test or a simulation moves by hand.
Not here  Event time: processors and rules get it handed in with the events.
"""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since 1970, UTC."""

    async def wait(self, event: asyncio.Event, until_ms: int) -> None:
        """Return when the event is set, and at `until_ms` at the latest."""


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def wait(self, event: asyncio.Event, until_ms: int) -> None:
        try:
            async with asyncio.timeout(max(0, until_ms - self.now_ms()) / 1000):
                await event.wait()
        except TimeoutError:
            return


class ManualClock:
    """Stands still until `advance`."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms
        self._waiting: list[tuple[int, asyncio.Event]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def next_ms(self) -> int | None:
        """The earliest time that anybody waits for."""
        return min((until_ms for until_ms, _ in self._waiting), default=None)

    def advance(self, delay_ms: int) -> None:
        self._now_ms += delay_ms
        for until_ms, come in self._waiting:
            if until_ms <= self._now_ms:
                come.set()

    async def wait(self, event: asyncio.Event, until_ms: int) -> None:
        if event.is_set() or until_ms <= self._now_ms:
            return
        come = asyncio.Event()
        mine = (until_ms, come)
        self._waiting.append(mine)
        tasks = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(come.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.remove(mine)
            for task in tasks:
                task.cancel()
