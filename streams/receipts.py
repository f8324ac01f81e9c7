"""Receipts: what is recorded about each delivery, and what still waits, in Redis.

Promise   An action leaves the outbox only after its record says delivered, dead, or waiting with all
          that is needed to try again. Who is no longer the owner of a shard changes nothing.
How       One script per write: it compares the fence's nonce, then writes in an order in which every
          prefix is a good state, because a torn append-only file may execute just a prefix:
          indexes, records, outbox entries, cursor, mark. An index may hold too much, never too little.
          Each write names the one before it: where Redis has lost that, nothing is written.

    rapport:{p}:actions            hash   id -> record        the last KEPT_MAX of any status
    rapport:{p}:actions:by_time    zset   id by event time
    rapport:{p}:actions:waiting    hash   id -> record        what is to be tried (again); never trimmed
    rapport:{p}:actions:due:LANE   zset   id by due time      index of waiting, by endpoint
    rapport:{p}:actions:dead       hash   id -> record        given up, rejected, disabled; KEPT_MAX
    rapport:{p}:actions:dead:by_time  zset  id by time of death
    rapport:{p}:actions:marked     string session and number of the last write
    rapport:{p}:actions:lanes      hash   endpoint -> LaneState, of those that something waits for or
                                          that fail

Limits    WRITE_MAX deliveries a write. WAITING_MAX a shard is kept by the relay, which then takes
          nothing more from the outbox.
Not here  Redis itself: receipts_redis.py. The fake: receipts_memory.py. Entries: outbox.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from rules.action import Action
from streams.delivery import Delivery

KEPT_MAX: Final = 10_000  # ACTIONS_KEPT_MAX of the API: about 10 MB a shard
WAITING_MAX: Final = (
    100_000  # about 100 MB a shard: an endpoint dead for days at one action a second
)
WRITE_MAX: Final = 500  # deliveries a script; Redis serves nobody else meanwhile


class LaneState(msgspec.Struct, frozen=True):
    """What outlives a restart of an endpoint's breaker."""

    about: str  # which address this is said about: a new address starts afresh
    failing_since_ms: int | None = None
    disabled: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Which write this is. Redis may lose the last ones: who goes on as if they were there loses more."""

    session: str  # of one reading of a shard's books; `begin` has marked it
    number: int  # from 1
    known: int  # the last of this session that is known to be stored; 0: its beginning


@dataclass(frozen=True, slots=True)
class Changes:
    """One write of one shard."""

    deliveries: Sequence[Delivery] = ()  # in the order of their happening
    settled: Sequence[int] = ()  # outbox entries with nothing left to do
    cursor: int = 0  # the sequence up to which all entries are settled
    lanes: Mapping[str, LaneState] = field(default_factory=dict)
    mark: Mark | None = None  # None: neither asked for nor left behind

    @property
    def is_empty(self) -> bool:
        return not (self.deliveries or self.settled or self.lanes)


@dataclass(frozen=True, slots=True)
class Due:
    """What is due, oldest first."""

    deliveries: list[Delivery]
    next_ms: int | None  # not after the next one is due; None: nothing more waits


@dataclass(frozen=True, slots=True)
class Survey:
    """What waits in a shard."""

    waiting_count: int
    first_due_ms: dict[str, int]  # by lane
    states: dict[str, LaneState]
    marked: tuple[str, int] | None = None  # session and number of the last write


class Receipts(Protocol):
    """Raises StoreDownError, when it can be tried again, and other StoreErrors, from every method."""

    async def begin(self, number: int, nonce: str, session: str) -> None:
        """Mark that the shard's books are read anew, before they are; writes of this session follow.

        Raises:
            FencedError: The shard has another owner; nothing was stored.
        """

    async def cursor(self, number: int) -> int:
        """The outbox sequence up to which all entries are settled."""

    async def entries(self, number: int, first: int, last: int) -> list[tuple[int, list[Action]]]:
        """The outbox entries from `first` to `last`; those that are settled are missing."""

    async def known(self, number: int, ids: Sequence[str]) -> set[str]:
        """Which of these actions are recorded as waiting or as ended."""

    async def write(self, number: int, nonce: str, changes: Changes) -> int:
        """Store the changes and answer how many deliveries wait. May be repeated.

        Raises:
            FencedError: The shard has another owner; nothing was stored.
            MismatchError: Redis has lost the write before; nothing was stored.
        """

    async def due(self, number: int, lane: str, now_ms: int, limit: int) -> Due:
        """Up to `limit` deliveries of a lane that are due at `now_ms`."""

    async def survey(self, number: int) -> Survey: ...

    async def forget(self, number: int, lanes: set[str]) -> None:
        """Forget those of the lanes that nothing waits for and that neither fail nor are disabled."""

    async def revive(self, number: int, ids: Sequence[str], now_ms: int) -> int:
        """Make dead deliveries wait again, with no attempts counted; answers how many there were."""


def is_waiting(delivery: Delivery) -> bool:
    """Whether it is to be kept for another try. Pending without a due time is in somebody's hands."""
    return delivery.due_ms is not None


def is_settled(delivery: Delivery) -> bool:
    """Whether the outbox is no longer needed for it."""
    return is_waiting(delivery) or delivery.status not in {"pending", "retrying"}
