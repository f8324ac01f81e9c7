"""The tree of clauses: a second reading of a rule, which must never part from the machine's."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.clauses import Clause, clause
from rules.expression import Constant, Expression, Operation, Score, Sign, TextTest, Type, leaves
from rules.worth import Value, holds, worth
from tests.rules.expressions import (
    BAND,
    CHANNEL,
    CONDITIONS,
    DURATIONS,
    HEALTH,
    NOWHERE,
    NUMBERS,
    operation,
)
from tests.rules.oracle import COMPARISONS
from tests.rules.test_compile import drawn, machine_says

EVENTS: Final = 3
EXTREMES: Final = (-0.0, 1e-308, 1e300, -1.7e308, math.inf)
PATTERNS: Final = ("^w", "p$", "(?i)WEB", "a|o", "^$")
ZERO: Final = Constant(0.0, Type.NUMBER, NOWHERE)


def rare() -> st.SearchStrategy[Expression]:
    """What other laws' expressions have not: has of calculations, ratios, three of a kind, patterns."""
    ratio = st.builds(
        lambda left, right: operation("/", Type.NUMBER, left, right), DURATIONS, DURATIONS
    )
    several = st.builds(
        lambda sign, them: Operation(sign, them, Type.NUMBER, NOWHERE),
        st.sampled_from(("least", "greatest")),
        st.tuples(NUMBERS, NUMBERS, NUMBERS),
    )
    compared = st.builds(
        lambda sign, left, right: operation(sign, Type.CONDITION, left, right),
        st.sampled_from(("<", "<=", ">", ">=", "=", "!=")),
        ratio | several,
        NUMBERS,
    )
    asked = (NUMBERS | DURATIONS | ratio | several).map(
        lambda inner: operation("has", Type.CONDITION, inner)
    )
    matched = st.builds(
        lambda subject, text: TextTest(subject, "matches", (text,), NOWHERE),
        st.sampled_from((CHANNEL, BAND)),
        st.sampled_from(PATTERNS),
    )
    return st.one_of(compared, asked, matched)


def joined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.builds(
        lambda sign, them: Operation(sign, tuple(them), Type.CONDITION, NOWHERE),
        st.sampled_from(("and", "or")),
        st.lists(inner, min_size=2, max_size=4),
    )
    return several | inner.map(lambda each: operation("not", Type.CONDITION, each))


RULES: Final = st.recursive(CONDITIONS | rare(), joined, max_leaves=4)


def values_of(condition: Expression, data: st.DataObject) -> dict[Expression, Value]:
    """A row: what the leaves come to, now and then as extreme as floats can be."""

    def value(leaf: Expression) -> Value:
        usual = drawn(leaf, data)
        is_plain = leaf.type in (Type.TEXT, Type.CONDITION)
        if is_plain or data.draw(st.integers(0, 9)) < 9:
            return usual
        return data.draw(st.sampled_from(EXTREMES))

    return {leaf: value(leaf) for leaf in leaves(condition)}


@pytest.mark.slow
@given(RULES, st.data())
def test_the_explanation_and_the_machine_agree_always(
    condition: Expression, data: st.DataObject
) -> None:
    """An explanation that is wrong is worse than none: people act on it."""
    rows = [values_of(condition, data) for _ in range(EVENTS)]

    told = [clause(condition, row).holds for row in rows]

    assert told == [answer != 0.0 for answer in machine_says(condition, rows)]


@pytest.mark.slow
@given(NUMBERS | DURATIONS, st.data())
def test_each_value_that_is_shown_is_the_machines(value: Expression, data: st.DataObject) -> None:
    """`health is 52.1` must be the number that was compared."""
    row = values_of(value, data)

    answer = worth(value, row)

    assert answer is not None
    assert [None if math.isnan(answer) else answer] == machine_says(value, [row])


@pytest.mark.slow
@given(RULES, st.data())
def test_what_is_decided_without_an_event_is_decided_so_by_every_event(
    condition: Expression, data: st.DataObject
) -> None:
    """A rule about one event is explained between events; what is said must hold whatever comes."""
    row = values_of(condition, data)
    known = {leaf: value for leaf, value in row.items() if data.draw(st.booleans())}

    told = clause(condition, known).holds

    if told is not None:
        assert [told] == [answer != 0.0 for answer in machine_says(condition, [row])]


def parts(tree: Clause) -> list[Clause]:
    return [tree, *(part for each in tree.inside for part in parts(each))]


