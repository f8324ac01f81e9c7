"""Deliveries: who delivers what was committed is told which shards are ours, and of each commit.

Promise   Told of a claim before the shard's first commit, and of its end before anybody's next claim
          by this process.
How       The claim is wrapped. The relay is one that is told; a worker without a relay tells nobody.
Not here  Delivering (relay.py).
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from rules.action import Action
from streams.ownership import Claim, HeldShard
from streams.shard import Shard


class Deliveries(Protocol):
    """Who delivers; called from the thread that owns the shards, but for `rest`."""

    def claimed(self, number: int, nonce: str, last: int) -> None:
        """The shard is ours; `nonce` and `last`, the newest outbox sequence, are its fence's."""

    def released(self, number: int) -> None:
        """The shard is no longer ours."""

    def offer(self, number: int, sequence: int, actions: Sequence[Action]) -> None:
        """These actions are committed as this outbox entry of the shard."""

    async def rest(self) -> None:
        """The shards are about to be given up: begin nothing more, and record what is under way."""


class NoDeliveries:
    """For a worker without a relay: another process finds the actions in the outbox."""

    def claimed(self, number: int, nonce: str, last: int) -> None:
        """Nobody to tell."""

    def released(self, number: int) -> None:
        """Nobody to tell."""

    def offer(self, number: int, sequence: int, actions: Sequence[Action]) -> None:
        """Nobody to tell."""

    async def rest(self) -> None:
        """Nothing is under way."""


def telling(claim: Callable[[int, int, bool], Shard], deliveries: Deliveries) -> Claim:
    """Claim as `claim` does, and tell."""

    def claimed(number: int, generation: int, forced: bool) -> HeldShard:  # noqa: FBT001  as ownership.Claim has it
        shard = claim(number, generation, forced)
        deliveries.claimed(number, shard.fence.nonce, shard.fence.outbox)
        return _TellingShard(shard, deliveries)

    return claimed


class _TellingShard:
    def __init__(self, shard: Shard, deliveries: Deliveries) -> None:
        self._shard = shard
        self._deliveries = deliveries
        self.is_full = shard.is_full
        self.look = shard.look
        self.step = shard.step
        self.fire = shard.fire

    @property
    def offsets(self) -> dict[str, str]:
        return self._shard.offsets

    @property
    def due_ms(self) -> int | None:
        return self._shard.due_ms

    def close(self) -> None:
        self._deliveries.released(self._shard.number)
        self._shard.close()
