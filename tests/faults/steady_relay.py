"""A relay and a shard that commits actions at a steady rate, to many endpoints. Run as a script.

The relay is the product's, opened as a worker opens it, on a real Redis. What the shard does is what
its commit leaves for the relay: fence and outbox entry in one write, then the offer. With `--one-queue`
all endpoints share a lane, which is how one delivers without thinking of endpoints that hang.
"""

import argparse
import asyncio
import io
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
from rich.console import Console

from rules.action import Action, Target, action_id
from sinks.sink import Receipt
from streams import outbox, relaying
from streams.clock import SystemClock
from streams.delivery import Delivery
from streams.endpoints import Destinations, Outside, open_destinations
from streams.fence import Fence
from streams.keys import Keys
from streams.lane import Destination
from streams.metrics import Metrics
from streams.relaying import Means, open_relay
from streams.settings import Endpoint
from streams.store import StoreAddress
from streams.store_async import AsyncConnection

NONCE = "steady"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def planned(number: int, endpoints: int, busy: int) -> str:
    """The endpoint of the `number`-th action: every fifth is for one of the first `busy` ones."""
    fifth, rest = divmod(number, 5)
    if rest == 0:
        return f"crm-{fifth % busy}"
    return f"crm-{busy + (number - fifth - 1) % (endpoints - busy)}"


def cause_of(number: int) -> str:
    return f"e-{number}"


def made(number: int, name: str) -> Action:
    """The `number`-th action. Its data say when it was committed, by the machine's one clock."""
    customer, cause = f"c-{number}", cause_of(number)
    return Action(
        id=action_id("steady", 1, customer, cause, 0),
        rule="steady",
        version=1,
        customer_id=customer,
        shard=0,
        cause=cause,
        at_ms=time.time_ns() // 1_000_000,
        reason="it goes on and on",
        target=Target("webhook", name, "steady"),
        data={"committed_s": time.monotonic()},
    )


class OneQueue:
    """The sink behind the lane that all endpoints share."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations

    def body(self, action: Action) -> bytes:
        return self._of(action).sink.body(action)

    async def deliver(self, action: Action, body: bytes) -> Receipt:
        return await self._of(action).sink.deliver(action, body)

    def _of(self, action: Action) -> Destination:
        return self._destinations(action.target.kind, action.target.name)


@asynccontextmanager
async def open_one_queue(
    endpoints: Mapping[str, Endpoint], outside: Outside
) -> AsyncIterator[Destinations]:
    async with open_destinations(endpoints, outside) as destinations:
        yield lambda _kind, _name: Destination(OneQueue(destinations), "", outside.policy)


async def commit_all(
    options: argparse.Namespace, deliveries: relaying.Timed, stop: asyncio.Event
) -> None:
    """One action a commit, in time."""
    connection = AsyncConnection(StoreAddress.parse(options.redis))
    fence = Fence(1, NONCE, 1, {})
    keys = Keys.of(0)
    await connection.call("SET", keys.fence, fence.encode())
    deliveries.claimed(0, NONCE, 0)
    began = time.monotonic()
    for number in range(options.count):
        if stop.is_set():
            break
        await asyncio.sleep(began + number / options.rate - time.monotonic())
        fence = msgspec.structs.replace(fence, outbox=number + 1)
        actions = [made(number, planned(number, options.endpoints, options.busy))]
        entry = outbox.encode(actions)
        await connection.call("MSET", keys.fence, fence.encode(), keys.outbox(number + 1), entry)
        deliveries.offer(0, number + 1, actions)
    await connection.close()


async def main(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    clock = SystemClock()
    endpoints = {
        name: Endpoint(name, f"{options.receiver}/{name}", SECRET)
        for name in (f"crm-{number}" for number in range(options.endpoints))
    }
    outside = Outside(clock.now_ms, Console(file=io.StringIO()))
    means = Means(options.redis, endpoints, outside, clock, Metrics("test"))
    failures: list[BaseException] = []
    async with open_relay(means, failures.append) as deliveries:
        await commit_all(options, deliveries, stop)
        await stop.wait()
    if failures:
        raise failures[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("redis")
    parser.add_argument("receiver")
    parser.add_argument("--endpoints", type=int, required=True)
    parser.add_argument("--busy", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--one-queue", action="store_true")
    given = parser.parse_args()
    if given.one_queue:
        Delivery.lane = property(lambda _delivery: "webhook:all")  # type: ignore[method-assign,assignment]  # the naive way
        vars(relaying)["open_destinations"] = open_one_queue
    asyncio.run(main(given))
