"""Zones: what kernels say of local time is what zoneinfo says, around every change of clocks."""

import struct
from datetime import datetime
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.attributes import CODE_BITS
from processors.zones import (
    DAY_MS,
    FIRST_S,
    LAST_S,
    MINUTE_MS,
    MINUTES,
    PROBE_S,
    UTC,
    Zones,
    in_quiet,
    local_minute,
    next_local,
    zone,
    zone_code,
    zone_names,
)

Clock = tuple[int, int, int, int, int]
ODD = (
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Kiritimati",  # 14 hours ahead, never a change
    "Pacific/Apia",  # left out a day in 2011
    "Africa/Casablanca",  # four changes a year
    "Europe/Dublin",  # the winter is the exception
    "America/St_Johns",  # at one minute past midnight
    "Antarctica/Troll",  # by two hours
    "America/Caracas",  # by half an hour, for good
    "Asia/Kathmandu",  # a quarter
    "America/Boa_Vista",  # for less than a week
    UTC,
)


@cache
def info(name: str) -> ZoneInfo:
    """The zone as Python has it, from the same database."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def shown(name: str, at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1_000, info(name))


def minute_shown(name: str, at_ms: int) -> int:
    local = shown(name, at_ms)
    return local.hour * 60 + local.minute


def changes_s(name: str) -> list[int]:
    """The changes that are written in the zone's file (RFC 9636, version 2 and later), within our years."""
    data = files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    counts = struct.unpack(">6l", data[20:44])
    isut, isstd, leap, times, types, chars = counts
    at = 44 + times * 5 + types * 6 + chars + leap * 8 + isstd + isut
    assert data[:4] == data[at : at + 4] == b"TZif"
    (count,) = struct.unpack(">l", data[at + 32 : at + 36])
    found = struct.unpack(f">{count}q", data[at + 44 : at + 44 + 8 * count])
    return [at_s for at_s in found if FIRST_S < at_s < LAST_S]


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, int]:
    """A zone and a time, half of them near a change of its clocks."""
    name = draw(st.sampled_from(ODD) | st.sampled_from(zone_names()))
    starts = zone(name).starts.tolist()
    at_ms = draw(st.integers(FIRST_S * 1_000, LAST_S * 1_000 - 1))
    if draw(st.booleans()) and len(starts) > 1:
        near = draw(st.integers(-26 * 60, 26 * 60)) * MINUTE_MS + draw(st.integers(-1, 1))
        at_ms = draw(st.sampled_from(starts[1:])) + near
    return name, at_ms


minutes = st.integers(0, MINUTES - 1) | st.sampled_from([0, 60, 120, 150, 180, 1439])


