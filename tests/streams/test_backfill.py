"""Back-filling is done once, in a hurry, with years of data: it must not lose its place."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from processors.event import EVENT_BYTES_MAX
from streams.appender import APPEND_BYTES_MAX, APPEND_EVENTS_MAX, Appender, AppendError
from streams.backfill import PATIENCE_MS, RETRY_MS, BadRow, Pace, Progress, Watcher, backfill
from streams.checkpoint import Checkpoint, CheckpointError, load
from streams.clock import ManualClock
from streams.errors import LogFullError
from streams.source import Chunk, LinesSource, SourceError
from streams.token_bucket import TokenBucket
from tests.streams.memory_appender import FullAppender, MemoryAppender

NOW_MS = 1_800_000_000_000


def line(number: int) -> bytes:
    event = b'{"id":"e%d","type":"click","action":"view","customer_id":"c","at_ms":1700000000000}'
    return event % number


class Seen:
    """What the user would see."""

    def __init__(self) -> None:
        self.bad: list[BadRow] = []
        self.rows: list[int] = []

    def watcher(self) -> Watcher:
        return Watcher(self.bad.append, lambda progress: self.rows.append(progress.rows))


def fill(
    file: Path,
    appender: MemoryAppender,
    *,
    seen: Seen | None = None,
    again: bool = False,
    pace: Pace | None = None,
) -> Progress:
    return asyncio.run(
        backfill(
            LinesSource(file),
            appender,
            "memory",
            file.parent / "checkpoint.json",
            pace or Pace(ManualClock(NOW_MS)),
            (seen or Seen()).watcher(),
            again=again,
        )
    )


async def on_its_own_clock(
    file: Path,
    appender: Appender,
    clock: ManualClock,
    bucket: TokenBucket | None = None,
    *,
    again: bool = False,
) -> Progress:
    """Back-fill while time passes as fast as it is waited for."""
    running = asyncio.create_task(
        backfill(
            LinesSource(file),
            appender,
            "memory",
            file.parent / "checkpoint.json",
            Pace(clock, bucket),
            Seen().watcher(),
            again=again,
        )
    )
    while not running.done():
        next_ms = clock.next_ms()
        if next_ms is not None:
            clock.advance(next_ms - clock.now_ms())
        await asyncio.sleep(0)
    return await running


def lines_file(folder: Path, lines: Sequence[bytes]) -> Path:
    file = folder / "events.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file


def test_every_row_is_appended_in_order_or_reported_with_its_number(tmp_path: Path) -> None:
    """The sum of the two is the file; nothing may fall between them."""
    seen = Seen()
    appender = MemoryAppender(refuses="e5")
    file = lines_file(tmp_path, [line(1), b"not json", b"", b'{"id":"x"}', line(5), line(6)])

    done = fill(file, appender, seen=seen)

    assert [event.id for event in appender.events] == ["e1", "e6"]
    assert [(bad.row, bad.reason) for bad in seen.bad] == [
        (2, "malformed"),
        (4, "missing"),
        (5, "full"),
    ]
    assert (done.rows, done.sent, done.bad, sum(done.reasons.values())) == (6, 2, 3, 3)


def test_what_broke_off_goes_on_where_it_was_durable(tmp_path: Path) -> None:
    """Nothing is left out, and only what was under way is sent twice."""
    file = lines_file(tmp_path, [line(number) for number in range(24_000)])
    first, second = MemoryAppender(breaks_after=21), MemoryAppender()

    with pytest.raises(AppendError):
        asyncio.run(on_its_own_clock(file, first, ManualClock(NOW_MS)))
    checkpoint = load(tmp_path / "checkpoint.json")
    assert checkpoint is not None
    assert 0 < checkpoint.rows < len(first.events)
    done = fill(file, second)

    assert [event.id for event in first.events[: checkpoint.rows] + second.events] == [
        f"e{number}" for number in range(24_000)
    ]
    assert (done.resumed_at, done.rows, done.sent) == (checkpoint.rows, 24_000, 24_000)


def test_a_finished_source_is_not_sent_again_unless_asked(tmp_path: Path) -> None:
    """A cron job that runs twice must not double a customer's life."""
    file = lines_file(tmp_path, [line(1), b"bad"])
    fill(file, MemoryAppender())
    again = MemoryAppender()

    done = fill(file, again)
    assert again.events == []
    assert (done.rows, done.sent, done.bad) == (2, 1, 1)

    assert fill(file, again, again=True).sent == 1
    assert len(again.events) == 1


async def test_a_destination_that_has_lost_its_data_is_not_taken_for_done(tmp_path: Path) -> None:
    """A new, empty Rapport at the same address would otherwise stay empty, and nobody would know."""
    file = lines_file(tmp_path, [line(1)])
    asked: list[str] = []

    async def begin(*, is_known: bool) -> Progress:
        async def knows(customer_id: str) -> bool:
            asked.append(customer_id)
            return is_known

        return await backfill(
            LinesSource(file),
            MemoryAppender(),
            "memory",
            tmp_path / "checkpoint.json",
            Pace(ManualClock(NOW_MS)),
            Seen().watcher(),
            knows=knows,
        )

    await begin(is_known=False)
    assert asked == []  # there was nothing to go on from

    assert (await begin(is_known=True)).resumed_at == 1
    with pytest.raises(CheckpointError, match=r"does not know customer c.*--again"):
        await begin(is_known=False)
    assert asked == ["c", "c"]


