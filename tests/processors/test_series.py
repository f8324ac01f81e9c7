"""One series of numbers: what breaks out is told, whatever its unit, and no memory but the row is needed."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.series import STATE_BYTES, STATE_BYTES_MAX, Series
from processors.series_judged import Judged

WEEK_S = 604_800.0
ROWS = 420


def waves(seed: int, rows: int = ROWS) -> list[float]:
    """A daily wave with noise, and a few spikes."""
    chance = random.Random(seed)
    wave = [math.sin(row / 24.0 * math.tau) + chance.gauss(0.0, 0.1) for row in range(rows)]
    for _ in range(3):
        wave[chance.randrange(120, rows)] += chance.choice([-4.0, 4.0, 9.0])
    return wave


def judged(values: list[float], series: Series | None = None, from_s: float = 0.0) -> list[Judged]:
    series = series or Series()
    return [series.update(each, from_s + 3600.0 * row) for row, each in enumerate(values)]


def alerts(found: list[Judged]) -> list[int]:
    return [row for row, each in enumerate(found) if each.is_alert]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([-8.0, -1.0, 0.37, 1e4]), st.floats(-1e3, 1e3))
def test_unit_and_origin_of_the_values_do_not_matter(seed: int, a: float, b: float) -> None:
    """Euro or cents, Celsius or Fahrenheit: nobody tunes a detector for each."""
    values = waves(seed)

    assert alerts(judged([a * each + b for each in values])) == alerts(judged(values))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3000))
def test_whole_weeks_do_not_matter(seed: int, weeks: int) -> None:
    """Hours of the week are all that it knows of time."""
    values = waves(seed)

    assert judged(values, from_s=weeks * WEEK_S) == judged(values)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, ROWS))
def test_a_row_holds_everything_and_nothing_looks_ahead(seed: int, cut: int) -> None:
    """A worker that takes over goes on with the bytes alone."""
    values = waves(seed)
    series = Series()
    before = judged(values[:cut], series)
    packed = series.pack()
    after = judged(values[cut:], Series.unpack(packed), from_s=3600.0 * cut)

    assert len(packed) == STATE_BYTES <= STATE_BYTES_MAX
    assert before + after == judged(values)


def test_what_breaks_out_is_told_in_words() -> None:
    """An alert without a reason helps nobody."""
    found = judged([*waves(1)[:100], 50.0])[-1]

    assert found.is_alert
    assert found.p > 0.5
    assert "above all before" in found.reason


def test_a_growing_outage_alerts_once() -> None:
    """Who has been woken need not be woken again by each row of the same outage."""
    calm = [float(row % 7) for row in range(200)]
    found = judged([*calm, *(20.0 * 1.02**row for row in range(30))])

    assert len([row for row in alerts(found) if row >= 200]) == 1


def test_what_is_missing_is_not_learnt() -> None:
    """A hole in the data is no news of the series."""
    series = Series()
    judged([1.0, 2.0, 3.0], series)
    before = series.pack()

    for missing in (math.nan, math.inf, -math.inf):
        assert series.update(missing, 0.0).score == 0.0
    assert series.pack() == before


def test_times_may_go_back_and_must_be_numbers() -> None:
    """Time only chooses the hour."""
    series = Series()
    series.update(1.0, 7200.0)
    series.update(1e300, 0.0)

    assert series.rows == 2
    with pytest.raises(ValueError, match="finite number of seconds"):
        series.update(1.0, math.nan)
    with pytest.raises(ValueError, match="bytes, got 3"):
        Series.unpack(b"abc")
