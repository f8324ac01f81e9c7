"""`rapport …` with retries after parts of a second instead of hours. Run as a script.

What runs is the installed command line; only the schedule of attempts, the time of one, and how long a
failing endpoint is left alone differ, for which the product has no setting. The last of these matters in
the end, when only actions are left that nobody will ever take: each attempt opens the breaker again.
With `naive` as the first word a worker delivers as one would without thinking of deaths: each action is
posted once it is committed, from memory; what fails is posted again at once, as a new message.
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import msgspec

from rules.action import Action
from sinks import breaker
from sinks.retry import Policy
from sinks.sink import RetryAfter
from streams import lone_relay, worker
from streams.beside import Failed
from streams.cli import main
from streams.endpoints import Destinations, Outside, open_destinations
from streams.relaying import Means

SOON = Policy((0, 100, 200, 400, 600, 800, 1_000, 1_500, 2_000, 2_500))
TIMEOUT_MS = 5_000  # half of the product's, which few attempts here need
OPEN_MS_MAX = 2_000  # a minute in the product, whose attempts are hours apart by then
NAIVE_ATTEMPTS = 3
NAIVE_AT_ONCE = 64


class FireAndForget:
    """Posts what is committed, and remembers nothing."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(NAIVE_AT_ONCE)

    def claimed(self, number: int, nonce: str, last: int) -> None:
        """What the former owner had in hand is gone."""

    def released(self, number: int) -> None:
        """Nothing is kept by shard."""

    def offer(self, number: int, sequence: int, actions: Sequence[Action]) -> None:
        del number, sequence
        self._loop.call_soon_threadsafe(self._fire, actions)

    async def rest(self) -> None:
        """What is under way goes down with us."""

    def _fire(self, actions: Sequence[Action]) -> None:
        for action in actions:
            task = self._loop.create_task(self._post(action))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _post(self, action: Action) -> None:
        sink = self._destinations(action.target.kind, action.target.name).sink
        async with self._turn:
            for _ in range(NAIVE_ATTEMPTS):
                receipt = await sink.deliver(action, sink.body(action))
                if not isinstance(receipt, RetryAfter):
                    return
                action = msgspec.structs.replace(action, id=f"act_{uuid.uuid4().hex}")


@asynccontextmanager
async def open_naive(means: Means, _failed: Failed) -> AsyncIterator[FireAndForget]:
    async with open_destinations(means.endpoints, means.outside) as destinations:
        yield FireAndForget(destinations)


if __name__ == "__main__":
    outside = partial(Outside, policy=SOON, timeout_ms=TIMEOUT_MS)
    vars(breaker)["OPEN_MS_MAX"] = OPEN_MS_MAX
    vars(worker)["Outside"] = vars(lone_relay)["Outside"] = outside
    if sys.argv[1] == "naive":
        sys.argv.pop(1)
        vars(worker)["open_relay"] = open_naive
    main()
