"""What is possible: a condition that is said never to hold holds for nobody."""

from math import nan
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.bounds import bounds_of, never_above
from rules.expression import Constant, Expression, Operation, Reading, Type, leaves
from rules.possible import can_fail, can_hold
from rules.worth import Value, holds
from tests.rules.expressions import (
    BAND,
    BANDS,
    CHANNEL,
    CHANNELS,
    CONDITION_LEAVES,
    DAY_MS,
    HEALTH,
    NOWHERE,
    operation,
    reading,
)
from tests.rules.loading import rule

SIGNS: Final = ("<", "<=", "=", "!=", ">=", ">")
COUNTS: Final = (
    reading("count", window_ms=DAY_MS, exact=16),
    reading("count", window_ms=7 * DAY_MS, exact=16),
    reading("count"),
)
NUMBERS: Final[tuple[Expression, ...]] = (HEALTH, *COUNTS, reading("max", "amount"))


def condition(text: str) -> Expression:
    found = rule(f'when = """{text}"""').when
    assert found is not None
    return found


def number(value: float) -> Constant:
    return Constant(float(value), Type.NUMBER, NOWHERE)


def compared() -> st.SearchStrategy[Expression]:
    values = st.one_of(st.sampled_from(NUMBERS), st.integers(-2, 5).map(number))
    scaled = st.builds(
        lambda value, by: operation("*", Type.NUMBER, value, number(by)),
        st.sampled_from(NUMBERS),
        st.sampled_from([-2.0, 0.5, 2.0]),
    )
    return st.builds(
        lambda sign, left, right: operation(sign, Type.CONDITION, left, right),
        st.sampled_from(SIGNS),
        st.one_of(values, scaled),
        values,
    )


def conditions() -> st.SearchStrategy[Expression]:
    """Conditions of few values and numbers, so that many of them contradict themselves."""
    text = st.sampled_from(
        [
            condition(each)
            for each in (
                'health.band = "red"',
                'health.band != "red"',
                'health.band in ("red", "amber")',
                'health.band starts_with "a"',
                "has(health)",
                "health in (1, 2)",
                "health not in (1, 3)",
            )
        ]
    )
    single = st.one_of(compared(), text, st.sampled_from(CONDITION_LEAVES))
    return st.recursive(
        single,
        lambda inner: st.one_of(
            inner.map(lambda one: operation("not", Type.CONDITION, one)),
            st.builds(
                lambda sign, them: Operation(sign, tuple(them), Type.CONDITION, NOWHERE),
                st.sampled_from(["and", "or"]),
                st.lists(inner, min_size=2, max_size=3),
            ),
        ),
        max_leaves=6,
    )


@st.composite
def customers(draw: st.DrawFn) -> dict[Expression, Value]:
    """What can be known of a customer: a count of a week is never below that of its last day."""
    day = draw(st.integers(0, 4))
    week = day + draw(st.integers(0, 2))
    known: dict[Expression, Value] = dict(
        zip(COUNTS, (day, week, week + draw(st.integers(0, 2))), strict=True)
    )
    known[HEALTH] = draw(st.sampled_from([None, 0.0, 0.5, 1.0, 2.0, 3.0, 100.0]))
    known[NUMBERS[-1]] = draw(st.sampled_from([None, -4.0, 0.0, 1.5, 9.0]))
    known[BAND] = draw(st.sampled_from(BANDS))
    known[CHANNEL] = draw(st.sampled_from([None, *CHANNELS]))
    for each in CONDITION_LEAVES:
        known[each] = float(draw(st.booleans()))
    return known


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(conditions(), st.lists(customers(), min_size=5, max_size=12))
def test_what_is_said_to_be_impossible_is_so(
    made: Expression, them: list[dict[Expression, Value]]
) -> None:
    """A linter that is wrong once is switched off for ever."""
    possible, fallible = can_hold(made), can_fail(made)
    for known in them:
        assert set(leaves(made)) <= {*known}
        assert possible or not holds(made, known)
        assert fallible or holds(made, known)