def test_a_source_that_has_changed_is_refused(tmp_path: Path) -> None:
    """Row 1,000 of another file is another row."""
    fill(lines_file(tmp_path, [line(1)]), MemoryAppender())

    with pytest.raises(CheckpointError, match="--again"):
        fill(lines_file(tmp_path, [line(2), line(1)]), MemoryAppender())


def test_a_damaged_checkpoint_is_reported_and_not_guessed(tmp_path: Path) -> None:
    """Beginning anew by itself would send everything twice."""
    (tmp_path / "checkpoint.json").write_text("{")

    with pytest.raises(CheckpointError, match="delete it"):
        fill(lines_file(tmp_path, [line(1)]), MemoryAppender())


def test_appends_keep_their_bounds(tmp_path: Path) -> None:
    """A request that is too large is refused as a whole, again and again."""
    small = [line(number) for number in range(APPEND_EVENTS_MAX + 1)]
    texts = "x" * 1000
    large = [
        line(number)[:-1] + b',"attributes":{"a":"%b"}}' % (texts * 30).encode()
        for number in range(200)
    ]
    appender = MemoryAppender()

    fill(lines_file(tmp_path, small + large), appender)

    assert len(appender.events) == len(small) + len(large)
    assert max(count for count, _ in appender.sizes) == APPEND_EVENTS_MAX
    largest = max(size for _, size in appender.sizes)
    assert APPEND_BYTES_MAX - EVENT_BYTES_MAX < largest <= APPEND_BYTES_MAX


async def test_the_rate_is_kept_over_the_whole_run(tmp_path: Path) -> None:
    """A back-fill must not starve the live traffic of the same log."""
    file = lines_file(tmp_path, [line(number) for number in range(5_000)])
    clock = ManualClock(NOW_MS)
    bucket = TokenBucket(rate=100.0, burst=1000.0)

    done = await on_its_own_clock(file, MemoryAppender(), clock, bucket)

    assert done.sent == 5_000
    assert clock.now_ms() - NOW_MS == 40_000  # all but the first burst, at 100 a second


def test_a_slow_run_keeps_its_place_every_second(tmp_path: Path) -> None:
    """At ten a second a chunk takes minutes; who stops it must not send all of that again."""
    file = lines_file(tmp_path, [line(number) for number in range(1_000)])
    appender = MemoryAppender(breaks_after=50)

    slow = on_its_own_clock(file, appender, ManualClock(NOW_MS), TokenBucket(10.0, 10.0))
    with pytest.raises(AppendError):
        asyncio.run(slow)

    assert fill(file, MemoryAppender()).resumed_at == 500


def test_beginning_again_forgets_what_was_done_before(tmp_path: Path) -> None:
    """Stopped at once, the new run has sent nothing; the next one must not take it for finished."""
    file = lines_file(tmp_path, [line(1)])
    fill(file, MemoryAppender())
    away = on_its_own_clock(file, FullAppender(10_000), ManualClock(NOW_MS), again=True)
    with pytest.raises(LogFullError):
        asyncio.run(away)

    assert fill(file, MemoryAppender()).resumed_at == 0


async def test_a_full_log_is_waited_for(tmp_path: Path) -> None:
    """A back-fill is faster than the engine, so the log will be full; that is no failure."""
    file = lines_file(tmp_path, [line(number) for number in range(3_000)])
    clock = ManualClock(NOW_MS)

    done = await on_its_own_clock(file, FullAppender(100), clock)

    assert done.sent == 3_000
    assert clock.now_ms() - NOW_MS == 100 * RETRY_MS


async def test_a_log_that_stays_away_is_given_up(tmp_path: Path) -> None:
    """A job that hangs for ever is noticed later than one that fails."""
    file = lines_file(tmp_path, [line(1)])
    clock = ManualClock(NOW_MS)

    with pytest.raises(LogFullError):
        await on_its_own_clock(file, FullAppender(10_000), clock)
    assert clock.now_ms() - NOW_MS == PATIENCE_MS


class BrokenSource:
    """Has one chunk, and then breaks off."""

    name = "broken"
    notices: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        return "broken"

    def count(self) -> int | None:
        return None

    def chunks(self, skip: int = 0, size: int = 1) -> Iterator[Chunk]:
        assert size == 1
        if not skip:
            yield Chunk([1], [line(1)])
        raise SourceError("broken off")


def test_a_source_that_breaks_off_leaves_its_rows_durable(tmp_path: Path) -> None:
    """The user mends the file and goes on; the checkpoint says from where."""
    appender = MemoryAppender()

    for _ in range(2):
        with pytest.raises(SourceError):
            asyncio.run(
                backfill(
                    BrokenSource(),
                    appender,
                    "memory",
                    tmp_path / "checkpoint.json",
                    Pace(ManualClock(NOW_MS)),
                    Seen().watcher(),
                )
            )

    assert [event.id for event in appender.events] == ["e1"]
    assert load(tmp_path / "checkpoint.json") == Checkpoint(
        "broken", "memory", "broken", rows=1, sent=1, customer_id="c"
    )
