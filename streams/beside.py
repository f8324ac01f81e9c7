"""Work beside a block: tasks that live as long as it does, and whose faults are not lost.

Promise   A task that fails is told at once; a task that is still there at the block's end is cancelled
          and waited for.
Not here  Tasks that end the block by themselves.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

Failed: TypeAlias = Callable[[BaseException], None]
"""Is told of a fault that must end the process."""


@asynccontextmanager
async def beside(failed: Failed, *works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do these works, each as a task, as long as the block lasts."""
    tasks = [asyncio.create_task(work) for work in works]
    for task in tasks:
        task.add_done_callback(partial(_told, failed))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _told(failed: Failed, done: "asyncio.Task[None]") -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        failed(error)
