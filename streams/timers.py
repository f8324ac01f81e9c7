"""The timers of one shard: an index of whose timer is due first, so that who owns the shard finds them.

Promise   Of each customer whose committed row waits for a time, the index has an entry, at that time or
          before it. It may hold too much, never too little; the row is the truth.
How       One sorted set, customer id by due time. Entries are written in front of the commit that needs them
          (commit.py), and only where the row did not wait before, or not so early: else an entry is there.
          They are moved or removed after the commit of what they led to, and by the owner alone, to what
          the committed row says. While nothing is due nobody asks Redis anything: `next_ms` says until when.
Limits    LOOKED_AT_MAX entries at a time. An entry that leads to nothing costs one look.
Not here  When to look: firing.py. Firing: shard.py. Guarding what is written: commit.py.

Every prefix of the append-only file is a good state, and so is what a torn one leaves:

    entries        before the commit, bare (ZADD … LT): cut between the two, the entry leads to nothing.
    commit         bare. With it, its entries are in the same file, before it.
    cleaning       bare, one command at a time. Two in one transaction could be torn: 1. a start ignores
                   them, so entries are left; 2. a commit relies on one of these, and its ZADD … LT, which
                   changes nothing, is not logged; 3. the next start carries out the torn removal.
    lost in doubt  1. a cleaning is sent, and its connection breaks; 2. a commit's entry is written; 3. the
                   cleaning arrives, and removes it; 4. the commit arrives. So a cleaning is guarded by the
                   exact fence, and where one may still be on its way the fence is changed first
                   (`Shard.begin`).
"""

from collections.abc import Iterable, Sequence
from typing import Final

from processors.profiles import Table
from streams.commit import StandingWatch
from streams.errors import DamagedError, StoreDownError, StoreError
from streams.keys import Keys
from streams.step import Observed
from streams.store import Command, Connection, Reply, list_of, text_of

# A timer takes 20 to 40 µs from its row to its commit, so these hold events up for no longer than one of
# the larger batches does (batch_size.py).
LOOKED_AT_MAX: Final = 1_000

Entries = Sequence[tuple[str, int]]
"""Customer and due time."""


def needed(
    customer_ids: Sequence[str], dues_ms: Sequence[int], waited: Iterable[tuple[str, int]]
) -> list[tuple[str, int]]:
    """What must be in the index for rows that wait until `dues_ms`, and have `waited` until before.

    >>> waited = [("earlier", 9), ("later", 2), ("over", 3)]
    >>> needed(["new", "earlier", "later", "over"], [5, 5, 5, 0], waited)
    [('new', 5), ('earlier', 5)]
    """
    if not any(dues_ms):
        return []
    before_ms = dict(waited)
    return [
        (customer_id, due_ms)
        for customer_id, due_ms in zip(customer_ids, dues_ms, strict=True)
        if due_ms and not 0 < before_ms.get(customer_id, 0) <= due_ms
    ]


def dues_of(table: Table, customer_ids: Sequence[str]) -> dict[str, int]:
    """When the timers of these customers are due, who are in the table; 0: they have none."""
    return dict(zip(customer_ids, table.dues_ms(table.slots(customer_ids)), strict=True))


def note_timers(fired_ms: list[int], seen: Observed) -> None:
    """Note when the timers were due that are stepped."""
    if seen.are_timers:
        fired_ms += [event.at_ms for event in seen.events]


class Timers:
    """The index of one owned shard."""

    def __init__(self, connection: Connection, watch: StandingWatch) -> None:
        """Learn when the first entry is due.

        Raises:
            StoreError: The index cannot be read, or is none.
        """
        self._connection = connection
        self._watch = watch
        self._key = Keys.of(watch.number).timers
        # No entry is due before that; None: there is none.
        self.next_ms = self._first(connection.ask([("ZRANGE", self._key, 0, 0, "WITHSCORES")])[0])

    def command(self, entries: Entries) -> Command | None:
        """What writes these entries; an earlier one stays as it is."""
        if not entries:
            return None
        words: list[bytes | int] = []
        for customer_id, due_ms in entries:
            words += (due_ms, customer_id.encode())
        return ("ZADD", self._key, "LT", *words)

    def written(self, dues_ms: Sequence[int]) -> None:
        """Note that entries are there that are due then."""
        for due_ms in dues_ms:
            if self.next_ms is None or due_ms < self.next_ms:
                self.next_ms = due_ms

    def due(self, until_ms: int) -> list[str]:
        """Customers with entries that are due by then, the earliest first, LOOKED_AT_MAX at most.

        Raises:
            StoreError: The index cannot be read.
        """
        if self.next_ms is None or self.next_ms > until_ms:
            return []
        limit = ("LIMIT", 0, LOOKED_AT_MAX)
        replies = self._connection.ask(
            [
                ("ZRANGEBYSCORE", self._key, "-inf", until_ms, *limit),
                ("ZRANGEBYSCORE", self._key, f"({until_ms}", "+inf", "WITHSCORES", "LIMIT", 0, 1),
            ]
        )
        found = [(text_of(each) or b"").decode() for each in list_of(replies[0])]
        after_ms = self._first(replies[1])
        # Where there may be more that are due, or these are still to be moved, we come back at once.
        self.next_ms = until_ms if found else after_ms
        return found

    def settle(self, table: Table, customer_ids: Sequence[str]) -> None:
        """Move entries to where the committed rows say, and remove those that wait for nothing.

        Nothing may be stepped that is not committed. Who is not in the table is found again.

        Raises:
            FencedError, MismatchError: The shard is not as we left it; nothing was moved.
            StoreError: Some may not be moved.
        """
        dues_ms = dues_of(table, [each for each in customer_ids if each in table])
        over = [each.encode() for each, due_ms in dues_ms.items() if not due_ms]
        later = {each: due_ms for each, due_ms in dues_ms.items() if due_ms}
        if over:
            self._watch.aside(("ZREM", self._key, *over))
        if later:
            words: list[bytes | int] = []
            for customer_id, due_ms in later.items():
                words += (due_ms, customer_id.encode())
            self._watch.aside(("ZADD", self._key, "XX", *words))
            self.written(list(later.values()))

    def _first(self, reply: Reply) -> int | None:
        try:
            found = list_of(reply)
        except StoreDownError:
            raise
        except StoreError as error:
            raise DamagedError(self._key, f"is no index of timers of ours: {error}") from error
        return int(float(text_of(found[1]) or b"0")) if found else None
