"""Relaying: a relay with all that it needs, for as long as a block lasts.

Promise   Inside the block the relay works; at its end what is under way gets GRACE_MS to end, and what
          is missing is found in the outbox by the next relay. A relay that fails ends the process.
How       Destinations, receipts and the relay's task, opened and closed in order. Changes of deliveries
          become metrics.
Limits    OFFERED_MAX actions whose commit times are remembered, to tell how long delivery took;
          the oldest are forgotten first, such as those of shards that others own by now.
Not here  The relay itself: relay.py. Which process has one: up.py, worker.py, lone_relay.py.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from rules.action import Action
from streams.beside import Failed, beside
from streams.clock import Clock
from streams.delivery import Delivery, Status
from streams.endpoints import ENDPOINT_KINDS, Outside, open_destinations
from streams.metrics import Metrics
from streams.receipts_redis import RedisReceipts
from streams.relay import Relay
from streams.settings import Endpoint

GRACE_MS: Final = 500
OBSERVE_SECONDS: Final = 1.0
OFFERED_MAX: Final = 50_000
ENDPOINT_LANES: Final = tuple(f"{kind}:" for kind in ENDPOINT_KINDS)

# The words of the metric for what became of an attempt.
RESULTS: Final[Mapping[Status, str]] = {
    "delivered": "delivered",
    "retrying": "retry",
    "rejected": "rejected",
    "given_up": "expired",
    "disabled": "rejected",
    "stale": "stale",
    "withheld": "withheld",
    "overtaken": "overtaken",
}

# What an endpoint has failed at; what is disabled was mostly not tried.
FAILED: Final[frozenset[Status]] = frozenset({"retrying", "rejected", "given_up"})

Changed = Callable[[Delivery], None]


@dataclass(frozen=True, slots=True)
class Means:
    """What a relay works with."""

    store: str  # the URL of Redis
    endpoints: Mapping[str, Endpoint]
    outside: Outside
    clock: Clock
    metrics: Metrics
    changed: Changed = lambda _delivery: None  # told of each change of a delivery, besides metrics


class Timed:
    """Passes on to the relay what shards tell, and remembers when each action was committed."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._offered: OrderedDict[str, int] = OrderedDict()  # each call of it is atomic
        self._made: Relay | None = None

    def claimed(self, number: int, nonce: str, last: int) -> None:
        self.relay.claimed(number, nonce, last)

    def released(self, number: int) -> None:
        self.relay.released(number)

    def offer(self, number: int, sequence: int, actions: Sequence[Action]) -> None:
        now_ms = self._means.clock.now_ms()
        for action in actions:
            self._offered[action.id] = now_ms
            if len(self._offered) > OFFERED_MAX:
                self._offered.popitem(last=False)
        self.relay.offer(number, sequence, actions)

    @property
    def relay(self) -> Relay:
        assert self._made is not None, "it is there before the first claim"
        return self._made

    @relay.setter
    def relay(self, made: Relay) -> None:
        self._made = made

    def changed(self, delivery: Delivery) -> None:
        """Count a change; called in the loop."""
        metrics, result = self._means.metrics, RESULTS.get(delivery.status)
        if result is not None:
            metrics.action(result, delivery.target.kind)
        if delivery.status in FAILED and delivery.target.name in self._means.endpoints:
            metrics.endpoint_failed(delivery.target.name)
        if delivery.status != "pending":
            offered_ms = self._offered.pop(delivery.id, None)
            if delivery.status == "delivered" and offered_ms is not None:
                metrics.delivered([delivery.updated_ms - offered_ms])
        self._means.changed(delivery)

    async def rest(self) -> None:
        """Begin nothing more; record what is under way, GRACE_MS at most.

        For who is about to give up its shards: once they have another owner nothing of it can be
        recorded, so that it would be delivered again.
        """
        await self.relay.close(GRACE_MS)

    async def observe(self) -> None:
        """Tell what the relay has before it, each second."""
        while True:
            now_ms = self._means.clock.now_ms()
            shards = list(self.relay.shards.values())
            taken_ms = [parcel.taken_ms for shard in shards for parcel in shard.held.values()]
            self._means.metrics.relay(
                queued=len(taken_ms) + sum(shard.waiting_count for shard in shards),
                oldest_ms=now_ms - min(taken_ms, default=now_ms),
            )
            self.observe_lanes(now_ms)
            await asyncio.sleep(OBSERVE_SECONDS)

    def observe_lanes(self, now_ms: int) -> None:
        """Tell how endpoints are, and how many actions wait for the rate of each."""
        every = self.relay.dispatch.lanes.values()
        lanes = [each for each in every if each.name.startswith(ENDPOINT_LANES)]
        self._means.metrics.endpoints(lane.breaker.state for lane in lanes)
        paced = {name: 0 for name, each in self._means.endpoints.items() if each.rate is not None}
        for lane in lanes:
            name = lane.name.partition(":")[2]
            if name in paced:
                paced[name] += lane.paced_count(now_ms)
        self._means.metrics.paced(paced)


@asynccontextmanager
async def open_relay(means: Means, failed: Failed) -> AsyncIterator[Timed]:
    """A relay that works as long as the block lasts.

    Args:
        means: what it works with.
        failed: told when the relay ends by a fault, which must end the process.

    Raises:
        SecretError: A secret cannot be used.
    """
    timed = Timed(means)
    receipts = RedisReceipts(means.store)
    async with open_destinations(means.endpoints, means.outside) as destinations:
        relay = timed.relay = Relay(receipts, destinations, means.clock, timed.changed)
        try:
            async with beside(failed, relay.run(), timed.observe()):
                try:
                    yield timed
                finally:
                    await timed.rest()
        finally:
            await receipts.close()
