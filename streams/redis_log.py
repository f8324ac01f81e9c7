"""The embedded log: Redis Streams, one a shard, read by one thread.

Promise   As the data plane of Kafka: each record of a shard is folded once, in order, from where the
          shard's fence stands.
How       One XREAD waits for all shards at once. A batch is what is there, so one event is a batch of
          one. Positions in the fence (`log`) are ids of the last entry that was folded. That entry
          stays in the stream, so that a gap can be told; what is before it is trimmed each second.
Limits    RECORDS_MAX records a turn, fewer when a batch takes longer than BATCH_MS_MAX. While Redis is
          down, the same work is tried again (patience.py).
Not here  Writing: redis_appender.py. What a claim and a commit do: claimer.py, shard.py.

A turn
    1. Claim what is to be claimed, and look for a gap.
    2. Wait for records of the shards that may read.
    3. Step and commit each shard's batch.
    4. Each second: trim, and tell how the shards are.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from processors.batch import RECORDS_MAX, Origin, Records
from streams.batch_size import limit_after
from streams.errors import FencedError, GapError, MismatchError, StoreError
from streams.feed import Lag
from streams.keys import Keys
from streams.ownership import Claims, HeldShard
from streams.patience import Patience, Trouble, UnwantedError
from streams.shard_status import ShardStatus
from streams.store import Command, Connection, Reply, StoreAddress, list_of, number_of, text_of

TOPIC: Final = "log"  # the name of the one topic, in the fence and in metrics
START: Final = "0-0"  # no entry has this id, and none a smaller one
BLOCK_MS: Final = 100  # also how long `halt` may go unseen
OBSERVE_MS: Final = 1_000

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Entry = tuple[str, bytes | None]  # id and value


@dataclass(slots=True)
class _Reading:
    """A shard that reads."""

    shard: HeldShard
    log: bytes
    position: str  # committed
    progress_ms: int
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
        now_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Prepare to claim and read the shards 0 to `partitions` - 1; `trouble` is told of errors."""
        self.beat_ms = now_ms()  # when the loop last came round, by `now_ms`
        self.statuses: tuple[ShardStatus, ...] = ()
        self._connection = Connection(store)
        self._numbers = range(partitions)
        self._claims = claims
        self._accept_gap = accept_gap
        self._now_ms = now_ms
        self._wall_ms = wall_ms
        self._halted = threading.Event()
        self._trouble = trouble
        self._patience = Patience(self._halted, trouble, self._beat)
        self._reading: dict[int, _Reading] = {}
        self._stopped: dict[int, StoreError | GapError] = {}
        self._limit = RECORDS_MAX
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
            self._claim(now_ms)
            # 2.
            for number, entries in self._patiently(self._read).items():
                # 3.
                self._advance(number, entries)
            # 4.
            if now_ms - self._observed_ms >= OBSERVE_MS:
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
            entries = _entries(oldest)
            age_ms = wall_ms - _time_ms(entries[0][0]) if entries else 0
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
        """Records of the shards that may read, or nothing after BLOCK_MS."""
        numbers = []
        for number, reading in self._reading.items():
            if reading.shard.is_full():
                reading.progress_ms = (
                    self._now_ms()
                )  # it waits for receivers: no restart mends that
            else:
                numbers.append(number)
        if not numbers:
            self._halted.wait(BLOCK_MS / 1_000)
            return {}
        logs = [self._reading[number].log for number in numbers]
        positions = [self._reading[number].position for number in numbers]
        count = max(
            1, self._limit // len(numbers)
        )  # of each: bounds the reply, whatever the shards
        reply = self._connection.call(
            "XREAD", "COUNT", count, "BLOCK", BLOCK_MS, "STREAMS", *logs, *positions
        )
        by_log = dict(zip(logs, numbers, strict=True))
        found = {}
        for stream in list_of(reply):
            log, entries = list_of(stream)
            found[by_log[text_of(log) or b""]] = _entries(entries)
        return found

    def _advance(self, number: int, entries: list[Entry]) -> None:
        """Fold and commit a batch."""
        reading = self._reading[number]
        records = _records(number, entries)
        offsets = {TOPIC: entries[-1][0]}
        started_ms = self._now_ms()
        try:
            commit = self._patiently(partial(reading.shard.step, records, offsets))
            self._patiently(commit)
        except (FencedError, MismatchError) as error:
            self._lose(number, error)
            return
        except StoreError as error:
            self._stop(number, error)
            return
        reading.position = entries[-1][0]
        reading.progress_ms = self._now_ms()
        took_ms = reading.progress_ms - started_ms
        self._limit = limit_after(self._limit, took_ms, len(entries))

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


def _entries(reply: Reply) -> list[Entry]:
    found: list[Entry] = []
    for entry in list_of(reply):
        entry_id, fields = list_of(entry)
        words = list_of(fields)
        # Whatever else somebody has put into the stream becomes a dead letter.
        value = text_of(words[1]) if len(words) == 2 else None  # noqa: PLR2004  one field
        found.append(((text_of(entry_id) or b"").decode(), value))
    return found


def _time_ms(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


def _records(number: int, entries: Sequence[Entry]) -> Records:
    times_ms = [_time_ms(entry_id) for entry_id, _ in entries]

    def origin(index: int) -> Origin:
        return Origin(TOPIC, number, entries[index][0], None, (), times_ms[index])

    return Records([value for _, value in entries], times_ms, origin)
