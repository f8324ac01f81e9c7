"""The tree of clauses: a second reading of a rule, which must never part from the machine's."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.check import Checker
from rules.clauses import Clause, clause, condition_of, distance
from rules.expression import Constant, Expression, Operation, Score, Sign, TextTest, Type, leaves
from rules.parse import parse
from rules.rule import Rule
from rules.spell import spell
from rules.worth import Value, holds, worth
from tests.rules.expressions import (
    BAND,
    CHANNEL,
    CONDITIONS,
    DAY_MS,
    DURATIONS,
    HEALTH,
    NOWHERE,
    NUMBERS,
    SCORES,
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
