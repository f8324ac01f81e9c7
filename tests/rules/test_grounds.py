"""The grounds of a fire: few clauses, and enough of them."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from processors.event import Event
from rules.action import Because
from rules.check import Checker
from rules.clauses import value_of
from rules.expression import Events, Expression, leaves
from rules.grounds import GROUNDS_MAX, Comparison, Floats, Grounds, grounds_of, why
from rules.parse import parse
from rules.rule import Rule
from rules.worth import Known, Value, holds
from tests.rules.expressions import SCORES
from tests.rules.test_clauses import RULES, values_of

EVENT = Event("e", "order", "placed", "c", 1_700_000_000_000)
NOTHING = np.zeros((1, 1))


@dataclass(frozen=True, slots=True)
class Bound:
    """Reads from a row of values instead of registers."""

    expression: Expression
    known: Known

    def value(self, registers: Floats, index: int, event: Event) -> Value:
        assert (registers is NOTHING, index, event) == (True, 0, EVENT)
        return value_of(self.expression, self.known)


def rule_of(
    when: Expression | None, *, unless: Expression | None = None, on: Events | None = None
) -> Rule:
    return Rule(name="r", version=1, when=when, unless=unless, on=on, targets=(), file="", line=1)


def comparisons(grounds: Grounds | Comparison, known: Known) -> list[Expression]:
    """What is compared in the clauses that are grounds."""
    if isinstance(grounds, Comparison):
        assert isinstance(grounds.condition, Bound)
        return [grounds.condition.expression]
    chosen = [
        each for each in grounds.inside if grounds.are_all_needed or each.holds(NOTHING, 0, EVENT)
    ]
    return [found for each in chosen for found in comparisons(each, known)]


@pytest.mark.slow
@given(RULES, st.data())
def test_the_clauses_that_are_named_decide_by_themselves(
    condition: Expression, data: st.DataObject
) -> None:
    """Else the receiver is told half of the reason: whatever the rest is, the condition holds."""
    row = values_of(condition, data)
    assume(holds(condition, row))

    grounds = grounds_of(rule_of(condition), lambda each: Bound(each, row))

    assert grounds.holds(NOTHING, 0, EVENT)
    named = {leaf for each in comparisons(grounds, row) for leaf in leaves(each)}
    assert holds(condition, {leaf: row[leaf] for leaf in named})
    assert len(why(grounds, NOTHING, 0, EVENT)) <= GROUNDS_MAX


def condition_in(text: str) -> Expression:
    checker = Checker({**SCORES, "orders": None}, fields=True)
    checked = checker.condition(parse(text))
    assert checked is not None, checker.mistakes
    return checked


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("health < 40", [("health < 40", 30.0)]),
        ("health < 40 and amount > 5", [("health < 40", 30.0), ("amount > 5", 9.0)]),
        ("health < 10 or amount > 5", [("amount > 5", 9.0)]),
        ("not (health < 10 or amount > 50)",
            [("not health < 10", 30.0), ("not amount > 50", 9.0)]),
        ("not (health < 10 and amount > 5)", [("not health < 10", 30.0)]),
        ("40 > health", [("40 > health", 30.0)]),
        ("channel = 'web'", [('channel = "web"', "web")]),
        ("not has(orders)", [("not has(orders)", None)]),
        ("health / 2 = 15", [("health / 2 = 15", 15.0)]),
        (" and ".join(f"amount > {number}" for number in range(9)),
            [(f"amount > {number}", 9.0) for number in range(8)]),
    ],
)  # fmt: skip
def test_clauses_are_told_with_the_values_that_they_judged(
    when: str, expected: list[tuple[str, Value]]
) -> None:
    """The words are the rule's own, in one spelling, like the names of the values."""
    condition = condition_in(when)
    row: dict[str, Value] = {"health": 30.0, "amount": 9.0, "channel": "web", "orders": None}
    known: dict[Expression, Value] = {
        leaf: row[getattr(leaf, "name", "")] for leaf in leaves(condition)
    }

    grounds = grounds_of(rule_of(condition), lambda each: Bound(each, known))

    assert why(grounds, NOTHING, 0, EVENT) == tuple(Because(*each) for each in expected)


def test_the_events_own_condition_and_the_exception_are_grounds_too() -> None:
    """All three had to hold, each in its way."""
    small, red, high = map(condition_in, ("amount < 5", "health < 40", "orders > 2"))
    row: dict[Expression, Value] = {
        leaf: 1.0 for each in (small, red, high) for leaf in leaves(each)
    }
    on = Events("order", "paid", small, small.span)

    grounds = grounds_of(rule_of(red, unless=high, on=on), lambda each: Bound(each, row))

    told = [each.clause for each in why(grounds, NOTHING, 0, EVENT)]
    assert told == ["amount < 5", "health < 40", "not orders > 2"]


def test_a_rule_without_a_condition_has_no_clauses() -> None:
    """A sequence is its own reason."""
    assert why(grounds_of(rule_of(None), lambda each: Bound(each, {})), NOTHING, 0, EVENT) == ()
