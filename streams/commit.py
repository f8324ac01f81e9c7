"""The commit: one compare-and-set of everything that a batch has changed.

Promise   Either all of it is stored or nothing, and once only, whatever happens to the connection,
          to Redis and to other owners. After a lost reply the fence tells which.
How       A standing watch. The connection always watches the fence and has read it. A commit sends
          MULTI, MSET, EXEC, WATCH, GET in one write and reads the replies: one round trip, and for
          Redis one write command, so that its append-only file has no transaction that a crash could
          tear. Whoever changes the fence in between makes EXEC do nothing; also our own commit, when
          it was still on its way in a connection that we gave up.
Limits    CONTEST_ATTEMPTS_MAX. Rows and views that are no strings are replaced: step has read the
          rows and would have said so (shard.py).
Not here  What is stored: shard.py. Claiming: fence.py.

Measured against a Lua script that compares and sets the same, by benchmarks/commit.py: Redis 7.0, unix
socket, row 512 bytes and view 600, appendfsync everysec, on 2 cores that other work kept busy:

    customers a commit              standing watch          Lua script
    1        p50                    29 to 32 µs             30 to 33 µs
    100      server CPU each        3.2 to 5.2 µs           4.8 to 6.4 µs
    1,500    server CPU each        2.7 to 3.0 µs           5.1 to 5.9 µs
    3,500    server CPU each        3.4 to 3.6 µs           refused: too many results to unpack

On an idle machine a prototype of the same commands took 2.3 µs each at 1,500 (Lua: 4.3).
"""

from collections.abc import Collection
from itertools import chain
from typing import Final

import hiredis
import msgspec

from streams.errors import FencedError, MismatchError, StoreDownError, StoreError
from streams.fence import Claim, Fence
from streams.keys import Keys
from streams.packing import pack
from streams.store import Command, Connection, Reply, checked, list_of, text_of
from streams.torn_tail import mend

CONTEST_ATTEMPTS_MAX: Final = 3  # EXEC refused, yet the fence as we left it: somebody wrote it back

_OPEN: Final = pack([("MULTI",)])


class _Attempt(msgspec.Struct, frozen=True):
    fence: bytes
    pairs: list[bytes]
    also: Command
    first: Command | None
    stored_already: bool  # by an earlier attempt whose reply was lost


