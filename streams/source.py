"""A source: a file or a query whose rows become records, for back-filling and for replay.

Promise   Rows come in the source's order, each exactly once, as the bytes of one JSON object; the
          same source gives the same rows in the same order again, which resuming rests on.
How       A file of JSON Lines is handed on line by line, untouched. Everything else is a query of
          DuckDB's (query.py).
Limits    One chunk in memory. A line that is longer than an event may be is cut, just far enough
          that decoding still refuses it for its length.
Not here  Whether a row is a good event: processors/decode.py decides that, as it does live.
"""

import gzip
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Final, Protocol

from processors.batch import RECORDS_MAX
from processors.event import EVENT_BYTES_MAX
from streams.errors import MissingError, StreamsError

LINE_BYTES_MAX: Final = EVENT_BYTES_MAX + 1  # one more than is allowed: that is what is reported
SAMPLE_BYTES: Final = 64 * 1024  # of a file's head and of its tail, for the fingerprint
ENDINGS: Final = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")


class SourceError(StreamsError):
    """The source cannot be read; one sentence for each thing to mend."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a source, in order."""

    rows: Sequence[int]  # the number of each in the source, counted from 1
    values: list[bytes | None]


class Source(Protocol):
    """What back-filling and replay read."""

    name: str  # for people and for dead letters
    notices: tuple[str, ...]  # what the user should know, and need not mend

    def fingerprint(self) -> str:
        """A hash that changes when the rows may have changed."""

    def count(self) -> int | None:
        """How many rows there are, when that can be known without reading all of them here."""

    def chunks(self, skip: int = 0, size: int = RECORDS_MAX) -> Iterator[Chunk]:
        """The rows after the first `skip`, at most `size` at a time.

        Raises:
            SourceError: The source broke off; the rows before have been yielded.
        """


def in_chunks(numbered: Iterable[tuple[int, bytes]], size: int) -> Iterator[Chunk]:
    """Rows with their numbers, at most `size` at a time.

    Raises:
        SourceError: The rows broke off; those before have been yielded.
    """
    rows: list[int] = []
    values: list[bytes | None] = []
    try:
        for number, value in numbered:
            rows.append(number)
            values.append(value)
            if len(rows) == size:
                yield Chunk(rows, values)
                rows, values = [], []
    except SourceError:
        if rows:
            yield Chunk(rows, values)
        raise
    if rows:
        yield Chunk(rows, values)


class LinesSource:
    """A file of JSON Lines, gzipped or not. Row numbers are line numbers; blank lines are no rows."""

    def __init__(self, file: Path) -> None:
        """Look whether the file can be read.

        Raises:
            SourceError: It cannot, or its name does not end as one of `ENDINGS`.
        """
        self.name = str(file)
        self.notices: tuple[str, ...] = ()
        self._file = file
        if not file.name.lower().endswith(ENDINGS):
            raise SourceError(
                f"{file}: is none of {', '.join(ENDINGS)}; for CSV, Parquet, JSON or a database"
                " write a SELECT into an SQL file and give it with --sql"
            )
        self._sample = fingerprint_of_file(file)

    def fingerprint(self) -> str:
        return self._sample

    def count(self) -> int | None:
        return None

    def chunks(self, skip: int = 0, size: int = RECORDS_MAX) -> Iterator[Chunk]:
        return in_chunks(self._rows(skip), size)

    def _rows(self, skip: int) -> Iterator[tuple[int, bytes]]:
        try:
            with self._open() as stream:
                for number, line in islice(enumerate(lines_of(stream), 1), skip, None):
                    if line.strip():
                        yield number, line
        except (OSError, EOFError) as error:
            raise SourceError(f"{self.name}: cannot be read any further: {error}") from error

    def _open(self) -> IO[bytes] | gzip.GzipFile:
        if self._file.suffix.lower() == ".gz":
            return gzip.open(self._file, "rb")
        return self._file.open("rb")


def lines_of(stream: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    """The lines without their ends, the long ones cut at LINE_BYTES_MAX."""
    while line := stream.readline(LINE_BYTES_MAX + 1):
        whole = line.endswith(b"\n")
        yield line[:-1] if whole else line[:LINE_BYTES_MAX]
        while not whole and len(line) > LINE_BYTES_MAX:
            line = stream.readline(LINE_BYTES_MAX + 1)
            whole = line.endswith(b"\n")


def fingerprint_of_file(file: Path) -> str:
    """A hash of size, head and tail: a gigabyte is not read twice to see that it is the same.

    Raises:
        MissingError: There is no such file.
        SourceError: It cannot be read.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(SAMPLE_BYTES)
            size = file.stat().st_size
            stream.seek(max(0, size - SAMPLE_BYTES))
            tail = stream.read(SAMPLE_BYTES)
    except FileNotFoundError as error:
        raise MissingError(file) from error
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror or error}") from error
    return hashlib.sha256(b"%d\n%b\n%b" % (size, head, tail)).hexdigest()
