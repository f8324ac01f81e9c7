"""The claimer: makes this process the owner of shards.

Promise   A shard that is claimed knows how far it has come, and its table holds nothing that somebody
          else may have changed since.
How       Raise the fence's epoch (fence.py). A shard that was ours a moment ago keeps its table when
          the fence is exactly as we left it and nothing was stepped in vain. A fence that is older
          than the last one we wrote means that Redis has lost commits, and is told.
Limits    Tables of shards that went elsewhere are kept for one more generation of the group.
Not here  When to claim, and when again: ownership.py.
"""

import secrets
from collections.abc import Callable
from typing import Final

from streams.commit import StandingWatch
from streams.errors import StoreError
from streams.fence import Fence, take
from streams.partitions import known
from streams.rows import Rows
from streams.shard import Shard
from streams.store import Connection, StoreAddress
from streams.timers import Timers
from streams.work import Engines, Ports

NONCE_BYTES: Final = 8  # two claims of one epoch: a collision in 2**64


class Claimer:
    """Remembers what it has claimed. For one thread."""

    def __init__(
        self,
        store: StoreAddress,
        engines: Engines,
        ports: Ports,
        now_ms: Callable[[], int],
        stale_ms: int | None = None,
    ) -> None:
        """Prepare to claim.

        Args:
            store: where Redis is.
            engines: answers with the engine to step with; asked before each step.
            ports: what the shards tell the world.
            now_ms: the wall clock: a token is never older.
            stale_ms: from what age on a cause is no news (staleness.py); None: it always is.
        """
        self._store = store
        self._engines = engines
        self._ports = ports
        self._now_ms = now_ms
        self._stale_ms = stale_ms
        self._last: dict[int, tuple[int, Shard]] = {}  # by shard: generation, and what was claimed

    def __call__(self, number: int, generation: int, forced: bool = False) -> Shard:  # noqa: FBT001, FBT002  as ownership.Claim has it
        """Become the owner of a shard, or again its owner.

        Args:
            number: which shard.
            generation: of the Kafka group; 0 where there is no group.
            forced: claim also from an owner of a newer generation.

        Raises:
            StaleError: The owner is of a newer generation, and `forced` is not set.
            DamagedError: The fence or an outbox entry is not ours.
            StoreDownError: It is not known whether we own it; claim again.
            StoreError: Redis refuses what we need, or others claim it again and again.
        """
        for old in [each for each, (last, _) in self._last.items() if last < generation - 1]:
            del self._last[old]
        connection = Connection(self._store)
        nonce = secrets.token_hex(NONCE_BYTES)
        claim = take(connection, number, generation, self._now_ms(), nonce, forced=forced)
        engine = self._engines()
        table = None
        _, previous = self._last.get(number, (0, None))
        if previous is not None:
            previous.close()
            before = None if claim.before is None else Fence.decode(number, claim.before)
            if is_behind(before, previous.fence):
                self._ports.rolled_back(number, previous.fence, before)
            elif previous.engine is engine and previous.is_as_left(claim.before):
                table = previous.table
        rows = Connection(self._store)
        watch = StandingWatch(connection, number, claim)
        try:
            partitions = known(rows)
            timers = Timers(rows, watch)
        except StoreError:
            connection.close()
            rows.close()
            raise
        shard = Shard(
            self._engines,
            engine,
            engine.table() if table is None else table,
            self._ports,
            Rows(rows, number, watch.preface),
            watch,
            timers,
            partitions,
            self._stale_ms,
        )
        try:
            for sequence, actions in shard.pending():
                shard.outbox.add(sequence, len(actions))
        except StoreError:
            shard.close()
            raise
        self._last[number] = (generation, shard)
        return shard


def is_behind(found: Fence | None, ours: Fence) -> bool:
    """Whether the fence found is older than the one that we wrote last: Redis has lost commits.

    >>> ours = Fence(epoch=5, nonce="a", generation=0, offsets={}, commits=7)
    >>> is_behind(Fence(epoch=5, nonce="a", generation=0, offsets={}, commits=6), ours)
    True
    >>> is_behind(Fence(epoch=6, nonce="b", generation=0, offsets={}, commits=0), ours)
    False
    """
    if found is None or found.epoch < ours.epoch:
        return True
    if found.token == ours.token:
        return found.commits < ours.commits
    # Also behind a claim of which we know nothing: of others, or of ours with its reply lost.
    return any(
        topic not in found.offsets or _place(found.offsets[topic]) < _place(offset)
        for topic, offset in ours.offsets.items()
    )


def _place(offset: str) -> tuple[int, ...]:
    """A position as something that grows: an offset of Kafka, or the id of an entry of a stream.

    >>> _place("12-3") < _place("12-10") < _place("100-0")
    True
    """
    return tuple(map(int, offset.split("-")))
