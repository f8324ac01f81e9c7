"""What the embedded log keeps for backtests: all that was folded, in order, within its bound."""

import errno
import json
import logging
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.cli import main
from streams.kept_history import FOLDER, SEGMENTS, KeptHistory, KeptSource, segments
from streams.source import SourceError
from tests.corpus import RECORD_MS, record

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

BYTES_MAX = 8_000


def event(number: int) -> bytes:
    return b'{"id":"%d"}' % number


@dataclass
class Disk:
    """Has so many bytes of room, and takes what fits."""

    room: int = 0
    cuts: bool = True  # whether what was written can be cut off again


class File(FileIO):
    """An open file on such a disk."""

    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path, "ab")
        self.disk = disk

    def write(self, data: "ReadableBuffer") -> int:
        if not self.disk.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = super().write(bytes(data)[: self.disk.room])
        self.disk.room -= taken
        return taken

    def truncate(self, size: int | None = None) -> int:
        if not self.disk.cuts:
            raise OSError(errno.EIO, "cut nothing off")
        return super().truncate(size)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """What the history is written to."""
    made, opened = Disk(), Path.open

    def open_(path: Path, mode: str = "r", buffering: int = -1) -> IO[bytes] | IO[str]:
        return File(path, made) if mode == "ab" else opened(path, mode, buffering)

    monkeypatch.setattr(Path, "open", open_)
    return made


def size_of(folder: Path) -> int:
    return sum(each.stat().st_size for each in segments(folder))


def read(folder: Path) -> list[bytes | None]:
    return [value for chunk in KeptSource(folder).chunks(size=7) for value in chunk.values]


def test_what_was_kept_comes_back_in_order_and_with_its_numbers(tmp_path: Path) -> None:
    """A batch at a time, across restarts of the process."""
    for first in (0, 40):
        kept = KeptHistory(tmp_path, BYTES_MAX)
        for number in range(first, first + 40, 4):
            kept.add([event(each) for each in range(number, number + 4)])
        kept.close()

    chunks = list(KeptSource(tmp_path).chunks(skip=5, size=50))

    assert read(tmp_path) == [event(number) for number in range(80)]
    assert [len(each.values) for each in chunks] == [50, 25]
    assert list(chunks[0].rows)[:2] == [6, 7]
    assert len(segments(tmp_path)) == 1


def test_the_oldest_go_when_there_is_no_room(tmp_path: Path) -> None:
    """A shop that runs for years must not fill its disk."""
    kept = KeptHistory(tmp_path, BYTES_MAX)
    sizes = []
    for number in range(3_000):
        kept.add([event(number)])
        sizes.append(size_of(tmp_path))
    kept.close()

    found = read(tmp_path)
    assert max(sizes) <= BYTES_MAX
    assert found == [event(number) for number in range(3_000 - len(found), 3_000)]
    assert sizes[-1] > BYTES_MAX * (SEGMENTS - 2) / SEGMENTS


@settings(max_examples=50)
@given(st.lists(st.integers(1, 130), min_size=1, max_size=60), st.integers(0, 1_000))
def test_there_is_never_more_than_was_allowed_but_for_one_larger_batch(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], bytes_max: int
) -> None:
    """Batches are of one event or of thousands, and the disk may have no more than that."""
    folder = tmp_path_factory.mktemp("kept")
    kept = KeptHistory(folder, bytes_max)
    before: list[int] = []
    unlink = Path.unlink

    def watched(path: Path, missing_ok: bool = False) -> None:
        before.append(size_of(folder))
        unlink(path, missing_ok)

    largest = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", watched)
        for number, size in enumerate(sizes):
            kept.add([event(number)] * size)
            last = size * (len(event(number)) + 1)

            assert max(before, default=0) <= max(bytes_max, largest)
            assert last <= size_of(folder) <= max(bytes_max, last)
            before.clear()
            largest = last
    kept.close()
    written = [event(number) for number, size in enumerate(sizes) for _ in range(size)]
    found = read(folder)
    assert found == written[-len(found) :]


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3), st.integers(0, 3))
def test_an_event_over_several_lines_is_kept_as_one(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, str], indent: int
) -> None:
    """Senders may write JSON for people."""
    folder = tmp_path_factory.mktemp("kept")
    value = msgspec.json.format(msgspec.json.encode(fields), indent=indent).replace(b"\n", b"\r\n")
    kept = KeptHistory(folder, BYTES_MAX)
    kept.add([value, event(1)])
    kept.close()

    first, second = read(folder)
    assert msgspec.json.decode(first or b"") == fields
    assert second == event(1)


