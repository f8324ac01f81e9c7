"""Back-filling: what `rapport ingest` does, from a source into a log.

Promise   Every row is appended or reported with its number and the reason. Stopped at any point and
          started again, it goes on after the last row that is known to be durable; what was under
          way then is sent twice, and the event ids let the engine see it.
How       1 read a chunk, ahead of the one being sent
          2 decode it as the engine will; a row that is no event is reported and not sent
          3 append the good ones in order, at the rate that was asked for
          4 write the checkpoint
          Where there is a rate, 2 to 4 are done for each second's worth of the chunk: who stops a slow
          run keeps what it has sent, and no second has more than its share.
Limits    Two chunks in memory. One append at a time, because the order of events counts. A log that is
          full or away is tried every RETRY_MS, for PATIENCE_MS. What is sent twice counts once as far as
          a customer's last `duplicates_kept` (64) ids reach: of a customer with more events than that
          in what was under way, they count twice.
Not here  Reading (source.py, query.py), the ways into a log (appender.py), the bar (progress.py).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from processors.batch import Decoded, Origin, Records
from processors.decode import decode
from processors.event import Event
from streams.appender import (
    APPEND_BYTES_MAX,
    APPEND_EVENTS_MAX,
    Appender,
    AppendError,
    Refused,
)
from streams.checkpoint import Checkpoint, CheckpointError, load, save
from streams.clock import Clock
from streams.errors import LogFullError
from streams.source import Chunk, Source
from streams.token_bucket import TokenBucket

RETRY_MS: Final = 1_000  # a full log empties at some 100 records a millisecond
PATIENCE_MS: Final = 300_000  # a restart of Kafka or Redis takes less

Knows: TypeAlias = Callable[[str], Awaitable[bool]]
"""Whether the destination has this customer."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was not sent."""

    row: int
    reason: str
    field: str
    detail: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast, and by which clock."""

    clock: Clock
    bucket: TokenBucket | None = None  # None: as fast as it goes


@dataclass(slots=True)
class Progress:
    """How far a back-fill has come; the rows of earlier runs included."""

    rows: int
    sent: int
    bad: int
    resumed_at: int  # rows that were done before this run
    customer_id: str = ""  # the first who was sent
    reasons: Counter[str] = field(default_factory=Counter)  # of the bad rows of this run


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told while it goes on."""

    bad_row: Callable[[BadRow], None]
    progress: Callable[[Progress], None]


async def backfill(
    source: Source,
    appender: Appender,
    destination: str,
    file: Path,
    pace: Pace,
    watcher: Watcher,
    *,
    again: bool = False,
    knows: Knows | None = None,
) -> Progress:
    """Append the rows of the source that are not in the log yet.

    Args:
        source: what to read.
        appender: the way into the log.
        destination: names the log, in the checkpoint.
        file: the checkpoint.
        pace: rate and clock.
        watcher: is told of bad rows, and of progress after each chunk that is durable.
        again: begin at the first row, whatever the checkpoint says, and forget it.
        knows: asks the destination for a customer, where it can be asked. A checkpoint is about data
            that are there; an address may meanwhile belong to an empty Rapport.

    Raises:
        SourceError: The source broke off; what was read before is durable.
        AppendError: The log could not be reached for PATIENCE_MS; start again later.
        LogFullError: It was full for so long.
        AppendRefusedError: It takes nothing from us.
        CheckpointError: It cannot be used or written.
    """
    checkpoint = _begin(source, destination, file, again=again)
    customer_id = checkpoint.customer_id
    if customer_id and knows is not None and not await knows(customer_id):
        raise CheckpointError(
            f"{destination}: does not know customer {customer_id}, with whom {source.name} was"
            f" ingested there; if it is another Rapport, or a new one, ingest --again from the first"
            " row"
        )
    done = Progress(checkpoint.rows, checkpoint.sent, checkpoint.bad, checkpoint.rows, customer_id)
    watcher.progress(done)
    if checkpoint.finished:
        return done
    chunks = source.chunks(skip=checkpoint.rows)
    # 1.
    reading = asyncio.create_task(asyncio.to_thread(_next, chunks))
    try:
        while (chunk := await reading) is not None:
            reading = asyncio.create_task(asyncio.to_thread(_next, chunks))
            for share in _shares(chunk, pace.bucket):
                await _send(share, source, appender, pace, watcher, done)
                # 4.
                save(file, _moved(checkpoint, done, finished=False))
                watcher.progress(done)
    finally:
        # The thread that reads cannot be interrupted; a chunk takes milliseconds.
        await asyncio.gather(reading, return_exceptions=True)
    save(file, _moved(checkpoint, done, finished=True))
    return done


