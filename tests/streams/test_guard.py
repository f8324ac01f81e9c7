"""The guard's decision, as a function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.controls import Expected
from streams.guard import (
    CUSTOMERS_MIN,
    FIRES_MIN,
    Found,
    Hour,
    Limits,
    expectation,
    judged,
)

LIMITS = Limits(times=5.0, share=0.1)
EXPECTED = Expected(an_hour=20.0, share=0.01)


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (Found(100, 80, 10_000), None),
        (Found(101, 80, 10_000), "fires an hour"),
        (Found(50, 1_000, 10_000), None),
        (Found(50, 1_001, 10_000), "customers a day"),
        (Found(101, 1_001, 10_000), "fires an hour"),
    ],
)
def test_a_rule_is_stopped_one_beyond_its_bound(found: Found, what: str | None) -> None:
    """Either bound alone is enough."""
    trip = judged(EXPECTED, found, LIMITS)

    assert (None if trip is None else trip.what) == what


def test_a_trip_says_what_was_expected_and_what_was_found() -> None:
    """Who is woken by it has nothing else to go by."""
    fires = judged(EXPECTED, Found(2_500, 0, 10_000), LIMITS)
    customers = judged(EXPECTED, Found(0, 1_500, 10_000), LIMITS)

    assert str(fires) == "2,500 fires an hour, where 20 were expected and 100 are the bound"
    assert (
        str(customers) == "1,500 customers a day, where 100 were expected and 1,000 are the bound"
    )


def test_few_fires_are_never_too_many() -> None:
    """Five times nothing is nothing, and a small shop has few customers."""
    nothing = Expected(0.0, 0.0)

    assert judged(nothing, Found(FIRES_MIN, CUSTOMERS_MIN, 30), LIMITS) is None
    assert judged(nothing, Found(FIRES_MIN + 1, 0, 30), LIMITS) is not None
    assert judged(nothing, Found(0, CUSTOMERS_MIN + 1, 30), LIMITS) is not None


def test_a_share_that_was_expected_is_no_surprise() -> None:
    """A rule for all who ordered reaches more than a tenth, and was seen to do so in shadow."""
    expected = Expected(an_hour=1e6, share=0.15)

    assert judged(expected, Found(0, 7_500, 10_000), LIMITS) is None
    assert judged(expected, Found(0, 7_501, 10_000), LIMITS) is not None
    assert judged(Expected(1e6, 0.5), Found(0, 10_000, 10_000), LIMITS) is None


def test_each_bound_can_be_turned_off() -> None:
    """0 in the settings."""
    everybody = Found(10**6, 10_000, 10_000)

    assert judged(EXPECTED, everybody, Limits(times=0.0, share=0.0)) is None
    trip = judged(EXPECTED, everybody, Limits(times=0.0, share=0.1))
    assert trip is not None
    assert trip.what == "customers a day"


@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), max_size=200),
    st.integers(0, 10_000),
)
def test_a_rule_that_goes_on_as_before_is_never_stopped(
    hours: list[tuple[int, int]], touched: int
) -> None:
    """A guard that stops what it was told to expect would be turned off within a week."""
    expected = expectation([Hour(*each) for each in hours], touched, 10_000, acts_for=1.0)

    for acted, would in hours:
        found = Found(acted + would, touched, 10_000)
        assert judged(expected, found, Limits(times=1.0, share=0.1)) is None


def test_a_canary_is_expected_to_do_its_share() -> None:
    """What it did in shadow it would have done for all."""
    hours = [Hour(acted=0, would=400), Hour(acted=100, would=900)]

    assert expectation(hours, 500, 10_000, acts_for=0.1) == Expected(100.0, 0.005)
    assert expectation(hours, 500, 10_000, acts_for=1.0) == Expected(1_000.0, 0.05)
    assert expectation([], 0, 0, acts_for=1.0) == Expected(0.0, 0.0)
