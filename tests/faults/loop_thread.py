"""An event loop in a thread of its own, for servers of experiments that have no loop."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import TypeVar

Result = TypeVar("Result")


class LoopThread:
    """Started and stopped once; in between, `do` may be called from any other thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def do(
        self, work: Coroutine[object, object, Result], seconds_max: float | None = None
    ) -> Result:
        """What comes of the work, done in the thread. Raises TimeoutError after so long."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds_max)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
