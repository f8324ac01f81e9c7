"""The far side of webhooks: takes, refuses, takes and does not say so, hangs.

Promise   Remembers each id with the bytes that it came with, and how often.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from rules.action import Action
from sinks import payload
from sinks.retry import Policy
from sinks.sink import Delivered, Receipt, RetryAfter
from streams.lane import Destination
from tests.simulation.chance import Chance
from tests.simulation.virtual_loop import VirtualLoop
from tests.simulation.wire import Owner

LATENCY_MS_MAX: Final = 30
HANGS_MS: Final = 1_500
POLICY: Final = Policy((0, 50, 200, 500, 1_000, 1_000, 1_000, 1_500, 1_500, 2_000, 2_000, 2_000))

Note = Callable[..., None]


@dataclass(slots=True)
class MemoryReceiver:
    loop: VirtualLoop
    chance: Chance
    note: Note
    accuse: Callable[[str], None]
    bodies: dict[str, bytes] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    committed: set[str] = field(default_factory=set)
    """Ids that were ever committed."""
    early: set[str] = field(default_factory=set)
    """Of these, what a clock that was fast has had a hand in: another history may decide otherwise."""

    def destination(self, owner: Owner) -> Callable[[str, str], Destination]:
        def destination(_kind: str, name: str) -> Destination:
            return Destination(_Hook(self, owner, name), name, POLICY)

        return destination

    def take(self, action_id: str, body: bytes) -> None:
        if action_id not in self.committed:
            self.accuse(f"action {action_id} is delivered, and was never committed")
        if self.bodies.setdefault(action_id, body) != body and action_id not in self.early:
            self.accuse(f"action {action_id} comes again with other bytes")
        if msgspec.json.decode(body)["data"]["action_id"] != action_id:
            self.accuse(f"action {action_id} has another id in its body")
        self.counts[action_id] += 1


@dataclass(slots=True)
class _Hook:
    """The sink of one endpoint, in one process."""

    receiver: MemoryReceiver
    owner: Owner
    name: str

    def body(self, action: Action) -> bytes:
        return payload.body(action)

    async def deliver(self, action: Action, body: bytes) -> Receipt:
        receiver, chance, owner = self.receiver, self.receiver.chance, self.owner
        await owner.thawed()
        fault = chance.at(chance.delivery)
        if fault == "crash" and chance.coin():
            await self._die("dies before it delivers", action)
        await receiver.loop.pass_ms(chance.random.randint(0, LATENCY_MS_MAX))
        await owner.thawed()
        if fault == "hangs":
            await receiver.loop.pass_ms(HANGS_MS)
            return RetryAfter("no answer in time")
        if fault == "refused":
            return RetryAfter("HTTP 500")
        if fault == "slow down":
            return RetryAfter("HTTP 429", delay_ms=chance.random.randint(0, 1_000), slows=True)
        receiver.take(action.id, body)
        receiver.note(owner.name, "delivers", self.name, action.id, action.cause)
        if fault == "crash":
            await self._die("dies before it hears of the delivery", action)
        if fault == "taken, not said":
            return RetryAfter("the connection was reset")
        await receiver.loop.pass_ms(chance.random.randint(0, LATENCY_MS_MAX))
        await owner.thawed()
        return Delivered("HTTP 204")

    async def _die(self, how: str, action: Action) -> None:
        self.receiver.note(self.owner.name, how, action.id)
        self.owner.die()
        await asyncio.Event().wait()
