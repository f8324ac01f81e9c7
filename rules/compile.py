"""Compiling: from checked expressions to registers of the plan.

Promise   The register holds, for each event, what the expression means; equal pieces of different rules
          are worked out once, because the builder shares them.
How       Aggregates by function: over a window EVENTS, with a half-life DECAY or MOMENTS, over the whole
          life TOTAL, MINIMUM, MAXIMUM, LAST, FIRST. Texts become bits of the event.
Not here  Types (check.py). Running (processors/machine.py).
"""

from collections.abc import Callable
from functools import reduce
from math import log
from typing import Final

import msgspec

from processors.aggregate import Aggregate, AggregateKind
from processors.aggregate import Reading as Read
from processors.attributes import text_code
from processors.machine import Op
from processors.plan import PlanBuilder
from processors.register import ACTION, Register, TextTest
from rules.expression import (
    Attribute,
    AttributeTest,
    Consent,
    Constant,
    Events,
    Expression,
    Field,
    Operation,
    Reading,
    Score,
    Trend,
    Type,
)
from rules.expression import TextTest as TextCondition
from rules.operation import pattern
from rules.vocabulary import ACTION_FIELD

DAY_MS: Final = 86_400_000

_OPS: Final = {
    "+": Op.ADD,
    "-": Op.SUB,
    "*": Op.MUL,
    "/": Op.DIV,
    "negate": Op.NEG,
    "abs": Op.ABS,
    "floor": Op.FLOOR,
    "least": Op.MIN,
    "greatest": Op.MAX,
    "coalesce": Op.COALESCE,
    "<": Op.LT,
    "<=": Op.LE,
    ">": Op.GT,
    ">=": Op.GE,
    "=": Op.EQ,
    "!=": Op.NE,
    "and": Op.AND,
    "or": Op.OR,
    "not": Op.NOT,
    "has": Op.HAS,
}
_WINDOWED: Final = {
    "count": Read.COUNT,
    "sum": Read.SUM,
    "mean": Read.MEAN,
    "min": Read.MIN,
    "max": Read.MAX,
    "rate": Read.RATE,
    "approximate": Read.APPROXIMATE,
}
_WHOLE_LIFE: Final = {
    "count": (AggregateKind.TOTAL, Read.COUNT),
    "sum": (AggregateKind.TOTAL, Read.SUM),
    "mean": (AggregateKind.TOTAL, Read.MEAN),
    "min": (AggregateKind.MINIMUM, Read.VALUE),
    "max": (AggregateKind.MAXIMUM, Read.VALUE),
    "since": (AggregateKind.LAST, Read.SINCE),
    "last": (AggregateKind.LAST, Read.VALUE),
    "first": (AggregateKind.FIRST, Read.VALUE),
}
_DECAYED: Final = {
    "count": (AggregateKind.DECAY, Read.VALUE),
    "sum": (AggregateKind.DECAY, Read.VALUE),
    "rate": (AggregateKind.DECAY, Read.VALUE),
    "mean": (AggregateKind.MOMENTS, Read.MEAN),
    "deviation": (AggregateKind.MOMENTS, Read.DEVIATION),
    "zscore": (AggregateKind.MOMENTS, Read.ZSCORE),
}


def compile_expression(expression: Expression, builder: PlanBuilder) -> Register:
    """The register that will hold the expression's value; a text of the event has none."""
    match expression:
        case Constant():
            return builder.constant(expression.value)
        case Score():
            return builder.names[expression.name].register
        case Field():
            assert expression.type == Type.NUMBER, "a text of the event stands only in a test"
            return builder.number(expression.name)
        case Trend():
            source = builder.names[expression.score.name].register
            return builder.time_average(source, expression.half_life_ms)
        case Reading():
            return _reading(expression, builder)
        case TextCondition():
            return _text_condition(expression, builder)
        case Operation():
            return _operation(expression, builder)
        case Attribute():
            return builder.attribute(expression.name, text=False)
        case AttributeTest():
            return _attribute_test(expression, builder)
        case Consent():
            return builder.consented(expression.channel)


def compile_events(events: Events, builder: PlanBuilder) -> Register:
    """The register that is 1.0 for these events."""
    chosen = builder.action(events.kind, events.action)
    if events.where is None:
        return chosen
    return builder.apply(Op.AND, chosen, compile_expression(events.where, builder))


