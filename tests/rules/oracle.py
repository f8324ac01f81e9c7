"""The oracle: what an expression means, written slowly, in plain Python.

A missing value is None. The compiled machine must agree with this on every expression and every event.
"""

import math
import re
from collections.abc import Callable, Mapping

from rules.expression import Constant, Expression, Operation, TextTest

Leaves = Mapping[Expression, float | str | None]


def meaning(expression: Expression, leaves: Leaves) -> float | str | bool | None:
    """The value of the expression, where its leaves have these values."""
    if isinstance(expression, Constant):
        return expression.value
    if isinstance(expression, TextTest):
        return passes(expression, leaves[expression.subject])
    if isinstance(expression, Operation):
        return worked_out(expression, leaves)
    return leaves[expression]


def passes(test: TextTest, text: object) -> bool:
    if not isinstance(text, str):
        return False
    match test.test:
        case "is":
            return text in test.texts
        case "is not":
            return text not in test.texts
        case "starts_with":
            return text.startswith(test.texts[0])
        case "matches":
            return re.search(test.texts[0], text) is not None


def worked_out(operation: Operation, leaves: Leaves) -> float | bool | None:
    values = [meaning(each, leaves) for each in operation.operands]
    sign = operation.sign
    if sign == "and":
        return all(values)
    if sign == "or":
        return any(values)
    if sign == "not":
        return not values[0]
    if sign == "has":
        return values[0] is not None
    numbers = [float(each) for each in values if isinstance(each, int | float)]
    if sign == "coalesce":
        return values[0] if values[0] is not None else values[1]  # type: ignore[return-value]
    if len(numbers) < len(values):  # something is missing
        return False if sign in COMPARISONS else None
    if sign in COMPARISONS:
        return COMPARISONS[sign](numbers)
    return CALCULATIONS[sign](numbers)


COMPARISONS: Mapping[str, Callable[[list[float]], bool]] = {
    "<": lambda them: them[0] < them[1],
    "<=": lambda them: them[0] <= them[1],
    ">": lambda them: them[0] > them[1],
    ">=": lambda them: them[0] >= them[1],
    "=": lambda them: them[0] == them[1],
    "!=": lambda them: them[0] != them[1],
    "in": lambda them: them[0] in them[1:],
    "not in": lambda them: them[0] not in them[1:],
}

CALCULATIONS: Mapping[str, Callable[[list[float]], float | None]] = {
    "+": lambda them: them[0] + them[1],
    "-": lambda them: them[0] - them[1],
    "*": lambda them: them[0] * them[1],
    "/": lambda them: None if them[1] == 0 else them[0] / them[1],
    "negate": lambda them: -them[0],
    "abs": lambda them: abs(them[0]),
    "floor": lambda them: float(math.floor(them[0])),
    "least": min,
    "greatest": max,
}
