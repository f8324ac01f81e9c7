"""The compiled machine and the oracle are two readings of one rule, and agree."""

from collections.abc import Mapping, Sequence
from typing import Final, cast, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.machine import run
from processors.plan import PlanBuilder
from processors.register import Stage
from rules.check import Checker
from rules.compile import compile_expression
from rules.expression import Constant, Expression, Field, Score, Sign, Type, leaves
from rules.parse import parse
from rules.spell import spell
from tests.rules.expressions import BANDS, CHANNELS, CONDITIONS, HEALTH, NOWHERE, SCORES, operation
from tests.rules.oracle import COMPARISONS, meaning

EVENTS: Final = 3
ZERO: Final = Constant(0.0, Type.NUMBER, NOWHERE)
ANOMALY: Final = Score("anomaly.amount", None, NOWHERE)
VALUES: Final = st.one_of(
    st.none(), st.integers(-20, 120).map(float), st.floats(-1e9, 1e9, allow_nan=False)
)


def scored_builder() -> PlanBuilder:
    builder = PlanBuilder()
    for name, texts in SCORES.items():
        builder.score(name, texts)
    return builder


def drawn(leaf: Expression, data: st.DataObject) -> float | str | None:
    if leaf.type == Type.TEXT:
        return data.draw(st.sampled_from((None, *(BANDS if isinstance(leaf, Score) else CHANNELS))))
    if leaf.type == Type.CONDITION:
        return data.draw(st.sampled_from((0.0, 1.0)))
    return data.draw(VALUES)


def machine_says(
    expression: Expression, events: Sequence[Mapping[Expression, float | str | None]]
) -> list[float | None]:
    """What the compiled machine makes of events whose leaves have these values."""
    builder = scored_builder()
    result = compile_expression(expression, builder)
    texts = [
        each for each in leaves(expression) if isinstance(each, Field) and each.type == Type.TEXT
    ]
    places: dict[Expression, int] = {
        leaf: compile_expression(leaf, builder).number
        for leaf in leaves(expression)
        if leaf not in texts
    }
    plan = builder.build()
    registers = np.full((plan.registers, len(events)), np.nan)
    for number, constant in plan.asked.constants.items():
        registers[number] = constant
    for index, values in enumerate(events):
        for field in texts:
            for passes, target in plan.asked.tests.get(field.name, []):
                registers[target, index] = passes(cast("str | None", values[field]))
        for leaf, place in places.items():
            value = values[leaf]
            code = BANDS.index(value) if isinstance(value, str) else value
            registers[place, index] = np.nan if code is None else code
    for stage in Stage:
        run(plan.programs[stage], registers, len(events))
    return [None if np.isnan(each) else float(each) for each in registers[result.number]]


@pytest.mark.slow
@given(CONDITIONS, st.data())
def test_the_machine_says_what_the_oracle_says(condition: Expression, data: st.DataObject) -> None:
    """Users reason about the language; the engine runs the machine. They must never part."""
    events: list[dict[Expression, float | str | None]] = [
        {leaf: drawn(leaf, data) for leaf in leaves(condition)} for _ in range(EVENTS)
    ]

    assert machine_says(condition, events) == [meaning(condition, values) for values in events]


@pytest.mark.parametrize("sign", get_args(Sign))
def test_each_operation_means_what_the_oracle_says(sign: Sign) -> None:
    """Random expressions reach the rare operations rarely."""
    logic = sign in ("and", "or", "not")
    unary = sign in ("not", "has", "negate", "abs", "floor")
    kind = Type.CONDITION if logic or sign in (*COMPARISONS, "has") else Type.NUMBER
    sides = (HEALTH, ANOMALY)
    operands: list[Expression] = list(sides)
    if logic:
        operands = [operation(">", Type.CONDITION, side, ZERO) for side in sides]
    expression = operation(sign, kind, *operands[: 1 if unary else 2])
    values = (None, -2.5, 0.0, 3.0, 3.5)
    events: list[dict[Expression, float | str | None]] = [
        {HEALTH: one, ANOMALY: other} for one in values for other in values
    ]

    assert machine_says(expression, events) == [meaning(expression, each) for each in events]


@pytest.mark.slow
@given(CONDITIONS)
def test_what_is_spelled_and_read_again_is_the_same(condition: Expression) -> None:
    """Values in an action are named by their text; the text must say which value it is."""
    checker = Checker(SCORES, fields=True)

    assert checker.condition(parse(spell(condition))) == condition
    assert not checker.mistakes


def asked(text: str) -> list[str]:
    builder = scored_builder()
    checker = Checker(SCORES, fields=True)
    expression = checker.expression(parse(text))
    assert expression is not None, checker.mistakes
    compile_expression(expression, builder)
    plan = builder.build()
    return [f"{read.aggregate.kind.name} {read.reading.name}" for read in plan.asked.reads]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count(order.placed, 30d)", "EVENTS COUNT"),
        ("count(order.placed)", "TOTAL COUNT"),
        ("count(click.*, half_life 7d)", "DECAY VALUE"),
        ("sum(order.placed.amount, 30d)", "EVENTS SUM"),
        ("sum(order.placed.amount)", "TOTAL SUM"),
        ("sum(order.placed.amount, half_life 7d)", "DECAY VALUE"),
        ("mean(order.placed.amount, 30d)", "EVENTS MEAN"),
        ("mean(order.placed.amount)", "TOTAL MEAN"),
        ("mean(order.placed.amount, half_life 7d)", "MOMENTS MEAN"),
        ("min(order.placed.amount, 30d)", "EVENTS MIN"),
        ("max(order.placed.amount)", "MAXIMUM VALUE"),
        ("rate(click.*, 7d)", "EVENTS RATE"),
        ("rate(click.*, half_life 7d)", "DECAY VALUE"),
        ("distinct(order.paid.terminal, 7d)", "DISTINCT DISTINCT"),
        ("since(order.placed)", "LAST SINCE"),
        ("last(service.nps.score)", "LAST VALUE"),
        ("first(order.placed.amount)", "FIRST VALUE"),
        ("deviation(order.placed.amount)", "MOMENTS DEVIATION"),
        ("zscore(order.placed.amount)", "MOMENTS ZSCORE"),
        ("approximate(count(order.placed, 30d))", "EVENTS APPROXIMATE"),
    ],
)
def test_each_function_asks_for_its_reading(text: str, expected: str) -> None:
    """The mapping is the meaning: a mean that reads a sum would pass every other test."""
    assert asked(text) == [expected]


def test_rules_that_ask_the_same_share_it() -> None:
    """Fifty rules over one count must cost one count."""
    builder = scored_builder()
    for text in ("count(order.placed, 30d) > 3", "count(order.placed, 30d) > 5"):
        expression = Checker(SCORES, fields=False).expression(parse(text))
        assert expression is not None
        compile_expression(expression, builder)

    assert len(builder.build().asked.reads) == 1


def test_an_event_without_the_field_does_not_count_in_a_mean() -> None:
    """Half of the orders may come without an amount; their mean is of the other half."""
    builder = scored_builder()
    expression = Checker(SCORES, fields=False).expression(parse("mean(order.placed.amount, 30d)"))
    assert expression is not None
    compile_expression(expression, builder)
    plan = builder.build()

    assert "has(event.amount)" in plan.asked.aggregates[0].name
