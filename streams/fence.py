"""The fence: who owns a shard, and how far it has come.

Promise   At any time at most one owner's commits are accepted. A claim never issues a token that was
          there before, also when Redis came back from an old backup.
How       One string of JSON that each commit replaces as a whole, by compare-and-set. A claim raises
          the epoch above the stored one and above now in ms, and adds a nonce: a store that lost
          writes can repeat an epoch, never a nonce. `commits` makes each fence differ from the last,
          so that a lost reply can be told by reading: new = applied, old = not.
Limits    CLAIM_ATTEMPTS_MAX claims of others may come between our reading and our writing.
Not here  The commit: commit.py. When to claim: faust_log.py, redis_log.py.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from streams.errors import DamagedError, StaleError, StoreError
from streams.keys import Keys
from streams.store import Connection, checked, list_of, text_of
from streams.torn_tail import mend

CLAIM_ATTEMPTS_MAX: Final = 10


class Fence(msgspec.Struct, frozen=True):
    """What the fence says. `offsets` has the next position to read, by topic; absent = earliest."""

    epoch: int
    nonce: str
    generation: int  # of the Kafka group when the owner claimed; 0 where there is no group
    offsets: dict[str, str]
    outbox: int = 0  # the last outbox sequence that was given out
    commits: int = 0  # since the claim

    @property
    def token(self) -> str:
        return f"{self.epoch}:{self.nonce}"

    def encode(self) -> bytes:
        return _encoder.encode(self)

    @classmethod
    def decode(cls, number: int, stored: bytes) -> "Fence":
        """Read a stored fence.

        Raises:
            DamagedError: It is something else.
        """
        try:
            return _decoder.decode(stored)
        except msgspec.MsgspecError as error:
            raise DamagedError(Keys.of(number).fence, f"is no fence of ours: {error}") from error


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Fence)


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that succeeded; the connection watches the fence."""

    before: bytes | None  # the fence as it was, exactly
    fence: Fence
    stored: bytes  # `fence` as it now stands in Redis, exactly


def claimed(
    number: int,
    stored: Fence | None,
    generation: int,
    now_ms: int,
    nonce: str,
    *,
    forced: bool = False,
) -> Fence:
    """The fence of the next owner.

    Raises:
        StaleError: The stored generation is newer, and `forced` is not set.

    >>> old = Fence(epoch=5, nonce="a", generation=2, offsets={"orders": "7"}, outbox=3, commits=9)
    >>> claimed(0, old, 2, now_ms=4, nonce="b")
    Fence(epoch=6, nonce='b', generation=2, offsets={'orders': '7'}, outbox=3, commits=0)
    >>> claimed(0, old, 1, now_ms=4, nonce="b")
    Traceback (most recent call last):
    streams.errors.StaleError: shard 0 was claimed in generation 2, this claim is of 1
    """
    if stored is None:
        return Fence(now_ms, nonce, generation, {})
    if generation < stored.generation and not forced:
        raise StaleError(number, generation, stored.generation)
    epoch = max(stored.epoch + 1, now_ms)
    return Fence(epoch, nonce, generation, stored.offsets, stored.outbox)


def take(
    connection: Connection,
    number: int,
    generation: int,
    now_ms: int,
    nonce: str,
    *,
    forced: bool = False,
) -> Claim:
    """Become the owner of a shard. Afterwards the connection watches the fence.

    1. Watch the fence, then read it. A shard that was born and has no fence is damaged.
    2. Open the transaction by itself: a server or proxy that refuses MULTI must not go on to carry
       out the write without its guard.
    3. Write the new fence, and watch and read it again, in one write.

    Raises:
        StaleError: The owner is of a newer generation, and `forced` is not set.
        DamagedError: The fence is no fence, or has gone while the shard's profiles are there.
        StoreDownError: It is not known whether we own it; ask again.
        StoreError: Somebody else claims it again and again, or Redis refuses what we need.
    """
    try:
        mend(connection)
        for _ in range(CLAIM_ATTEMPTS_MAX):
            claim = _attempt(connection, number, generation, now_ms, nonce, forced=forced)
            if claim is not None:
                return claim
    except StoreError:
        connection.close()  # leaves no watch and no open transaction behind
        raise
    connection.close()
    raise StoreError(f"others claimed shard {number} {CLAIM_ATTEMPTS_MAX} times in a row")


def _attempt(
    connection: Connection, number: int, generation: int, now_ms: int, nonce: str, *, forced: bool
) -> Claim | None:
    keys = Keys.of(number)
    key = keys.fence
    # 1.
    watching, found, born = connection.ask([("WATCH", key), ("GET", key), ("GET", keys.born)])
    checked(watching)
    before = text_of(found)
    if before is None and text_of(born) is not None:
        raise DamagedError(
            key,
            "is missing, although the shard has profiles: to begin anew would count every event twice."
            f" Restore the key, or delete all keys of the shard, rapport:{{{number}}}:*",
        )
    owner = None if before is None else Fence.decode(number, before)
    fence = claimed(number, owner, generation, now_ms, nonce, forced=forced)
    # 2.
    connection.call("MULTI")
    # 3.
    stored = fence.encode()
    birth = (keys.born, now_ms) if before is None else ()
    queued, done, watching, found = connection.ask(
        [("MSET", key, stored, *birth), ("EXEC",), ("WATCH", key), ("GET", key)]
    )
    checked(queued)
    won = list_of(done) == [b"OK"]
    checked(watching)
    return Claim(before, fence, stored) if won and text_of(found) == stored else None