@pytest.mark.slow
def test_every_change_of_every_zone_is_found() -> None:
    """The files say when clocks change; what they leave to a rule, zoneinfo says."""
    wrong, changes, shortest_ms = [], 0, DAY_MS * 365
    for name in zone_names():
        found = zone(name)
        assert (np.diff(found.starts) > 0).all()
        times = {at_s + more for at_s in changes_s(name) for more in (-1, 0)}
        times |= {start // 1_000 + more for start in found.starts[1:].tolist() for more in (-1, 0)}
        changes += len(found.starts) - 1
        shortest_ms = min(shortest_ms, *np.diff(found.starts).tolist(), DAY_MS * 365)
        wrong += [
            (name, at_s)
            for at_s in times
            if local_minute(at_s * 1_000, name) != minute_shown(name, at_s * 1_000)
        ]

    assert len(zone_names()) > 500
    assert changes > 20_000
    assert wrong == []
    assert shortest_ms > PROBE_S * 1_000, "what holds for less may be passed over"


@pytest.mark.slow
@given(moments())
def test_the_minute_of_the_day_is_what_clocks_show(moment: tuple[str, int]) -> None:
    name, at_ms = moment

    assert local_minute(at_ms, name) == minute_shown(name, at_ms)


def minute_by_minute(at_ms: int) -> range:
    """The whole minutes after a time, for three days: clocks change at none but these."""
    first = (at_ms // MINUTE_MS + 1) * MINUTE_MS
    return range(first, first + 3 * DAY_MS, MINUTE_MS)


def comes_to(name: str, at_ms: int, minute: int) -> bool:
    """Whether clocks come to that minute at this whole minute, or jump over it."""
    before, after = (shown(name, each).replace(tzinfo=None) for each in (at_ms - 1_000, at_ms))
    jumped = int((after - before).total_seconds() - 1) // 60
    return any(
        (after.hour * 60 + after.minute - back) % MINUTES == minute
        for back in range(max(jumped, 0) + 1)
    )


@pytest.mark.slow
@given(moments(), minutes)
def test_the_next_time_is_the_first_at_which_clocks_come_to_it(
    moment: tuple[str, int], minute: int
) -> None:
    """A promise of nine in the morning holds on the days on which clocks change, too."""
    name, at_ms = moment

    wanted = next(each for each in minute_by_minute(at_ms) if comes_to(name, each, minute))

    assert next_local(at_ms, name, minute) == wanted


@pytest.mark.slow
@given(moments(), minutes, minutes)
def test_quiet_ends_at_the_first_minute_that_is_not_quiet(
    moment: tuple[str, int], first: int, last: int
) -> None:
    """Nobody is to be rung up a minute too early, whatever the clocks do that night."""
    name, at_ms = moment

    def is_quiet(time_ms: int) -> bool:
        minute = minute_shown(name, time_ms)
        return first <= minute < last if first <= last else minute >= first or minute < last

    found = zone(name)
    end_ms = in_quiet(at_ms, found.starts, found.offsets, first, last)

    assert (end_ms > 0) == is_quiet(at_ms)
    if end_ms:
        assert end_ms == next(each for each in minute_by_minute(at_ms) if not is_quiet(each))


def at(name: str, year: int, month: int, day: int, hour: int, minute: int) -> int:
    """The time of a date and clock in a zone; of a repeated one the first."""
    return int(datetime(year, month, day, hour, minute, tzinfo=info(name)).timestamp()) * 1_000


@pytest.mark.parametrize(
    ("name", "now", "minute", "then"),
    [
        # Forward from 2:00 to 2:30: 2:15 never is.
        ("Australia/Lord_Howe", (2024, 10, 6, 1, 0), 135, (2024, 10, 6, 2, 30)),
        ("Australia/Lord_Howe", (2024, 10, 6, 1, 0), 150, (2024, 10, 6, 2, 30)),
        # A day that never was.
        ("Pacific/Apia", (2011, 12, 29, 23, 0), 540, (2011, 12, 31, 0, 0)),
        ("Pacific/Apia", (2011, 12, 31, 0, 0), 540, (2011, 12, 31, 9, 0)),
        ("Pacific/Kiritimati", (2024, 1, 1, 9, 0), 540, (2024, 1, 2, 9, 0)),
        ("Europe/Rome", (2025, 3, 30, 1, 0), 150, (2025, 3, 30, 3, 0)),
        ("Europe/Rome", (2025, 10, 26, 0, 0), 150, (2025, 10, 26, 2, 30)),
    ],
)
def test_a_minute_that_is_left_out_comes_when_clocks_are_set(
    name: str, now: Clock, minute: int, then: Clock
) -> None:
    assert next_local(at(name, *now), name, minute) == at(name, *then)


def test_a_minute_that_is_repeated_comes_twice() -> None:
    """At three clocks in Rome are set back to two."""
    first = at("Europe/Rome", 2025, 10, 26, 2, 30)

    assert next_local(first, "Europe/Rome", 150) == first + 60 * MINUTE_MS


def test_a_night_may_be_an_hour_longer() -> None:
    """From nine in the evening to nine in the morning, while clocks are set back."""
    rome = zone("Europe/Rome")
    now_ms = at("Europe/Rome", 2025, 10, 25, 21, 0)

    end_ms = in_quiet(now_ms, rome.starts, rome.offsets, 21 * 60, 9 * 60)

    assert end_ms - now_ms == 13 * 60 * MINUTE_MS
    assert in_quiet(end_ms, rome.starts, rome.offsets, 21 * 60, 9 * 60) == 0
    assert in_quiet(now_ms - 1, rome.starts, rome.offsets, 21 * 60, 9 * 60) == 0


def test_before_and_after_our_years_the_nearest_offset_holds() -> None:
    """Events may lie as far ahead as the year 9999."""
    assert local_minute(0, "Asia/Tokyo") == local_minute(300_000 * DAY_MS, "Asia/Tokyo") == 9 * 60


def test_codes_of_zones_differ_and_are_those_of_attributes() -> None:
    """Else somebody in Lima would be rung up by the clocks of Oslo."""
    codes = {zone_code(name) for name in zone_names()}

    assert len(codes) == len(zone_names())
    assert all(0 < code < 2**CODE_BITS for code in codes)


def test_no_zone_of_that_name_is_an_error() -> None:
    for name in ("Europe/Atlantis", "", "../zones", "europe/rome"):
        with pytest.raises(KeyError):
            zone(name)


@given(st.lists(st.sampled_from([*ODD, "nowhere", None]), max_size=12), st.integers(0, 12))
def test_zones_in_use_stand_one_after_the_other(names: list[str | None], cut: int) -> None:
    """Kernels find a zone by its code; what is no zone is passed over."""
    codes = np.array([np.nan if name is None else zone_code(name) for name in names])
    zones = Zones()
    zones.know(codes[:cut])
    zones.know(codes[cut:])

    wanted = list(dict.fromkeys([UTC, *(name for name in names if name in ODD)]))
    assert zones.codes.tolist() == [zone_code(str(name)) for name in wanted]
    begins = [0, *zones.ends.tolist()]
    assert begins[-1] == len(zones.starts) == len(zones.offsets)
    for place, name in enumerate(wanted):
        found, part = zone(str(name)), slice(begins[place], begins[place + 1])
        np.testing.assert_array_equal(zones.starts[part], found.starts)
        np.testing.assert_array_equal(zones.offsets[part], found.offsets)


@pytest.mark.slow
def test_all_zones_may_be_in_use() -> None:
    """What is kept is bounded by the number of zones, whatever customers say."""
    zones = Zones()

    zones.know(np.array([zone_code(name) for name in zone_names()] * 2))

    assert len(zones.codes) == len(zone_names())
    assert zones.starts.nbytes < 2_000_000
    assert zones.offsets.dtype == zones.ends.dtype == np.int64