@pytest.mark.slow
@given(RULES, st.data())
def test_every_part_of_the_tree_says_what_the_machine_says(
    condition: Expression, data: st.DataObject
) -> None:
    """Whoever reads a tree reads its leaves; and what fails says what would have to change."""
    row = values_of(condition, data)

    for each in parts(clause(condition, row)):
        assert [each.holds] == [answer != 0.0 for answer in machine_says(each.expression, [row])]
        assert bool(each.changes) == (each.holds != each.should_hold)
        assert each.text
        assert each.phrase


@pytest.mark.parametrize("sign", get_args(Sign))
def test_each_operation_is_worth_what_the_machine_says(sign: Sign) -> None:
    """Random expressions reach the rare operations rarely."""
    logic = sign in ("and", "or", "not")
    unary = sign in ("not", "has", "negate", "abs", "floor")
    kind = Type.CONDITION if logic or sign in (*COMPARISONS, "has") else Type.NUMBER
    anomaly = Score("anomaly.amount", None, NOWHERE)
    operands: list[Expression] = [HEALTH, anomaly]
    if logic:
        operands = [operation(">", Type.CONDITION, side, ZERO) for side in operands]
    expression = operation(sign, kind, *operands[: 1 if unary else 2])
    values = (None, -2.5, -0.0, 0.0, 3.0, 3.5, math.inf)
    rows: list[dict[Expression, Value]] = [
        {HEALTH: one, anomaly: other} for one in values for other in values
    ]

    told = [worth(expression, row) for row in rows]

    assert [None if each is None or math.isnan(each) else each for each in told] == machine_says(
        expression, rows
    )


SCORED: Final = tuple(Score(f"score_{number}", None, NOWHERE) for number in range(12))


def comparisons(score: Score) -> st.SearchStrategy[Expression]:
    number = st.integers(-20, 20).map(lambda value: Constant(float(value), Type.NUMBER, NOWHERE))
    compared = st.builds(
        lambda sign, other: operation(sign, Type.CONDITION, score, other),
        st.sampled_from(("<", "<=", ">", ">=", "=", "!=")),
        number,
    )
    mirrored = st.builds(
        lambda sign, other: operation(sign, Type.CONDITION, other, score),
        st.sampled_from(("<", "<=", ">", ">=")),
        number,
    )
    listed = st.builds(
        lambda sign, one, other: operation(sign, Type.CONDITION, score, one, other),
        st.sampled_from(("in", "not in")),
        number,
        number,
    )
    return st.one_of(compared, mirrored, listed)


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    """Conditions of which each judges a score of its own."""
    count = draw(st.integers(1, len(SCORED)))
    pieces = [draw(comparisons(score)) for score in SCORED[:count]]
    while len(pieces) > 1 or draw(st.booleans()):
        sign: Sign = draw(st.sampled_from(("and", "or", "not")))
        many = 1 if sign == "not" else min(len(pieces), draw(st.integers(2, 4)))
        if sign != "not" and many < 2:
            continue
        pieces = [*pieces[many:], operation(sign, Type.CONDITION, *pieces[:many])]
    return pieces[0]


def changed(row: Mapping[Expression, Value], tree: Clause) -> dict[Expression, Value]:
    """The row after all the changes that the tree asks for, and no more than they ask for."""
    by_name = {score.name: score for score in SCORED}
    made: dict[Expression, Value] = {**row}
    for change in tree.changes:
        sign = change.needs.partition(" ")[0]
        threshold = change.wanted if isinstance(change.wanted, float) else 1e9
        moved = {"<": -math.inf, ">": math.inf, "!=": math.inf}.get(sign)
        value = threshold if moved is None else math.nextafter(threshold, moved)
        made[by_name[change.what]] = value
    return made


@pytest.mark.slow
@given(trees(), st.data())
def test_what_would_have_to_change_is_enough_and_is_the_least(
    condition: Expression, data: st.DataObject
) -> None:
    """A user who does what we say must see the rule fire; and asking for less would not do."""
    numbers = st.integers(-20, 20).map(float) | st.none()
    row: dict[Expression, Value] = {score: data.draw(numbers) for score in SCORED}
    tree = clause(condition, row)

    assert holds(condition, changed(row, tree))
    for change in tree.changes:  # of an `or` the nearest way is taken; each step of it is needed
        left = [each for each in tree.changes if each is not change]
        without = replace(tree, changes=tuple(left))
        assert not holds(condition, changed(row, without))
