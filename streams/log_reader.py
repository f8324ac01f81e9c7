"""The reader of the embedded log: one XREAD for all shards, which may be left waiting for a while.

Promise   Entries are those behind the positions that were asked for, in order.
How       Redis ends a wait at its next tick, up to 100 ms late. Who has to be on time waits for the reply
          that long and no longer, and goes on waiting for it later.
Limits    One question at a time; the connection is not to be used while it waits.
Not here  What the entries mean (log_entries.py), which shards may read (redis_log.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from streams.errors import StoreError
from streams.keys import Keys
from streams.log_entries import Entry, entries_of, time_ms_of
from streams.packing import pack
from streams.store import Connection, list_of, text_of


@dataclass(frozen=True, slots=True)
class Heard:
    """What is there behind the positions that were asked for."""

    positions: Mapping[int, str]  # by shard
    count: int  # of each at most
    entries: dict[int, list[Entry]]

    def reached_ms(self, number: int, now_ms: int) -> int:
        """By when everything that the shard's log held is among the entries or before them."""
        found = self.entries.get(number, [])
        return now_ms if len(found) < self.count else time_ms_of(found[-1][0]) - 1


class LogReader:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._asked: Heard | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a question is not answered yet."""
        return self._asked is not None

    def ask(self, positions: Mapping[int, str], count: int, block_ms: int | None) -> None:
        """Ask for `count` entries of each of these shards; wait for the first one, or do not wait.

        Raises:
            StoreDownError: Redis is away; ask again.
        """
        logs = [Keys.of(number).log for number in positions]
        block = () if block_ms is None else ("BLOCK", block_ms)
        command = ("XREAD", "COUNT", count, *block, "STREAMS", *logs, *positions.values())
        self._connection.send(pack([command]))
        self._asked = Heard(positions, count, {})

    def hear(self, within_ms: int | None) -> Heard:
        """The answer; nothing where it does not come so soon, and then we are still waiting for it.

        Raises:
            StoreDownError: It will not come; ask again.
            StoreError: It never will.
        """
        assert self._asked is not None, "ask comes before hear"
        asked, self._asked = self._asked, None
        if within_ms is not None and not self._connection.hears(within_ms / 1_000):
            self._asked = asked
            return asked
        by_log = {Keys.of(number).log: number for number in asked.positions}
        for stream in list_of(self._connection.receive(1)[0]):
            log, entries = list_of(stream)
            number = by_log.get(text_of(log) or b"")
            if number is None:
                raise StoreError(f"Redis answered with entries of {log!r}, which nobody asked for")
            asked.entries[number] = entries_of(entries)
        return asked
