"""The history that the embedded log keeps: what was folded, in files of JSON Lines, for backtests.

Promise   Each event that was folded is in the files, in the order in which it was folded, as long as there
          is room. After a crash some may be there twice; the engine knows them by their ids.
How       One writer appends each batch before it is folded, one write a batch: a crash between the two
          repeats a batch, and the other order would lose one. What is folded again by the same process
          is not kept again. When a file is full the next one begins, and the oldest are removed before
          there would be too much. Readers see what was there when they began.
Limits    Never more on disk than `bytes_max`, or than the last batch where that alone is larger; in files
          of an eighth of `bytes_max`, and SEGMENT_BYTES_MAX, or one batch at most. Files are not
          synced: the crash of the machine may cost their last seconds. A disk that takes no more costs
          history, and no event: it is told, once, and tried again with each batch, in the same file.
Not here  The log itself (redis_log.py). What Kafka keeps: kafka_history.py.
"""

import hashlib
import logging
import os
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Final, TypeAlias

from processors.batch import RECORDS_MAX
from streams.log_entries import Entry
from streams.source import Chunk, SourceError, in_chunks, lines_of

FOLDER: Final = "history"
ENDING: Final = ".jsonl"
SEGMENT_BYTES_MAX: Final = 64 * 1024 * 1024
SEGMENTS: Final = 8  # so many at least, of which the oldest is removed

_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")  # within JSON they are nothing but space

Keep: TypeAlias = Callable[[Sequence[bytes | None]], None]

logger = logging.getLogger(__name__)


def segments(folder: Path) -> list[Path]:
    """The files, the oldest first."""
    return sorted(each for each in folder.glob(f"*{ENDING}") if each.stem.isdigit())


class KeptHistory:
    """The writer: for one thread."""

    def __init__(self, folder: Path, bytes_max: int) -> None:
        """Begin where the last one ended; nothing is written before the first batch."""
        self._folder = folder
        self._bytes_max = bytes_max
        self._segment_max = min(SEGMENT_BYTES_MAX, max(1, bytes_max // SEGMENTS))
        self._file: IO[bytes] | None = None
        self._size = 0  # of whole batches in it
        self._older = deque[tuple[Path, int]]()  # the other files and their sizes, the oldest first
        self._older_bytes = 0
        self._is_told = False

    def add(self, values: Sequence[bytes | None]) -> None:
        """Append a batch; without room on the disk, this is said and not done."""
        lines = [value.translate(_LINE_ENDS) + b"\n" for value in values if value]
        if not lines:
            return
        try:
            self._append(b"".join(lines))
        except OSError as error:
            self._failed(error)
        else:
            self._is_told = False

    def _failed(self, error: OSError) -> None:
        """Say it once, and cut off what was written of the batch; the next one looks how the files are."""
        said = str(error)
        file, self._file = self._file, None
        if file is not None:
            try:
                with file:
                    file.truncate(self._size)
            except OSError as another:  # a file that ends within a line is not gone on with
                said = f"{said}; {another}"
        if not self._is_told:
            logger.error("%s takes no more events: %s; backtests miss them", self._folder, said)
        self._is_told = True

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _append(self, data: bytes) -> None:
        if self._file is None or not _takes(self._size, len(data), self._segment_max):
            self._begin(len(data))
        self._make_room(len(data))
        file = self._file
        assert file is not None, "a segment has begun"
        written = file.write(data)
        if written < len(data):
            raise OSError(f"{file.name} took {written} of {len(data)} bytes")
        self._size += written

    def _begin(self, bytes_count: int) -> None:
        """Go on with the newest file if it is whole and takes so many bytes, or begin the next."""
        self.close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = [(each, each.stat().st_size) for each in segments(self._folder)]
        if there and _takes(there[-1][1], bytes_count, self._segment_max) and _is_whole(*there[-1]):
            file, self._size = there.pop()
        else:
            number = int(there[-1][0].stem) + 1 if there else 1
            file, self._size = self._folder / f"{number:08d}{ENDING}", 0
        self._older = deque(there)
        self._older_bytes = sum(size for _, size in there)
        self._file = file.open("ab", buffering=0)

    def _make_room(self, bytes_count: int) -> None:
        """Remove the oldest files that there is no room for beside so many bytes more."""
        room = self._bytes_max - self._size - bytes_count
        while self._older and self._older_bytes > room:
            file, size = self._older[0]
            file.unlink(missing_ok=True)
            self._older.popleft()
            self._older_bytes -= size


def _takes(size: int, bytes_count: int, bytes_max: int) -> bool:
    """Whether a file of this size takes so many bytes more; an empty one takes any batch."""
    return not size or size + bytes_count <= bytes_max


def _is_whole(file: Path, size: int) -> bool:
    """Whether the file ends with a whole line."""
    if not size:
        return True
    with file.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


class KeptOnce:
    """Hands on the entries of the embedded log once, however often this process folds them.

    A shard that was lost and claimed again reads from its fence on, behind which entries may be kept.
    They are known by their ids, which only grow: Redis would have to lose its last entries while its
    clock goes back for a new entry to be taken for an old one.
    """

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._kept: dict[int, tuple[int, int]] = {}  # the last entry that was, by shard

    def add(self, number: int, entries: Sequence[Entry]) -> None:
        """Keep those of a shard's entries, which are in order, that were not kept yet."""
        known = bisect_right(entries, self._kept.get(number, (-1, -1)), key=_place_of)
        if known < len(entries):
            self._keep([value for _, value in entries[known:]])
            self._kept[number] = _place_of(entries[-1])


def _place_of(entry: Entry) -> tuple[int, int]:
    """The order of entries: ids such as `1714564800000-10` are no text to be compared."""
    time_ms, _, sequence = entry[0].partition("-")
    return int(time_ms), int(sequence)


class KeptSource:
    """A Source (source.py) of the events kept so far."""

    def __init__(self, folder: Path) -> None:
        """Look what is there.

        Raises:
            SourceError: Nothing is.
        """
        self.name = f"the history in {folder}"
        self.notices: tuple[str, ...] = ()
        self._sizes = {each: each.stat().st_size for each in segments(folder)}
        if not any(self._sizes.values()):
            raise SourceError(
                f"{folder} holds no events yet: `rapport up` keeps those that it folds, unless"
                " history_mb is 0"
            )

    def fingerprint(self) -> str:
        sizes = [(each.name, size) for each, size in self._sizes.items()]
        return hashlib.sha256(repr(sizes).encode()).hexdigest()

    def count(self) -> int | None:
        return None

    def chunks(self, skip: int = 0, size: int = RECORDS_MAX) -> Iterator[Chunk]:
        return in_chunks(islice(enumerate(self._lines(), 1), skip, None), size)

    def _lines(self) -> Iterator[bytes]:
        for file, size in self._sizes.items():
            left = size
            try:
                with file.open("rb") as stream:
                    for line in lines_of(stream):
                        left -= len(line) + 1
                        if left < 0:  # it was written after we began, or is being written
                            break
                        yield line
            except FileNotFoundError as error:
                said = "was removed, to make room for newer events; run this again"
                raise SourceError(f"{file}: {said}") from error
            except OSError as error:
                raise SourceError(f"{file}: cannot be read any further: {error}") from error
