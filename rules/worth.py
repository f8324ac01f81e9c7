"""The worth: what an expression comes to, worked out in plain Python: a rule's second reading.

Promise   Where every leaf is known, exactly what the compiled machine has in the expression's register.
          Where some leaf is not known, what comes out does not depend on it; else nothing comes out.
How       One walk. NaN is missing, as in processors/machine.py, and conditions are 0.0 and 1.0; logic
          with a side that is not known is Kleene's: false and unknown is false.
Not here  Registers (compile.py). What to make of it: clauses.py.
"""

from collections.abc import Callable, Mapping, Sequence
from math import floor, isfinite, isnan, nan
from typing import Final, TypeAlias

from rules.expression import Constant, Expression, Operation, TextTest
from rules.operation import pattern

Value: TypeAlias = float | str | None
Known: TypeAlias = Mapping[Expression, Value]
"""Values of leaves. None: missing. A leaf that is not here is not known, and may be anything."""

_COMPARED: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left < right or left > right,
}
_CALCULATED: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right if right != 0.0 else nan,
    "least": lambda left, right: nan if isnan(left) or isnan(right) else min(left, right),
    "greatest": lambda left, right: nan if isnan(left) or isnan(right) else max(left, right),
}
_OF_ONE: Final[Mapping[str, Callable[[float], float]]] = {
    "negate": lambda value: -value,
    "abs": abs,
    "floor": lambda value: float(floor(value)) if isfinite(value) else value,
    "not": lambda value: float(value == 0.0),
    "has": lambda value: float(not isnan(value)),
}


def worth(expression: Expression, known: Known) -> float | None:
    """The number that stands for the expression; None where that depends on what is not known.

    A text is 0.0 where it is there, for `has`; what it is, only tests of texts look at.

    >>> from rules.expression import Score, Type
    >>> from rules.syntax import Span
    >>> health = Score("health", None, Span(0, 1))
    >>> below = Operation("<", (health, Constant(40.0, Type.NUMBER, Span(0, 1))), Type.CONDITION, Span(0, 1))
    >>> worth(below, {health: 31.2}), worth(below, {health: None}), worth(below, {})
    (1.0, 0.0, None)
    """
    match expression:
        case Constant():
            return expression.value
        case TextTest():
            return _tested(expression, known)
        case Operation():
            return _worked_out(expression, known)
        case _:
            if expression not in known:
                return None
            value = known[expression]
            return nan if value is None else 0.0 if isinstance(value, str) else float(value)


def holds(condition: Expression, known: Known) -> bool | None:
    """Whether the condition holds; None where that depends on what is not known."""
    found = worth(condition, known)
    return None if found is None else found != 0.0


def _tested(test: TextTest, known: Known) -> float | None:
    if test.subject not in known:
        return None
    text = known[test.subject]
    return float(isinstance(text, str) and passes(test.test, test.texts, text))


def passes(test: str, texts: Sequence[str], text: str) -> bool:
    """Whether a text passes a test against these texts; the tests are those of TextTest."""
    match test:
        case "is":
            return text in texts
        case "is not":
            return text not in texts
        case "starts_with":
            return text.startswith(texts[0])
        case _:
            return pattern(texts[0]).search(text) is not None


def _worked_out(operation: Operation, known: Known) -> float | None:
    sign = operation.sign
    if sign in ("and", "or"):
        return _joined(operation, known)
    values = [worth(each, known) for each in operation.operands]
    first = values[0]
    if sign == "coalesce":
        return values[1] if first is not None and isnan(first) else first
    found = [value for value in values if value is not None]
    if len(found) < len(values):
        return None
    if sign in ("in", "not in"):
        subject, items = found[0], found[1:]
        if sign == "in":
            return float(any(subject == item for item in items))
        return float(all(_COMPARED["!="](subject, item) for item in items))
    if sign in _OF_ONE:
        return _OF_ONE[sign](found[0])
    if sign in _COMPARED:
        return float(_COMPARED[sign](found[0], found[1]))
    result = found[0]
    for each in found[1:]:
        result = _CALCULATED[sign](result, each)
    return result


def _joined(operation: Operation, known: Known) -> float | None:
    """`and` and `or`: one side that decides is enough, whatever is not known of the others."""
    decides = operation.sign == "or"
    verdicts = [holds(each, known) for each in operation.operands]
    if decides in verdicts:
        return float(decides)
    return None if None in verdicts else float(not decides)
