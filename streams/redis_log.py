"""The embedded log: Redis Streams, one a shard, read by one thread.

Promise   As the data plane of Kafka: each record of a shard is folded once, in order, from where the
          shard's fence stands.
How       One XREAD waits for all shards at once. A batch is what is there, so one event is a batch of
          one. Positions in the fence (`log`) are ids of the last entry that was folded. That entry
          stays in the stream, so that a gap can be told; what is before it is trimmed each second. A
          timer that is due meanwhile is fired, and the XREAD goes on waiting.
Limits    RECORDS_MAX records a turn, fewer when a batch takes longer than BATCH_MS_MAX. While Redis is
          down, the same work is tried again (patience.py).
Not here  Writing: redis_appender.py. Keeping what was folded: kept_history.py. What a claim and a commit
          do: claimer.py, shard.py.

A turn
    1. Claim what is to be claimed, and look for a gap.
    2. Wait for records of the shards that may read.
    3. Step and commit each shard's batch.
    4. Fire the timers whose time has come, of the shards that have read their log so far (firing.py).
    5. Each second: trim, and tell how the shards are.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from processors.batch import RECORDS_MAX
from streams.batch_size import limit_after
from streams.errors import FencedError, GapError, MismatchError, StoreError
from streams.feed import Lag
from streams.firing import is_due, next_in_ms
from streams.kept_history import Keep, KeptOnce
from streams.keys import Keys
from streams.log_entries import TOPIC, Entry, entries_of, records_of, time_ms_of
from streams.log_reader import LogReader
from streams.ownership import Claims, HeldShard
from streams.patience import Patience, Trouble, UnwantedError
from streams.shard_status import ShardStatus
from streams.store import Command, Connection, StoreAddress, list_of, number_of

START: Final = "0-0"  # no entry has this id, and none a smaller one
BLOCK_MS: Final = 100  # also how long `halt` may go unseen
OBSERVE_MS: Final = 1_000

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(slots=True)
class _Reading:
    """A shard that reads."""

    shard: HeldShard
    log: bytes
    position: str  # committed
    progress_ms: int
    reached_ms: int = 0  # all that the log held by then, by the wall clock, is committed
    lag: Lag = field(default_factory=lambda: Lag(0, 0))


class RedisLog:
    """The loop. `halt` and the plain attributes are for other threads, `turn` is for its own."""

    def __init__(
        self,
        store: StoreAddress,
        partitions: int,
        claims: Claims,
        trouble: Trouble = lambda _error: None,
        *,
        accept_gap: bool = False,
        keep: Keep = lambda _values: None,
        now_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Prepare to claim and read the shards 0 to `partitions` - 1.

        `trouble` is told of errors, and `keep` of the records of each batch, before it is first folded.
        """
        self.beat_ms = now_ms()  # when the loop last came round, by `now_ms`
        self.statuses: tuple[ShardStatus, ...] = ()
        self._connection = Connection(store)
        self._reader = LogReader(self._connection)
        self._numbers = range(partitions)
        self._claims = claims
        self._accept_gap = accept_gap
        self._keep = KeptOnce(keep)
        self._now_ms = now_ms
        self._wall_ms = wall_ms
        self._halted = threading.Event()
        self._trouble = trouble
        self._patience = Patience(self._halted, trouble, self._beat)
        self._reading: dict[int, _Reading] = {}
        self._stopped: dict[int, StoreError | GapError] = {}
        self._limit = RECORDS_MAX
        self._has_more = False  # timers that are due
        self._observed_ms = now_ms()
        claims.want(self._numbers, now_ms())

    def halt(self) -> None:
        """Ask the loop to end."""
        self._halted.set()

    def run(self) -> None:
        """Turn until halted, then let go of everything."""
        try:
            while not self._halted.is_set():
                self.turn()
        finally:
            for number in list(self._reading):
                self._release(number)
            self._connection.close()

    def turn(self) -> None:
        """One round of the loop."""
        self.beat_ms = now_ms = self._now_ms()
        try:
            # 1.
            if not self._reader.is_waiting:
                self._claim(now_ms)
            # 2.
            for number, entries in self._patiently(self._read).items():
                # 3.
                self._advance(number, entries)
            # 4.
            self._fire()
            # 5.
            if now_ms - self._observed_ms >= OBSERVE_MS and not self._reader.is_waiting:
                self._observed_ms = now_ms
                self._patiently(self.observe)
        except UnwantedError:
            logger.info("dropped a batch: we are to end; it is read again at the next start")

    def observe(self) -> None:
        """Look whether shards are as we left them, trim what is folded, and tell how they are.

        Raises:
            StoreError: Redis cannot be asked.
        """
        wall_ms = self._wall_ms()
        for number, reading in list(self._reading.items()):
            try:
                reading.shard.look()
            except (FencedError, MismatchError) as error:
                self._lose(number, error)
                continue
            position = reading.position
            commands: list[Command] = [
                ("XTRIM", reading.log, "MINID", position),
                ("XRANGE", reading.log, position, position),
                ("XLEN", reading.log),
                ("XRANGE", reading.log, f"({position}", "+", "COUNT", 1),
            ]
            _, folded, length, oldest = self._connection.ask(commands)
            entries = entries_of(oldest)
            age_ms = wall_ms - time_ms_of(entries[0][0]) if entries else 0
            reading.lag = Lag(number_of(length) - len(list_of(folded)), max(0, age_ms))
            if not reading.lag.records:
                reading.progress_ms = self._now_ms()
        self.statuses = tuple(self._status(number) for number in self._numbers)

    def _status(self, number: int) -> ShardStatus:
        reading = self._reading.get(number)
        error = self._stopped.get(number)
        return ShardStatus(
            number=number,
            state="stopped" if error else "running" if reading else "claiming",
            detail=str(error or ""),
            progress_ms=reading.progress_ms if reading else None,
            lag={TOPIC: reading.lag} if reading else {},
        )

    def _claim(self, now_ms: int) -> None:
        for number in self._claims.due(now_ms):
            try:
                shard = self._claims.claim(number, 0, now_ms)
                if shard is None:
                    continue
                log, position = Keys.of(number).log, shard.offsets.get(TOPIC, START)
                self._reading[number] = _Reading(shard, log, position, now_ms)
                self._patiently(partial(self._look_for_gap, number, log, position))
            except (StoreError, GapError) as error:
                self._stop(number, error)

    def _look_for_gap(self, number: int, log: bytes, position: str) -> None:
        """Raise when the entry at the fence is gone: nobody knows what else is."""
        length, folded = self._connection.ask([("XLEN", log), ("XRANGE", log, position, position)])
        number_of(length)  # it is a stream, or not there
        if position != START and not list_of(folded) and not self._accept_gap:
            raise GapError(number, position)

    def _read(self) -> dict[int, list[Entry]]:
        """Records of the shards that may read, or nothing after BLOCK_MS, or when a timer is due."""
        shards = [reading.shard for reading in self._reading.values()]
        next_ms = next_in_ms(shards, self._wall_ms()) or BLOCK_MS
        if not self._reader.is_waiting:
            positions = self._positions()
            if not positions:
                self._halted.wait(min(BLOCK_MS, next_ms) / 1_000)
                return {}
            # Of each: bounds the reply, whatever the shards.
            count = max(1, self._limit // len(positions))
            self._reader.ask(positions, count, None if self._has_more else BLOCK_MS)
        heard = self._reader.hear(next_ms if next_ms < BLOCK_MS else None)
        wall_ms = self._wall_ms()
        found = {}
        for number, position in heard.positions.items():
            reading = self._reading.get(number)
            if reading is not None and reading.position == position:  # not claimed again meanwhile
                reading.reached_ms = heard.reached_ms(number, wall_ms)
                if number in heard.entries:
                    found[number] = heard.entries[number]
        return found

    def _positions(self) -> dict[int, str]:
        """Where to read on, of the shards that may."""
        positions = {}
        for number, reading in self._reading.items():
            if reading.shard.is_full():
                # It waits for receivers: no restart mends that.
                reading.progress_ms = self._now_ms()
            else:
                positions[number] = reading.position
        return positions

    def _advance(self, number: int, entries: list[Entry]) -> None:
        """Fold and commit a batch."""
        reading = self._reading[number]
        records = records_of(number, entries)
        self._keep.add(number, entries)
        offsets = {TOPIC: entries[-1][0]}
        started_ms = self._now_ms()

        def work() -> None:
            self._patiently(self._patiently(partial(reading.shard.step, records, offsets)))

        if not self._guarded(number, work):
            return
        reading.position = entries[-1][0]
        reading.progress_ms = self._now_ms()
        took_ms = reading.progress_ms - started_ms
        self._limit = limit_after(self._limit, took_ms, len(entries))

    def _fire(self) -> None:
        """Fire what is due, as much as may hold up events, where the log is read so far."""
        self._has_more = False
        for number, reading in list(self._reading.items()):
            until_ms = min(reading.reached_ms, self._wall_ms())
            if is_due(reading.shard, until_ms):
                self._guarded(number, partial(self._fire_of, reading.shard, until_ms))

    def _fire_of(self, shard: HeldShard, until_ms: int) -> None:
        if self._patiently(shard.is_full):
            return
        commit = self._patiently(partial(shard.fire, until_ms))
        if commit is not None:
            self._patiently(commit)
        self._has_more |= is_due(shard, until_ms)

    def _guarded(self, number: int, work: Callable[[], None]) -> bool:
        """Do it; False: the shard was lost, or has stopped."""
        try:
            work()
        except (FencedError, MismatchError) as error:
            self._lose(number, error)
            return False
        except StoreError as error:
            self._stop(number, error)
            return False
        return True

    def _lose(self, number: int, error: FencedError | MismatchError) -> None:
        """Somebody else has the shard, or it is not as we left it: claim it again."""
        logger.warning("%s", error)
        self._trouble(error)
        self._release(number)
        self._claims.again(number, self._now_ms())

    def _patiently(self, work: Callable[[], Result]) -> Result:
        return self._patience.until_done(work, lambda: True)

    def _beat(self) -> None:
        self.beat_ms = self._now_ms()

    def _stop(self, number: int, error: StoreError | GapError) -> None:
        """Leave a shard alone: only a person can mend it."""
        logger.critical("shard %d stops: %s", number, error)
        self._release(number)
        self._stopped[number] = error

    def _release(self, number: int) -> None:
        reading = self._reading.pop(number, None)
        if reading is not None:
            reading.shard.close()
