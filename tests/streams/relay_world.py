"""A world for the relay: a clock that is moved by hand, receipts in memory, sinks that obey."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from rules.action import Action
from sinks import payload
from sinks.memory import MemorySink
from sinks.nowhere import NowhereSink
from sinks.sink import Receipt, Sink
from streams.clock import ManualClock
from streams.delivery import Delivery
from streams.lane import Destination
from streams.receipts_memory import MemoryReceipts
from streams.relay import Relay
from streams.token_bucket import TokenBucket
from tests.actions import AT_MS, action

DAY_MS = 86_400_000
ROUNDS = 60  # of the event loop: more than any chain of callbacks here is long


@dataclass
class World:
    """All that outlives a relay."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(AT_MS))
    receipts: MemoryReceipts = field(default_factory=MemoryReceipts)
    sinks: dict[str, Sink] = field(default_factory=dict)
    changes: list[Delivery] = field(default_factory=list)
    queue_max: int = 1_000
    rates: dict[str, tuple[float, int]] = field(default_factory=dict)  # a second, and burst
    buckets: dict[str, TokenBucket] = field(default_factory=dict)  # of the relay that runs
    sequence: int = 0

    def destination(self, kind: str, name: str) -> Destination:
        sink = self.sinks.get(name, NowhereSink(f"there is no endpoint {name}"))
        bucket = self.buckets.get(name)
        return Destination(sink, f"{kind}:{name}", queue_max=self.queue_max, bucket=bucket)

    def commit(self, relay: Relay | None, actions: Iterable[Action]) -> None:
        """What a shard does: store the entry, then tell the relay if there is one."""
        self.sequence += 1
        self.receipts.shards[0].outbox[self.sequence] = list(actions)
        if relay is not None:
            relay.offer(0, self.sequence, self.receipts.shards[0].outbox[self.sequence])

    @asynccontextmanager
    async def relay(self, nonce: str = "ours") -> AsyncIterator[Relay]:
        """A relay that has claimed shard 0; the end of the block is a crash."""
        self.receipts.shards[0].nonce = nonce
        self.buckets = {name: TokenBucket(*rate) for name, rate in self.rates.items()}
        relay = Relay(self.receipts, self.destination, self.clock, self.changes.append)
        running = asyncio.create_task(relay.run())
        relay.claimed(0, nonce, self.sequence)
        await settled()
        try:
            yield relay
        finally:
            running.cancel()
            for task in list(relay.dispatch.attempts):
                task.cancel()
            await asyncio.gather(running, *relay.dispatch.attempts, return_exceptions=True)

    async def later(self, delay_ms: int) -> None:
        self.clock.advance(delay_ms)
        await settled()

    async def run_until(self, is_done: Callable[[], bool], steps_max: int = 2_000) -> None:
        """Go from one awaited time to the next."""
        for _ in range(steps_max):
            if is_done():
                return
            next_ms = self.clock.next_ms()
            assert next_ms is not None
            await self.later(max(1, next_ms - self.clock.now_ms()))
        raise AssertionError("it never came to that")

    def status(self, number: int) -> str:
        return self.receipts.shards[0].actions[action(number).id].status

    @property
    def is_settled(self) -> bool:
        shard = self.receipts.shards[0]
        return not shard.outbox and not shard.waiting


async def settled() -> None:
    for _ in range(ROUNDS):
        await asyncio.sleep(0)


class HangingSink:
    """Never answers; counts who waits."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def body(self, action: Action) -> bytes:
        return payload.body(action)

    async def deliver(self, action: Action, body: bytes) -> Receipt:
        self.bodies.append(body)
        assert action.id.encode() in body
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")


class SwitchedSink(MemorySink):
    """Answers what it is switched to."""

    def __init__(self, receipt: Receipt) -> None:
        self.receipt: Receipt = receipt
        super().__init__(self.receipt for _ in count())