@pytest.mark.parametrize(
    "text",
    [
        "health < 40 and health > 60",
        "health > 100",
        "health.confidence > 1",
        "count(order.placed, 1d) > count(order.placed, 7d)",
        "count(order.placed, 1d) >= 5 and count(order.placed, 7d) < 5",
        "count(order.placed where amount > 5, 7d) > count(order.*, 7d)",
        "count(order.placed, 7d) > count(order.placed)",
        "since(order.placed) < since(order.*)",
        "since(order.placed) / 1d > 60 and since(order.placed) < 30d",
        "health.band starts_with 'x'",
        'health.band in ("red", "amber") and health.band = "green"',
        'attribute.tier = "gold" and attribute.tier = "silver"',
        "consent.email and not consent.email",
        "orders_count > 2 and orders_count < 3",
        "anomaly.amount.alert > 1",
        "has(health) and not has(health)",
        "not has(health) and health < 3",
        "health > health",
        "-health > 1",
        "abs(health) < 0",
        "health * 2 > 200",
        "health + 5 < 5",
        "least(health, 50) > 50",
        "distinct(order.paid.terminal, 1d) > distinct(order.paid.terminal, 7d)",
        "1 > 2",
    ],
)
def test_contradictions_are_seen(text: str) -> None:
    """Each is one that somebody has written."""
    assert not can_hold(condition(text))


@pytest.mark.parametrize(
    "text",
    [
        "health < 40 or health > 30",
        "count(order.placed, 30d) > 3 * count(order.placed, 7d)",
        "since(order.placed) > 30d and count(order.placed, 30d) = 0",
        "sum(order.placed.amount, 1d) > sum(order.placed.amount, 7d)",
        "anomaly.amount.alert = 1",
        'attribute.tier != "gold" and attribute.tier != "silver"',
        "mean(order.placed.amount, 1d) > mean(order.placed.amount, 7d)",
    ],
)
def test_what_can_be_passes(text: str) -> None:
    """Refunds have negative amounts, and means go up and down."""
    assert can_hold(condition(text))
    assert can_fail(condition(text))


def test_what_may_be_missing_can_fail() -> None:
    """A customer without a score is below nothing, and above nothing."""
    everything = condition("health < 40 or health >= 40")

    assert can_fail(everything)
    assert not can_fail(everything, there=True)
    assert not can_fail(condition("count(order.placed) >= 0"))


def test_at_an_event_it_has_been_counted() -> None:
    """So a rule at orders that waits for no order waits for ever."""
    on = rule('on = "order.paid where amount < 5"').on
    none = condition("count(order.paid, 1h) = 0")

    assert can_hold(none)
    assert not can_hold(none, on)
    assert can_hold(condition("count(order.paid where amount > 9, 1h) = 0"), on)
    assert can_hold(condition("count(order.paid, before) = 0"), on)


def test_too_many_alternatives_are_possible() -> None:
    """A condition with a million of them must not stop the check."""
    parts = " and ".join(f"(health < {each} or orders_count > {each})" for each in range(30))

    assert can_hold(condition(f"{parts} and health > 200"))


def test_bounds_of_calculations() -> None:
    """They follow those of what is calculated with."""
    found = bounds_of(condition("health / 2 - 50 < 0"))
    assert found.low == -float("inf")  # a condition has none

    both = condition("health / (1 + orders_count) < 5")
    assert isinstance(both, Operation)
    assert (bounds_of(both.operands[0]).low, bounds_of(both.operands[0]).high) == (0.0, 100.0)
    assert bounds_of(number(nan)).may_miss is False


def test_longer_windows_hold_more() -> None:
    """Only where both look at the same events, in the same way."""
    one, other = COUNTS[0], COUNTS[1]
    assert isinstance(one, Reading)

    assert never_above(one, other)
    assert not never_above(other, one)
    assert never_above(one, COUNTS[2])
    assert not never_above(one, reading("count", half_life_ms=DAY_MS))
