"""Lift: published numbers, simulated trials, and who belongs to which group."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.lift import (
    Exposure,
    Group,
    Groups,
    difference,
    groups,
    lift,
    needed,
    ratio,
    wilson,
)

DAY_MS = 86_400_000

# Newcombe 1998, table II, method 10.
NEWCOMBE = (
    ((56, 70), (48, 80), 0.0524, 0.3339),
    ((9, 10), (3, 10), 0.1705, 0.8090),
    ((6, 7), (2, 7), 0.0582, 0.8062),
    ((5, 56), (0, 29), -0.0381, 0.1926),
    ((0, 10), (0, 20), -0.1611, 0.2775),
    ((0, 10), (0, 10), -0.2775, 0.2775),
    ((10, 10), (0, 20), 0.6791, 1.0),
    ((10, 10), (0, 10), 0.6075, 1.0),
)


@pytest.mark.parametrize(("one", "other", "lower", "upper"), NEWCOMBE)
def test_the_interval_of_a_difference_is_the_published_one(
    one: tuple[int, int], other: tuple[int, int], lower: float, upper: float
) -> None:
    """Also where one group has nobody who converted, or only such."""
    found = difference(Group(one[1], one[0]), Group(other[1], other[0]))

    assert (found.lower, found.upper) == pytest.approx((lower, upper), abs=0.00006)


@pytest.mark.parametrize(
    ("converted", "customers", "lower", "upper"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_of_a_proportion_is_the_published_one(
    converted: int, customers: int, lower: float, upper: float
) -> None:
    """Newcombe 1998, Two-sided confidence intervals for the single proportion, table I, method 3."""
    found = wilson(Group(customers, converted))

    assert (found.lower, found.upper) == pytest.approx((lower, upper), abs=0.00006)


@pytest.mark.parametrize(
    ("customers", "held_out", "p1", "p2"),
    [
        (900, 100, 0.12, 0.10),
        (900, 100, 0.02, 0.02),
        (9_000, 1_000, 0.055, 0.05),
        (200, 200, 0.5, 0.3),
        (450, 50, 0.30, 0.20),
        (90, 10, 0.4, 0.4),
    ],
)
def test_of_a_hundred_trials_ninety_three_or_more_have_the_truth_in_their_intervals(
    customers: int, held_out: int, p1: float, p2: float
) -> None:
    """An interval that is too narrow finds lift where there is none."""
    chance = np.random.default_rng(20_260_801)
    trials, hits, hits_of_ratio = 4_000, 0, 0
    for _ in range(trials):
        one = Group(customers, int(chance.binomial(customers, p1)))
        other = Group(held_out, int(chance.binomial(held_out, p2)))
        found, times = difference(one, other), ratio(one, other)
        hits += found.lower <= p1 - p2 <= found.upper
        hits_of_ratio += times.lower <= p1 / p2 <= times.upper

    assert hits / trials >= 0.93
    assert hits_of_ratio / trials >= 0.93


groups_of_two = st.integers(1, 2_000).flatmap(
    lambda count: st.builds(Group, st.just(count), st.integers(0, count))
)


@given(groups_of_two, groups_of_two)
def test_intervals_hold_what_was_observed_and_turn_with_the_groups(
    one: Group, other: Group
) -> None:
    """Which group is named first is a matter of taste."""
    found, turned = difference(one, other), difference(other, one)
    times = ratio(one, other)

    assert -1.0 - 1e-9 <= found.lower <= one.conversion - other.conversion + 1e-12
    assert one.conversion - other.conversion - 1e-12 <= found.upper <= 1.0 + 1e-9
    assert (found.lower, found.upper) == pytest.approx((-turned.upper, -turned.lower))
    assert times.lower >= 0.0
    if other.converted:
        assert times.lower <= one.conversion / other.conversion * (1 + 1e-9)
        assert times.upper >= one.conversion / other.conversion * (1 - 1e-9)
        assert times.upper < inf
    else:
        assert times.upper == inf


def test_as_many_are_needed_as_the_tables_say() -> None:
    """12% against 10% take 3,841 customers each; the same effect is dearer with a small group."""
    assert needed(Group(1_000, 120), Group(1_000, 100)) == 2 * 3_841
    uneven = needed(Group(9_000, 1_080), Group(1_000, 100))
    assert uneven is not None
    assert uneven > 20_000
    assert needed(Group(10, 1), Group(100, 10)) is None
    assert needed(Group(0, 0), Group(100, 10)) is None


def test_a_customer_is_in_the_group_of_the_first_exposure_once() -> None:
    """By intention to treat: ten reminders do not make ten customers."""
    exposures = [
        Exposure("twice", 5 * DAY_MS, False),
        Exposure("twice", 1 * DAY_MS, False),
        Exposure("held", 1 * DAY_MS, True),
        Exposure("before", 2 * DAY_MS, False),
        Exposure("late", 2 * DAY_MS, True),
        Exposure("open", 8 * DAY_MS, False),
    ]
    outcomes = {
        "twice": [4 * DAY_MS],  # within the time of the first exposure, before the second
        "held": [1 * DAY_MS, 1 * DAY_MS + 1],
        "before": [1 * DAY_MS, 2 * DAY_MS],  # the very event that set the rule off
        "late": [5 * DAY_MS + 1],
        "open": [9 * DAY_MS],
        "nobody": [1],
    }

    found = groups(exposures, outcomes, within_ms=3 * DAY_MS, end_ms=10 * DAY_MS)

    assert found == Groups(acted=Group(2, 1), held_out=Group(2, 1), undecided=1)


def test_what_is_told_says_whether_it_is_seen_and_how_many_it_would_take() -> None:
    """A lift of a fifth that chance explains is the usual case."""
    unseen = lift(Groups(Group(900, 108), Group(100, 10), 7))
    seen = lift(Groups(Group(9_000, 1_800), Group(1_000, 100), 0))
    nobody = lift(Groups(Group(50, 5), Group(0, 0), 0))
    nothing = lift(Groups(Group(50, 5), Group(50, 0), 0))

    assert (unseen.absolute, unseen.relative) == pytest.approx((0.02, 0.2))
    assert (unseen.is_seen, unseen.undecided) == (False, 7)
    assert unseen.customers_needed == (needed(Group(900, 108), Group(100, 10)) or 0) - 1_000
    assert seen.is_seen
    assert seen.customers_needed is None
    assert seen.relative_interval is not None
    assert seen.relative_interval.lower > 0.5
    assert (nobody.absolute, nobody.absolute_interval, nobody.is_seen) == (None, None, False)
    assert (nothing.relative, nothing.relative_interval) == (None, None)
