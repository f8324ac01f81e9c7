"""The history that the embedded log keeps: what was folded, in files of JSON Lines, for backtests.

Promise   Each event that was folded is in the files, in the order in which it was folded, as long as there
          is room. After a crash some may be there twice; the engine knows them by their ids.
How       One writer appends each batch before it is folded, one write a batch; when a file is full the
          next one begins, and the oldest are removed. Readers see what was there when they began.
Limits    `bytes_max` on disk, in files of an eighth of that, and SEGMENT_BYTES_MAX at most. Files are not
          synced: the crash of the machine may cost their last seconds. A disk that takes no more costs
          history, and no event: it is told, once, and tried again with each batch.
Not here  The log itself (redis_log.py). What Kafka keeps: kafka_history.py.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Final

from processors.batch import RECORDS_MAX
from streams.source import Chunk, SourceError, in_chunks, lines_of

FOLDER: Final = "history"
ENDING: Final = ".jsonl"
SEGMENT_BYTES_MAX: Final = 64 * 1024 * 1024
SEGMENTS: Final = 8  # so many at least, of which the oldest is removed

_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")  # within JSON they are nothing but space

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
        self._size = 0
        self._is_told = False
        self._goes_on = True  # with the newest file, if the last process has left it whole

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
        """Say it once; a line may have been cut off, so the next one begins in a file of its own."""
        self.close()
        if not self._is_told:
            logger.error("%s takes no more events: %s; backtests miss them", self._folder, error)
        self._is_told = True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, data: bytes) -> None:
        if self._file is None or self._size >= self._segment_max:
            self._begin()
        file = self._file
        assert file is not None, "a segment has begun"
        written = file.write(data)
        self._size += written
        if written < len(data):
            raise OSError(f"{file.name} took {written} of {len(data)} bytes")

    def _begin(self) -> None:
        """Begin the next file, and remove the oldest that there is no room for."""
        self.close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = segments(self._folder)
        if self._goes_on and there and _has_room(there[-1], self._segment_max):
            file = there.pop()
        else:
            number = int(there[-1].stem) + 1 if there else 1
            file = self._folder / f"{number:08d}{ENDING}"
        self._goes_on = False
        self._file = file.open("ab", buffering=0)
        self._size = file.stat().st_size
        room = self._bytes_max - self._segment_max
        for each in reversed(there):
            room -= each.stat().st_size
            if room < 0:
                each.unlink()


def _has_room(file: Path, bytes_max: int) -> bool:
    """Whether the file takes more, and ends with a whole line."""
    size = file.stat().st_size
    if not 0 < size < bytes_max:
        return size == 0
    with file.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


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
