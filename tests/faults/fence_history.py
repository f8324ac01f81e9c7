"""When each fence moved, as seen from outside, while an experiment goes on.

Promise   Every claim and commit that stands in Redis for longer than a look takes is seen, with the
          time of the look; a move is never seen too early.
How       A thread that reads all fences again and again.
Limits    One look each PAUSE_SECONDS, or as soon as this process gets a core.
Not here  Each single move in order, without times (fences.py). A process of its own, for latencies
          below that (fence_watch.py).
"""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
import redis

from tests.faults.beside import beside
from tests.integration.redis_server import RedisServer

PAUSE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Move:
    """A fence that differs from the last look at it."""

    at: float
    """Seconds of the monotonic clock."""
    shard: int
    owner: str
    """The nonce of the claim."""
    commits: int
    outbox: int
    """The last sequence of the outbox."""


@dataclass
class FenceHistory:
    moves: list[Move] = field(default_factory=list)

    def owners(self) -> dict[int, str]:
        """Who owned each shard at the last look."""
        return {move.shard: move.owner for move in list(self.moves)}

    def recovered(self, shard: int, since: float, dead: Collection[str]) -> float | None:
        """When somebody who is not of the dead first committed in a shard; None: not yet."""
        found = (
            each.at
            for each in list(self.moves)
            if each.shard == shard and each.at >= since and each.commits and each.owner not in dead
        )
        return next(found, None)

    def stalls_ms(self, since: float, until: float) -> dict[int, float]:
        """The longest time without a commit that ended within these, by shard."""
        longest: dict[int, float] = {}
        before: dict[int, float] = {}
        for move in list(self.moves):
            if move.at > until:
                break
            if not move.commits:  # a claim is no progress
                continue
            last = before.get(move.shard)
            before[move.shard] = move.at
            if last is not None and move.at >= since:
                stall = (move.at - last) * 1e3
                longest[move.shard] = max(longest.get(move.shard, 0.0), stall)
        return longest

    def look(self, client: redis.Redis, keys: list[str], before: list[bytes | None]) -> None:
        found = client.mget(keys)
        assert isinstance(found, list)
        seen = time.monotonic()
        for shard, fence in enumerate(found):
            if isinstance(fence, bytes) and fence != before[shard]:
                before[shard] = fence
                told = msgspec.json.decode(fence)
                self.moves.append(Move(seen, shard, told["nonce"], told["commits"], told["outbox"]))


@contextmanager
def watching(server: RedisServer, shards: int) -> Iterator[FenceHistory]:
    """The history, as long as the block lasts; Redis must answer all the while."""
    history = FenceHistory()
    keys = [f"rapport:{{{number}}}:fence" for number in range(shards)]
    before: list[bytes | None] = [None] * shards
    with server.client() as client:

        def look() -> None:
            time.sleep(PAUSE_SECONDS)
            history.look(client, keys, before)

        with beside(look, "fence-history"):
            yield history