def _operation(operation: Operation, builder: PlanBuilder) -> Register:
    first, *rest = operation.operands
    if operation.sign == "has" and isinstance(first, Field) and first.type == Type.TEXT:
        return _field_test(first, "is there", lambda text: text is not None, builder)
    registers = [compile_expression(each, builder) for each in operation.operands]
    if operation.sign in ("in", "not in"):
        each_op, join = (Op.EQ, Op.OR) if operation.sign == "in" else (Op.NE, Op.AND)
        tests = [builder.apply(each_op, registers[0], item) for item in registers[1:]]
        return reduce(lambda left, right: builder.apply(join, left, right), tests)
    op = _OPS[operation.sign]
    if not rest:
        return builder.apply(op, registers[0])
    return reduce(lambda left, right: builder.apply(op, left, right), registers)


def _text_condition(condition: TextCondition, builder: PlanBuilder) -> Register:
    passes = _passes(condition)
    name = f"{condition.test} {msgspec.json.encode(condition.texts).decode()}"
    subject = condition.subject
    if isinstance(subject, Field):
        return _field_test(subject, name, lambda text: text is not None and passes(text), builder)
    source = builder.names[subject.name].register
    tests = [
        builder.apply(Op.EQ, source, builder.constant(code))
        for code, text in enumerate(subject.texts or ())
        if passes(text)
    ]
    nothing = builder.constant(0.0)
    return (
        reduce(lambda left, right: builder.apply(Op.OR, left, right), tests) if tests else nothing
    )


def _attribute_test(test: AttributeTest, builder: PlanBuilder) -> Register:
    text = builder.attribute(test.name, text=True)
    if test.test == "is there":
        number = builder.attribute(test.name, text=False)
        return builder.apply(Op.OR, builder.apply(Op.HAS, text), builder.apply(Op.HAS, number))
    each_op, join = (Op.EQ, Op.OR) if test.test == "is" else (Op.NE, Op.AND)
    tests = [builder.apply(each_op, text, builder.constant(text_code(each))) for each in test.texts]
    return reduce(lambda left, right: builder.apply(join, left, right), tests)


def _passes(condition: TextCondition) -> Callable[[str], bool]:
    texts = frozenset(condition.texts)
    if condition.test == "is":
        return lambda text: text in texts
    if condition.test == "is not":
        return lambda text: text not in texts
    (only,) = condition.texts
    if condition.test == "starts_with":
        return lambda text: text.startswith(only)
    compiled_pattern = pattern(only)
    return lambda text: compiled_pattern.search(text) is not None


def _field_test(
    field: Field, name: str, passes: Callable[[str | None], bool], builder: PlanBuilder
) -> Register:
    if field.name != ACTION_FIELD:
        return builder.text_test(field.name, TextTest(name, passes))

    def action_passes(text: str | None) -> bool:
        return text is not None and passes(text.partition(".")[2])

    return builder.text_test(ACTION, TextTest(f"action {name}", action_passes))


def _reading(reading: Reading, builder: PlanBuilder) -> Register:
    where = compile_events(reading.events, builder)
    if reading.function == "distinct":
        assert reading.field is not None, "distinct has a field"
        value = builder.text_hash(reading.field)
        where = builder.apply(Op.AND, where, builder.apply(Op.HAS, value))
        buckets = builder.aggregate(AggregateKind.DISTINCT, where, value)
        return _read(reading, buckets, Read.DISTINCT, builder)
    number: Register | None = None
    if reading.field is not None:
        number = builder.number(reading.field)
        where = builder.apply(Op.AND, where, builder.apply(Op.HAS, number))
    if reading.window_ms:
        kept = builder.aggregate(AggregateKind.EVENTS, where, number, exact_events=reading.exact)
        return _read(reading, kept, _WINDOWED[reading.function], builder)
    if not reading.half_life_ms:
        kind, how = _WHOLE_LIFE[reading.function]
        return _read(reading, builder.aggregate(kind, where, number), how, builder)
    kind, how = _DECAYED[reading.function]
    faded = builder.aggregate(kind, where, number, half_life_ms=reading.half_life_ms)
    value = _read(reading, faded, how, builder)
    if reading.function != "rate":
        return value
    # An even stream of r events a day has a decayed count of r × half-life / ln 2.
    per_day = builder.constant(log(2) * DAY_MS / reading.half_life_ms)
    return builder.apply(Op.MUL, value, per_day)


def _read(reading: Reading, aggregate: Aggregate, how: Read, builder: PlanBuilder) -> Register:
    return builder.read(aggregate, how, window_ms=reading.window_ms, before=reading.before)
