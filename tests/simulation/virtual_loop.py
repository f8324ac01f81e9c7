"""An event loop whose time passes only when nothing else can happen.

Promise   The same callbacks give the same order and the same times, on every machine.
How       asyncio's own loop on a selector that, instead of waiting, moves the time on.
Limits    No sockets, no threads, no signals.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from streams.clock import SystemClock

START_MS: Final = 1_714_564_796_000  # four seconds before noon, UTC


class _Selector:
    """Stands where the system's would; nothing ever becomes readable."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def select(self, timeout: float | None) -> list[Any]:
        assert timeout is not None, "everybody waits for what cannot come"
        if timeout > 0:
            self.now_s += timeout
        return []

    def close(self) -> None:
        """Nothing was opened."""


class VirtualLoop(asyncio.BaseEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._selector = _Selector()
        self.failures: list[str] = []
        self.set_exception_handler(self._note)

    def time(self) -> float:
        return self._selector.now_s

    @property
    def now_ms(self) -> int:
        return round(self._selector.now_s * 1_000)

    async def pass_ms(self, delay_ms: int) -> None:
        """Let so much time pass for whoever calls."""
        passed = self.create_future()

        def end() -> None:
            if not passed.done():  # nobody waits any more
                passed.set_result(None)

        self.call_later(delay_ms / 1_000, end)
        await passed

    def _note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list, "there are no files here"

    def _write_to_self(self) -> None:
        """Nobody waits in a system call, so nobody is to be woken."""


class SkewedClock(SystemClock):
    """The wall clock of one process: the loop's time, wrong by `skew_ms`, which may jump."""

    def __init__(self, loop: VirtualLoop, skew_ms: Callable[[], int]) -> None:
        self._loop = loop
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        return START_MS + self._loop.now_ms + self._skew_ms()
