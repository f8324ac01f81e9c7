"""Series of numbers with labelled windows, from a folder laid out as the Numenta Anomaly Benchmark's.

Promise   windows.json names files of the folder, each with its windows as [first time, last time]; the files
          are CSV with the columns timestamp and value, such as `2015-02-26 21:42:53,104`. Whatever is
          otherwise is told with file, line and mend.
Limits    ROWS_MAX rows a file. Times are those of UTC, in any order; a value may be `nan`.
Not here  What is made of them (judge_nab.py).
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from streams.errors import MissingError, StreamsError

WINDOWS: Final = "windows.json"
COLUMNS: Final = ("timestamp", "value")
ROWS_MAX: Final = 1_000_000  # two minutes of judging; the benchmark's longest file has 22,695


class NabDataError(StreamsError):
    """A file is not as it has to be."""

    def __init__(self, file: Path, line: int | None, detail: str) -> None:
        place = f"{file}" if line is None else f"{file}:{line}"
        super().__init__(f"{place}: {detail}")
        self.file = file
        self.line = line


@dataclass(frozen=True, slots=True)
class NabSeries:
    """One file: a time and a value a row; windows by their first and last row, in order."""

    name: str
    at_s: tuple[float, ...]
    values: tuple[float, ...]
    windows: tuple[tuple[int, int], ...]


def read(folder: Path) -> list[NabSeries]:
    """All series that windows.json names, in order of their names.

    Raises:
        MissingError: windows.json is not there.
        NabDataError: a file is not as it has to be, or there is no window at all.
    """
    file = folder / WINDOWS
    if not file.is_file():
        raise MissingError(file)
    try:
        named = msgspec.json.decode(file.read_bytes(), type=dict[str, list[tuple[str, str]]])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        form = 'an object of {"folder/file.csv": [["first time", "last time"], …]}'
        raise NabDataError(file, None, f"must be {form}: {error}") from error
    if not any(named.values()):
        raise NabDataError(file, None, "names no window, so nothing can be judged; label one")
    return [_series(folder, name, named) for name in sorted(named)]


def _series(folder: Path, name: str, named: Mapping[str, list[tuple[str, str]]]) -> NabSeries:
    file = folder / name
    if not file.is_file():
        raise NabDataError(
            folder / WINDOWS, None, f"names {name}, which is not there; add the file or drop it"
        )
    at_s: list[float] = []
    values: list[float] = []
    with file.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines)
        try:
            for cells in reader:
                if reader.line_num == 1:
                    if tuple(cells) != COLUMNS:
                        raise NabDataError(
                            file, 1, f"the first line must be {','.join(COLUMNS)}, not {cells}"
                        )
                    continue
                if len(at_s) == ROWS_MAX:
                    raise NabDataError(file, reader.line_num, f"more than {ROWS_MAX:,} rows")
                moment, value = _row(file, reader.line_num, cells)
                at_s.append(moment)
                values.append(value)
        except (csv.Error, UnicodeDecodeError) as error:
            raise NabDataError(file, reader.line_num, f"is no CSV in UTF-8: {error}") from error
    if not values:
        raise NabDataError(file, None, "has no rows; it needs lines of timestamp,value")
    windows = sorted(_window(folder / WINDOWS, name, pair, at_s) for pair in named[name])
    for (_, last), (first, _) in pairwise(windows):
        if first <= last:
            raise NabDataError(folder / WINDOWS, None, f"windows of {name} overlap; join them")
    return NabSeries(name, tuple(at_s), tuple(values), tuple(windows))


def _row(file: Path, line: int, cells: list[str]) -> tuple[float, float]:
    if len(cells) != len(COLUMNS):
        raise NabDataError(file, line, f"must be a timestamp and a value, not {cells}")
    try:
        return _seconds(cells[0]), float(cells[1])
    except ValueError as error:
        raise NabDataError(file, line, f"must be like 2015-02-26 21:42:53,104: {error}") from error


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _window(file: Path, name: str, pair: tuple[str, str], at_s: list[float]) -> tuple[int, int]:
    """First and last row of a window."""
    try:
        begin_s, end_s = (_seconds(text) for text in pair)
    except ValueError as error:
        raise NabDataError(file, None, f"a window of {name} has no time: {error}") from error
    inside = [row for row, each in enumerate(at_s) if begin_s <= each <= end_s]
    if not inside:
        raise NabDataError(
            file, None, f"the window {pair[0]} to {pair[1]} of {name} has no row; mend its times"
        )
    return inside[0], inside[-1]