class StandingWatch:
    """The guarded writer of one shard, from its claim on. One commit at a time.

    It owns the connection: nobody else may use it.
    """

    def __init__(self, connection: Connection, number: int, claim: Claim) -> None:
        self._connection = connection
        self.address = connection.address
        self.number = number
        self.owner = claim.fence  # the fence as it was when we became the owner
        self._key = Keys.of(number).fence
        self._close = pack([("EXEC",), ("WATCH", self._key), ("GET", self._key)])
        self._watching = True
        self._attempt: _Attempt | None = None
        self._reply: Reply = None
        self.stored = claim.stored  # the fence as we last saw or wrote it
        self.sending = claim.stored  # the fence of the last commit that was begun
        self.in_doubt = False  # a write aside may still be on its way
        self.preface: dict[
            bytes, bytes
        ] = {}  # goes along where a commit goes on after a reconnection

    def begin(
        self, fence: bytes, pairs: list[bytes], also: Command, first: Command | None = None
    ) -> None:
        """Send a commit; `finish` tells what became of it.

        To repeat a commit after StoreDownError from either, begin it again, unchanged.

        Args:
            fence: the new fence; never one that was there before.
            pairs: key, value, key, value … to be stored with it.
            also: a reading command that goes along.
            first: a writing command that is carried out before it, whatever becomes of the commit; one
                that may be carried out again. While it is refused the commit is not done with.

        Raises:
            FencedError: The shard has another owner; nothing was stored.
            MismatchError: The fence is ours but not what we wrote last; nothing was stored.
            StoreDownError: Unknown, or Redis cannot do it now.
            StoreError: Redis refuses it for good; nothing was stored.
        """
        self.sending = fence
        # A connection that was opened anew watches nothing, and a commit on it would be unguarded.
        watching = self._watching and self._connection.is_open
        self._watching = False
        # Known to be stored: it was `also` that Redis could not answer, busy with a script perhaps.
        known = watching and fence == self.stored
        if not watching:
            known = self._look_again(fence)
            # Redis may have lost its last writes, and among them what stands before the first row.
            pairs = [*chain.from_iterable(self.preface.items()), *pairs]
        if known:
            self._attempt = _Attempt(fence, pairs, also, first, stored_already=True)
            return
        before = b"" if first is None else pack([first])
        write = pack([("MSET", self._key, fence, *pairs)])
        self._connection.send(b"".join((before, _OPEN, write, self._close, pack([also]))))
        self._attempt = _Attempt(fence, pairs, also, first, stored_already=False)

    def finish(self) -> Reply:
        """Wait until the commit is stored, and answer with the reply to `also`.

        Raises:
            FencedError, MismatchError, StoreDownError, StoreError: As `begin` does.
        """
        for _ in range(CONTEST_ATTEMPTS_MAX):
            attempt, self._attempt = self._attempt, None
            assert attempt is not None, "begin comes before finish"
            if attempt.stored_already:
                self.stored = attempt.fence
                self._watching, self.in_doubt = True, False
                if attempt.first is not None:
                    self._connection.call(*attempt.first)
                return self._connection.call(*attempt.also)
            if self._is_done(attempt):
                return self._reply
            self.begin(attempt.fence, attempt.pairs, attempt.also, attempt.first)
        self.close()  # the replies to what was begun last would be taken for those of the next command
        raise StoreDownError("contested", f"somebody keeps rewriting the fence of {self.number}")

    def aside(self, write: Command) -> bool:
        """Carry out one write if the fence is as we left it; it stays so. False: it was not carried out.

        Not while a commit is under way. A write whose reply is lost leaves us `in_doubt`: it may be
        carried out later, until the fence is another one.

        Raises:
            FencedError, MismatchError, StoreDownError, StoreError: As `begin` does.
        """
        assert self._attempt is None, "a commit is under way"
        watching = self._watching and self._connection.is_open
        self._watching = False
        if not watching:
            self._look_again(self.stored)
        was_in_doubt, self.in_doubt = self.in_doubt, True
        replies = self._connection.ask(
            [("MULTI",), write, ("EXEC",), ("WATCH", self._key), ("GET", self._key)]
        )
        self.in_doubt = was_in_doubt
        _, queued, done, watched, found = replies
        try:
            if isinstance(done, hiredis.ReplyError):
                checked(queued)
            answers = [checked(each) for each in list_of(done)]
            checked(watched)
            seen = text_of(found)
        except StoreError:
            self.close()
            raise
        self.judge(seen, (self.stored,))
        self._watching = True
        return bool(answers)

    def look(self) -> None:
        """See whether the fence is as we left it, where no commit would find out.

        Raises:
            FencedError: The shard has another owner.
            MismatchError: The fence is not what we wrote last: Redis has lost commits.
            StoreDownError: Redis cannot be asked now; look again.
            StoreError: It never can.
        """
        if self._attempt is not None:
            return  # a commit is under way, and will find out
        was_open = self._connection.is_open
        try:
            seen = self._seen()
        except StoreDownError:
            if not was_open:
                raise
            seen = self._seen()  # it broke while nobody used it; reading may be asked again
        self.judge(seen, (self.stored, self.sending))

    def _seen(self) -> bytes | None:
        """Read the fence. A connection that is opened for that watches nothing, and `begin` knows."""
        self._watching = self._watching and self._connection.is_open
        try:
            return text_of(self._connection.call("GET", self._key))
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        self._watching = False
        self._connection.close()

    def _is_done(self, attempt: _Attempt) -> bool:
        """Read the replies. False: not stored, but nothing stands in its way any more."""
        replies = self._connection.receive(6 if attempt.first is None else 7)
        _, queued, done, watching, found, self._reply = replies[-6:]
        try:
            if isinstance(done, hiredis.ReplyError):
                checked(queued)  # the reason for which the transaction was discarded
            answers = list_of(done)
            checked(watching)
            seen = text_of(found)
        except StoreError:
            self.close()  # who is read-only or full may have a healthy successor at this address
            raise
        if answers == [b"OK"]:
            self.stored = attempt.fence
            # Otherwise the shard was claimed right after our commit; the next one will find out.
            self._watching = seen == attempt.fence
        else:
            # It was changed: by an earlier attempt of ours that was still on its way, or by others.
            self.judge(seen, (attempt.fence, self.stored))
            self._watching = True
            if seen != attempt.fence:
                return False
            self.stored = attempt.fence
        self.in_doubt = False
        if attempt.first is not None:
            checked(replies[0])  # refused, and the commit accepted a moment later
        return True

    def _look_again(self, fence: bytes) -> bool:
        """Watch and read the fence on a new connection. True: it is `fence`, so that is stored."""
        try:
            mend(self._connection)  # Redis may have been started again
            watching, found = self._connection.ask([("WATCH", self._key), ("GET", self._key)])
            checked(watching)
            seen = text_of(found)
        except StoreError:
            self.close()
            raise
        self.judge(seen, (fence, self.stored))
        return seen == fence

    def judge(self, seen: bytes | None, expected: Collection[bytes]) -> None:
        """Return when the fence that was read is one of those expected.

        Raises:
            FencedError: It is a newer owner's.
            MismatchError: It is missing, or ours or an older owner's.
        """
        if seen in expected:
            return
        ours = f"{self.owner.token} after {Fence.decode(self.number, self.stored).commits} commits"
        if seen is None:
            raise MismatchError(self.number, ours, "missing")
        found = Fence.decode(self.number, seen)
        words = f"{found.token} after {found.commits} commits"
        if found.token == self.owner.token or found.epoch < self.owner.epoch:
            raise MismatchError(self.number, ours, words)
        raise FencedError(self.number, ours, words)
