"""Clauses in words: what would have to change, as people read it."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.check import Checker
from rules.clauses import clause, condition_of, distance
from rules.expression import Expression, leaves
from rules.parse import parse
from rules.rule import Rule
from rules.spell import spell
from rules.worth import Value
from tests.rules.expressions import DAY_MS, HEALTH, SCORES


def condition_in(text: str) -> Expression:
    checker = Checker({**SCORES, "orders": None}, fields=True)
    checked = checker.condition(parse(text))
    assert checked is not None, checker.mistakes
    return checked


def told(text: str, values: Mapping[str, Value]) -> list[str]:
    condition = condition_in(text)
    known: dict[Expression, Value] = {leaf: values[spell(leaf)] for leaf in leaves(condition)}
    return [str(each) for each in clause(condition, known).changes]


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("health < 40", {"health": 52.1}, ["health is 52.1, needs < 40"]),
        ("health < 40", {"health": 40.0}, ["health is 40, needs < 40"]),
        ("health < 40", {"health": 40.001}, ["health is 40.001, needs < 40"]),
        ("40 > health", {"health": 52.1}, ["health is 52.1, needs < 40"]),
        ("health < 40", {"health": None}, ["health is missing, needs < 40"]),
        ("not health < 40", {"health": 30.0}, ["health is 30, needs >= 40"]),
        ("not (health < 40 and amount > 5)", {"health": 39.0, "amount": 50.0},
            ["health is 39, needs >= 40"]),
        ("health < 40 and amount > 5", {"health": 50.0, "amount": 4.0},
            ["health is 50, needs < 40", "amount is 4, needs > 5"]),
        ("health < 40 or amount > 5", {"health": 50.0, "amount": 4.9}, ["amount is 4.9, needs > 5"]),
        ("health < 40 or has(amount)", {"health": 90.0, "amount": None}, ["health is 90, needs < 40"]),
        ("health in (1, 7)", {"health": 6.0}, ["health is 6, needs in (1, 7)"]),
        ("health not in (1, 7)", {"health": 7.0}, ["health is 7, needs not in (1, 7)"]),
        ("health < orders", {"health": 6.0, "orders": 2.5}, ["health is 6, needs < 2.5"]),
        ("health < orders", {"health": 6.0, "orders": None}, ["orders is missing, needs to be there"]),
        ("health / orders > 2", {"health": 6.0, "orders": 0.0}, ["health / orders is missing, needs > 2"]),
        ("not has(amount)", {"amount": 1.0}, ["amount is 1, needs to be missing"]),
        ("channel = 'web'", {"channel": "app"}, ['channel is "app", needs = "web"']),
        ("not channel in ('web', 'app')", {"channel": "app"},
            ['channel is "app", needs not in ("web", "app")']),
        ("not channel starts_with 'a'", {"channel": "app"},
            ['channel is "app", needs not to be starts_with "a"']),
        ("health.band = 'red'", {"health.band": None}, ['health.band is missing, needs = "red"']),
        ("since(order.placed) > 30d", {"since(order.placed)": 30.0 * DAY_MS - 60_000},
            ["since(order.placed) is 29d 23h, needs > 30d"]),
        ("consent.phone", {"consent.phone": 0.0}, ["consent.phone is false, needs to hold"]),
        ("not attribute.tier = 'gold'", {'attribute.tier = "gold"': 1.0},
            ['attribute.tier = "gold" is true, needs not to hold']),
        ("attribute.seats > 5", {"attribute.seats": None}, ["attribute.seats is missing, needs > 5"]),
        ("approximate(count(order.placed, 30d))", {"approximate(count(order.placed, 30d))": 0.0},
            ["approximate(count(order.placed, 30d)) is false, needs to hold"]),
    ],
)  # fmt: skip
def test_what_would_have_to_change_is_said_in_words(
    text: str, values: Mapping[str, Value], expected: list[str]
) -> None:
    """The sentence that a user reads first."""
    assert told(text, values) == expected


@pytest.mark.parametrize(
    ("when", "unless", "expected"),
    [
        ("health < 40", None, "health < 40"),
        (
            "health < 40 and orders > 2",
            "amount > 5",
            "health < 40 and orders > 2 and not amount > 5",
        ),
        ("health < 1 or orders > 2", "amount > 5", "(health < 1 or orders > 2) and not amount > 5"),
        (None, "amount > 5", "not amount > 5"),
    ],
)
def test_an_exception_is_one_more_clause_of_the_rule(
    when: str | None, unless: str | None, expected: str
) -> None:
    """`unless` suppresses: the tree shows it where it decides."""
    rule = Rule(
        name="r",
        version=1,
        when=None if when is None else condition_in(when),
        unless=None if unless is None else condition_in(unless),
        targets=(),
        file="",
        line=1,
    )

    condition = condition_of(rule)

    assert condition == condition_in(expected)


def test_below_a_not_a_clause_is_wanted_not_to_hold() -> None:
    """`not health < 40` holds where its inside fails: nothing of that would have to change."""
    condition = condition_in("not health < 40")

    fine, wrong = (clause(condition, {HEALTH: value}) for value in (50.0, 30.0))

    assert (fine.holds, fine.inside[0].holds, fine.inside[0].should_hold) == (True, False, False)
    assert fine.inside[0].changes == ()
    assert [str(each) for each in wrong.inside[0].changes] == ["health is 30, needs >= 40"]


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_a_distance_is_bounded(one: float, other: float) -> None:
    """Else one clause in dollars would always be farther than one in percent."""
    assert 0.0 <= distance(one, other) <= 2.0
    assert distance(one, other) == distance(other, one)