def _begin(source: Source, destination: str, file: Path, *, again: bool) -> Checkpoint:
    fingerprint = source.fingerprint()
    fresh = Checkpoint(source.name, destination, fingerprint)
    if again:
        save(file, fresh)  # else the next run, without --again, would trust what was before
        return fresh
    kept = load(file)
    if kept is None:
        return fresh
    if kept.fingerprint != fingerprint:
        raise CheckpointError(
            f"{source.name}: has changed since {kept.rows} of its rows were ingested, so it is not"
            " known which rows are new; ingest it --again from its first row, or give the new rows"
            " as a source of their own"
        )
    return kept


def _moved(checkpoint: Checkpoint, done: Progress, *, finished: bool) -> Checkpoint:
    return msgspec.structs.replace(
        checkpoint,
        rows=done.rows,
        sent=done.sent,
        bad=done.bad,
        finished=finished,
        customer_id=done.customer_id,
    )


def _next(chunks: Iterator[Chunk]) -> Chunk | None:
    return next(chunks, None)


def _shares(chunk: Chunk, bucket: TokenBucket | None) -> Iterator[Chunk]:
    """A second's worth of rows each; the whole where there is no rate."""
    size = len(chunk.rows) if bucket is None else max(1, int(bucket.rate))
    for first in range(0, len(chunk.rows), size):
        yield Chunk(chunk.rows[first : first + size], chunk.values[first : first + size])


async def _send(
    chunk: Chunk,
    source: Source,
    appender: Appender,
    pace: Pace,
    watcher: Watcher,
    done: Progress,
) -> None:
    # 2.
    decoded = _decoded(chunk, source.name, pace.clock.now_ms())
    for letter in decoded.dead:
        row = int(letter.origin.position)
        _refuse(BadRow(row, letter.reason, letter.field, letter.detail), watcher, done)
    # 3.
    for records, indexes in _portions(chunk, decoded):
        if pace.bucket is not None:
            until_ms = pace.bucket.take(len(records), pace.clock.now_ms())
            await pace.clock.wait(asyncio.Event(), until_ms)
        refused = await _append(records, appender, pace.clock)
        for each in refused:
            row = chunk.rows[indexes[each.index]]
            _refuse(BadRow(row, each.reason, "", each.detail), watcher, done)
        done.sent += len(records) - len(refused)
        if not done.customer_id and not refused:
            done.customer_id = records[0][0].customer_id
    done.rows = chunk.rows[-1]


async def _append(
    records: Sequence[tuple[Event, bytes]], appender: Appender, clock: Clock
) -> Sequence[Refused]:
    """Append, waiting for a log that is full or away; give up after PATIENCE_MS without success."""
    until_ms = clock.now_ms() + PATIENCE_MS
    while True:
        try:
            return await appender.append(records)
        except (AppendError, LogFullError):
            if clock.now_ms() >= until_ms:
                raise
        await clock.wait(asyncio.Event(), clock.now_ms() + RETRY_MS)


def _refuse(bad: BadRow, watcher: Watcher, done: Progress) -> None:
    done.bad += 1
    done.reasons[bad.reason] += 1
    watcher.bad_row(bad)


def _decoded(chunk: Chunk, name: str, now_ms: int) -> Decoded:
    def origin(index: int) -> Origin:
        return Origin(name, 0, str(chunk.rows[index]), None, (), now_ms)

    return decode(Records(chunk.values, [now_ms] * len(chunk.values), origin))


def _portions(
    chunk: Chunk, decoded: Decoded
) -> Iterator[tuple[list[tuple[Event, bytes]], list[int]]]:
    """Cut the events of a chunk into what one append takes, with their indexes in the chunk."""
    records: list[tuple[Event, bytes]] = []
    indexes: list[int] = []
    size = 0
    for event, index in zip(decoded.events, decoded.indexes, strict=True):
        value = chunk.values[index] or b""
        if len(records) == APPEND_EVENTS_MAX or size + len(value) > APPEND_BYTES_MAX:
            yield records, indexes
            records, indexes, size = [], [], 0
        records.append((event, value))
        indexes.append(index)
        size += len(value)
    if records:
        yield records, indexes
