"""A source that skips, repeats or silently changes a row makes a history that never was."""

import gzip
from pathlib import Path

import pytest

from processors.event import EVENT_BYTES_MAX
from streams.errors import MissingError
from streams.source import LinesSource, SourceError


def write(file: Path, data: bytes) -> Path:
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    return file


@pytest.mark.parametrize("name", ["events.jsonl", "events.ndjson.gz"])
def test_lines_come_untouched_with_their_numbers(name: str, tmp_path: Path) -> None:
    """The number is what a user looks for in an editor; the bytes are what a dead letter shows."""
    source = LinesSource(write(tmp_path / name, b'{"id":"1"}\n\n  \nnot json\r\n{"id":"2"}'))

    chunks = list(source.chunks(size=2))

    assert [(list(chunk.rows), chunk.values) for chunk in chunks] == [
        ([1, 4], [b'{"id":"1"}', b"not json\r"]),
        ([5], [b'{"id":"2"}']),
    ]


def test_reading_goes_on_after_the_rows_that_are_done(tmp_path: Path) -> None:
    """A back-fill that was interrupted goes on, and numbers its rows as before."""
    source = LinesSource(write(tmp_path / "events.jsonl", b"1\n2\n\n4\n5\n"))

    assert [(list(chunk.rows), chunk.values) for chunk in source.chunks(skip=2)] == [
        ([4, 5], [b"4", b"5"])
    ]


@pytest.mark.parametrize("extra", [-1, 0, 1, 2, EVENT_BYTES_MAX * 3])
def test_a_line_of_any_length_costs_bounded_memory_and_no_other_line(
    extra: int, tmp_path: Path
) -> None:
    """A log file with one endless line must not take the process with it."""
    long = b"x" * (EVENT_BYTES_MAX + extra)
    source = LinesSource(write(tmp_path / "events.jsonl", long + b"\nnext\n" + long))

    (chunk,) = source.chunks()

    kept = long[: EVENT_BYTES_MAX + 1]
    assert chunk.values == [kept, b"next", kept]


def test_a_truncated_archive_gives_its_rows_and_then_the_error(tmp_path: Path) -> None:
    """What was read before the break is good, and where it broke must be known."""
    whole = gzip.compress(b"".join(b"%d\n" % number for number in range(50_000)))
    file = tmp_path / "events.jsonl.gz"
    file.write_bytes(whole[: len(whole) // 2])
    values = []

    with pytest.raises(SourceError, match="cannot be read any further"):
        values += [value for chunk in LinesSource(file).chunks(size=100) for value in chunk.values]

    read = [b"%d" % number for number in range(len(values))]
    assert values == read[: len(values)]


@pytest.mark.parametrize(
    ("name", "message"), [("events.csv", "--sql"), ("missing.jsonl", "there is no such file")]
)
def test_a_file_that_cannot_be_read_is_refused_at_once(
    name: str, message: str, tmp_path: Path
) -> None:
    """Before the first event is sent, not after a million."""
    with pytest.raises((SourceError, MissingError), match=message):
        LinesSource(tmp_path / name)


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    """Going on at row 1,000 of another file would skip 1,000 events for ever."""
    one = LinesSource(write(tmp_path / "one.jsonl", b"1\n2\n"))
    same = LinesSource(write(tmp_path / "same.jsonl", b"1\n2\n"))
    other = LinesSource(write(tmp_path / "other.jsonl", b"1\n3\n"))

    assert one.fingerprint() == same.fingerprint()
    assert one.fingerprint() != other.fingerprint()
