"""Zones: what the clocks of a place show, for kernels.

Promise   The same on every machine: the IANA database is the one that is installed with us (tzdata), not the
          system's. Right across gaps and repeated hours; checked against zoneinfo.
How       A zone is two arrays: moments from which on an offset from UTC holds, and these offsets. They are
          found by asking zoneinfo every PROBE_S, and by bisection where the answer changes. This is done
          once for each zone that somebody lives in.
Limits    From FIRST_S to LAST_S; before and after, the nearest offset holds. An upgrade of tzdata may move
          what lies ahead.
Not here  Who lives where: the attribute `timezone` (attributes.py). What a zone is for (rules/).
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from processors.attributes import text_code
from processors.compiled import compiled

UTC: Final = "UTC"  # also of customers of whom no zone is known
FIRST_S: Final = 946_684_800  # 2000-01-01: no event is older
LAST_S: Final = 4_102_444_800  # 2100-01-01
PROBE_S: Final = (
    4 * 86_400
)  # no offset has held for less: a week less an hour, in Boa Vista in 2000
MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
MINUTES: Final = DAY_MS // MINUTE_MS

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """From `starts[k]` on local time is UTC plus `offsets[k]`, in milliseconds; the first holds before."""

    starts: Integers
    offsets: Integers


@cache
def zone_names() -> tuple[str, ...]:
    """The names of all zones, sorted."""
    return tuple(sorted(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()))


def zone_code(name: str) -> float:
    """The number that stands for a zone: what the attribute `timezone` is kept as."""
    return text_code(name)


@cache
def zone(name: str) -> Zone:
    """The zone of that name.

    Raises:
        KeyError: There is none.

    >>> zone("Asia/Tokyo").offsets.tolist()
    [32400000]
    """
    if name not in zone_names():
        raise KeyError(name)
    return _zone(files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes())


@cache  # nearly half of all names are other names of a zone
def _zone(data: bytes) -> Zone:
    info = ZoneInfo.from_file(BytesIO(data))
    starts, offsets = [FIRST_S], [_offset_s(info, FIRST_S)]
    for at_s in range(FIRST_S + PROBE_S, LAST_S, PROBE_S):
        offset_s = _offset_s(info, at_s)
        if offset_s != offsets[-1]:
            starts.append(_first_with(info, offset_s, at_s - PROBE_S, at_s))
            offsets.append(offset_s)
    return Zone(np.array(starts, dtype=np.int64) * 1_000, np.array(offsets, dtype=np.int64) * 1_000)


def _offset_s(info: ZoneInfo, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, info).utcoffset()
    assert offset is not None, "a zone has an offset at any time"
    return offset.days * 86_400 + offset.seconds


def _first_with(info: ZoneInfo, offset_s: int, before_s: int, at_s: int) -> int:
    """The first second with this offset: not yet `before_s`, surely `at_s`."""
    while at_s - before_s > 1:
        middle_s = (before_s + at_s) // 2
        if _offset_s(info, middle_s) == offset_s:
            at_s = middle_s
        else:
            before_s = middle_s
    return at_s


@compiled(["i8(i8[::1], i8)", "i8(f8[::1], f8)"])
def _span(rising: Integers | Floats, value: float) -> int:
    """The place of the last one that is not above the value; the first where all are: which offset holds."""
    low, high = 0, rising.shape[0]
    while high - low > 1:
        middle = (low + high) // 2
        if rising[middle] <= value:
            low = middle
        else:
            high = middle
    return low


@compiled("i8(i8, i8[::1], i8[::1])")
def minute_at(at_ms: int, starts: Integers, offsets: Integers) -> int:
    """The minute of the day that local clocks show, from 0."""
    return int(at_ms + offsets[_span(starts, at_ms)]) % DAY_MS // MINUTE_MS


@compiled("i8(i8, i8[::1], i8[::1], i8)")
def next_at(at_ms: int, starts: Integers, offsets: Integers, minute: int) -> int:
    """The next time, after `at_ms`, at which local clocks come to that minute or jump over it."""
    span = _span(starts, at_ms)
    while True:
        wait = (minute * MINUTE_MS - at_ms - offsets[span]) % DAY_MS
        found = at_ms + (wait if wait > 0 else DAY_MS)
        span += 1
        if span == starts.shape[0] or found < starts[span]:
            return found
        at_ms = starts[span]
        before = at_ms + offsets[span - 1]
        after = at_ms + offsets[span]
        # Clocks jump over what lies between; set back, they only show `after`.
        shown = min(before, after)
        if shown + (minute * MINUTE_MS - shown) % DAY_MS <= after:
            return at_ms


@compiled("b1(i8, i8, i8)")
def _is_between(local_ms: int, from_minute: int, to_minute: int) -> bool:
    minute = local_ms % DAY_MS // MINUTE_MS
    if from_minute <= to_minute:
        return from_minute <= minute < to_minute
    return minute >= from_minute or minute < to_minute


@compiled("i8(i8, i8[::1], i8[::1], i8, i8)")
def in_quiet(
    at_ms: int, starts: Integers, offsets: Integers, from_minute: int, to_minute: int
) -> int:
    """When the quiet minutes end in which `at_ms` lies; 0 where it lies in none.

    Quiet is every local minute of the day from `from_minute` on and before `to_minute`, over midnight
    where the second is the smaller; none where they are equal. The answer is the first time that
    is not quiet: clocks that are set back may bring the same minutes once more.
    """
    span = _span(starts, at_ms)
    if not _is_between(at_ms + offsets[span], from_minute, to_minute):
        return 0
    while True:
        end_ms = at_ms + (to_minute * MINUTE_MS - at_ms - offsets[span]) % DAY_MS
        span += 1
        if span == starts.shape[0] or end_ms < starts[span]:
            return int(end_ms)
        at_ms = starts[span]
        if not _is_between(at_ms + offsets[span], from_minute, to_minute):
            return int(at_ms)


def local_minute(at_ms: int, name: str) -> int:
    """The minute of the day that clocks show in the zone of that name, from 0.

    Raises:
        KeyError: There is none.

    >>> local_minute(1_735_689_600_000, "Asia/Kolkata")  # midnight, UTC
    330
    """
    found = zone(name)
    return minute_at(at_ms, found.starts, found.offsets)


def next_local(at_ms: int, name: str, minute: int) -> int:
    """The next time, after `at_ms`, at which clocks in the zone of that name come to `minute` of the day.

    A minute that is skipped when clocks are set forward comes when they are set; one that is
    repeated comes twice.

    Raises:
        KeyError: There is none.

    >>> next_local(1_735_689_600_000, "UTC", 540) - 1_735_689_600_000  # until nine
    32400000
    """
    found = zone(name)
    return next_at(at_ms, found.starts, found.offsets, minute)


@cache
def _all_codes() -> tuple[Floats, tuple[str, ...]]:
    """The codes of all zones, sorted, and their names."""
    both = sorted((zone_code(name), name) for name in zone_names())
    assert len({code for code, _ in both}) == len(both), "no two zones share a code"
    return np.array([code for code, _ in both]), tuple(name for _, name in both)


@compiled("i8(f8[::1], f8[::1], b1[::1])")
def _first_new(values: Floats, codes: Floats, in_use: npt.NDArray[np.bool_]) -> int:
    """The place in `codes` of the first value that is a zone not yet in use; -1 if there is none."""
    last = np.nan
    for i in range(values.shape[0]):
        value = values[i]
        if np.isnan(value) or value == last:
            continue
        last = value
        place = _span(codes, value)
        if codes[place] == value and not in_use[place]:
            return place
    return -1


class Zones:
    """The zones that are in use, one after the other, as kernels want them; UTC is the first.

    `codes[k]` is the code of a zone. Its `starts` and `offsets` end before `ends[k]`, and begin where those
    of the zone before it end, or at 0.
    """

    def __init__(self) -> None:
        """Only UTC."""
        self._all, self._names = _all_codes()
        self._in_use = np.zeros(len(self._all), dtype=np.bool_)
        self.codes = np.zeros(0)
        self.ends, self.starts, self.offsets = (np.zeros(0, dtype=np.int64) for _ in range(3))
        self.know(np.array([zone_code(UTC)]))

    def know(self, values: Floats) -> None:
        """Take into use what these codes stand for; what is missing or no zone is passed over.

        A zone that is new takes some ten milliseconds, once in a process.
        """
        while (place := _first_new(values, self._all, self._in_use)) >= 0:
            found = zone(self._names[place])
            self._in_use[place] = True
            self.codes = np.append(self.codes, self._all[place])
            self.starts = np.concatenate([self.starts, found.starts])
            self.offsets = np.concatenate([self.offsets, found.offsets])
            self.ends = np.append(self.ends, len(self.starts))