def test_a_line_that_a_crash_has_cut_off_is_passed_over(tmp_path: Path) -> None:
    """Its event was not folded yet; it is read again from the log, into the next file."""
    kept = KeptHistory(tmp_path, BYTES_MAX)
    kept.add([event(1)])
    kept.close()
    with segments(tmp_path)[-1].open("ab") as stream:
        stream.write(event(2)[:5])
    kept = KeptHistory(tmp_path, BYTES_MAX)
    kept.add([event(2), event(3)])
    kept.close()

    assert read(tmp_path) == [event(1), event(2), event(3)]


def test_a_reader_sees_what_was_there_when_it_began(tmp_path: Path) -> None:
    """A backtest beside a running engine ends, and says the same when it looks twice."""
    kept = KeptHistory(tmp_path, BYTES_MAX)
    kept.add([event(1)])
    source = KeptSource(tmp_path)
    before = source.fingerprint()
    kept.add([event(2)])
    kept.close()

    assert [each.values for each in source.chunks()] == [[event(1)]]
    assert source.fingerprint() == before != KeptSource(tmp_path).fingerprint()


def test_a_file_that_goes_while_it_is_read_is_told(tmp_path: Path) -> None:
    """Half a history must not pass for a whole one."""
    kept = KeptHistory(tmp_path, BYTES_MAX)
    for number in range(200):
        kept.add([event(number)])
    kept.close()
    source = KeptSource(tmp_path)
    segments(tmp_path)[1].unlink()

    with pytest.raises(SourceError, match="was removed, to make room for newer events; run this"):
        list(source.chunks())


@pytest.mark.parametrize("cuts", [True, False])
def test_a_full_disk_costs_history_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, disk: Disk, cuts: bool
) -> None:
    """The engine goes on without it for days, without a file a batch, and a cut-off line is no event."""
    disk.room, disk.cuts = len(event(1)) + 1 + len(event(2)) // 2, cuts
    kept = KeptHistory(tmp_path, BYTES_MAX)
    kept.add([event(1)])
    with caplog.at_level(logging.ERROR):
        for _ in range(100):
            kept.add([event(2)])
    files = len(segments(tmp_path))
    disk.room = 1_000
    kept.add([event(3), event(4)])
    kept.add([event(5)])
    kept.close()

    assert read(tmp_path) == [event(number) for number in (1, 3, 4, 5)]
    assert files == (1 if cuts else 2)
    assert len(segments(tmp_path)) == files
    assert [record.getMessage().count("takes no more events") for record in caplog.records] == [1]
    assert ("cut nothing off" in caplog.text) == (not cuts)


def test_a_disk_that_is_full_at_the_start_gets_one_empty_file(tmp_path: Path, disk: Disk) -> None:
    """Each of many batches finds it there."""
    disk.room = 0
    kept = KeptHistory(tmp_path, BYTES_MAX)
    for _ in range(100):
        kept.add([event(1)])
    files = len(segments(tmp_path))
    disk.room = 1_000
    kept.add([event(2)])
    kept.close()

    assert files == 1
    assert read(tmp_path) == [event(2)]


def test_a_folder_that_cannot_be_written_is_told_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known of it before the first batch."""
    refusals = [OSError(errno.ENOSPC, "No space left on device")]
    mkdir = Path.mkdir

    def refused(
        path: Path, mode: int = 0o777, *, parents: bool = False, exist_ok: bool = False
    ) -> None:
        if refusals:
            raise refusals.pop()
        mkdir(path, mode, parents=parents, exist_ok=exist_ok)

    monkeypatch.setattr(Path, "mkdir", refused)
    kept = KeptHistory(tmp_path / "data" / "history", BYTES_MAX)
    with caplog.at_level(logging.ERROR):
        kept.add([event(1)])
    kept.add([event(2)])
    kept.close()

    assert "No space left on device" in caplog.text
    assert read(tmp_path / "data" / "history") == [event(2)]
    assert (tmp_path / "data" / "history").stat().st_mode & 0o077 == 0


def test_without_events_the_source_says_who_would_write_them(tmp_path: Path) -> None:
    """A backtest on nothing must not look like a rule that never fires."""
    with pytest.raises(SourceError, match="holds no events yet: `rapport up` keeps"):
        KeptSource(tmp_path / "history")


def test_a_backtest_runs_over_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default in the folder of all other commands; and with --data, in another one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "any.toml").write_text(
        '[rule.any]\non = "order.placed"\nthen = [{ log = "x" }]\n'
    )
    for folder, count in (("rapport-data", 3), ("other", 2)):
        kept = KeptHistory(tmp_path / folder / FOLDER, BYTES_MAX)
        kept.add([record(id=str(number), at_ms=RECORD_MS) for number in range(count)])
        kept.close()
    asked = ["rules", "backtest", "--rules", "rules", "--json"]
    told = [CliRunner().invoke(main, [*asked, *more]) for more in ([], ["--data", "other"])]

    assert [each.exit_code for each in told] == [0, 0], told[0].stderr
    assert [json.loads(each.stdout)["rules"]["any"]["fires"] for each in told] == [3, 2]
