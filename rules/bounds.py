"""The bounds: between which numbers a value always lies, and which values are never above others.

Promise   What an expression comes to lies within its span, unless it is missing; `may_miss` says whether it
          may be. Where nothing is known, a span has no end.
How       Interval arithmetic over the leaves' own spans. At an event that a reading counts itself, it
          has counted one.
Limits    Events that come late may lie outside of a window that ends later; a rule's reader may forget them,
          so this does.
Not here  Whether a condition can hold (possible.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isnan
from typing import Final

from rules.expression import (
    Attribute,
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
from rules.operation import DISTINCT_MAX
from rules.vocabulary import ACTION_FIELD


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest that a value can be."""

    low: float = -inf
    high: float = inf
    is_whole: bool = False  # only whole numbers
    may_miss: bool = True


_SCORES: Final = {
    "health": Bounds(0.0, 100.0),
    "health.confidence": Bounds(0.0, 1.0),
    "health.trend": Bounds(-100.0, 100.0),
}
_COUNTED: Final = Bounds(0.0, is_whole=True, may_miss=False)
_TREND_OF: Final = {"health": Bounds(-100.0, 100.0), "health.confidence": Bounds(-1.0, 1.0)}
_READINGS: Final = {
    "count": Bounds(0.0, may_miss=False),
    "sum": Bounds(may_miss=False),
    "rate": Bounds(0.0, may_miss=False),
    "distinct": Bounds(0.0, DISTINCT_MAX, may_miss=False),
    "since": Bounds(0.0),
    "deviation": Bounds(0.0),
}


def bounds_of(expression: Expression, on: Events | None = None) -> Bounds:
    """The bounds of a number or duration, judged at any time, or at these events."""
    match expression:
        case Constant():
            return Bounds(expression.value, expression.value, may_miss=False)
        case Score():
            return _of_score(expression.name)
        case Trend():
            return _TREND_OF.get(expression.score.name, Bounds())
        case Reading():
            return _of_reading(expression, on)
        case Operation():
            return _of_operation(expression, on)
        case Field() if expression.name == "items_count":
            return Bounds(0.0, is_whole=True)
        case _:
            return Bounds()


def _of_score(name: str) -> Bounds:
    if name.endswith(".alert"):
        return Bounds(0.0, 1.0, is_whole=True)
    if name.endswith("_count") or name == "tickets_open":
        return _COUNTED
    return _SCORES.get(name, Bounds())


def _of_reading(reading: Reading, on: Events | None) -> Bounds:
    found = _READINGS.get(reading.function, Bounds())
    is_life = not reading.window_ms and not reading.half_life_ms
    if reading.function == "count" and is_life:
        found = _COUNTED
    if on is None or reading.before or not covers(reading.events, on):
        return found
    if reading.function == "count":
        return replace(found, low=1.0)
    if reading.function == "since":
        return Bounds(0.0, 0.0, may_miss=False)
    return found


def covers(wide: Events, narrow: Events) -> bool:
    """Whether all events of the one are events of the other, as far as can be seen."""
    is_same_kind = wide.kind == narrow.kind and wide.action in ("*", narrow.action)
    return is_same_kind and wide.where in (None, narrow.where)


def never_above(one: Expression, other: Expression) -> bool:
    """Whether the one value is never above the other, where both are there."""
    if isinstance(one, Constant) and isinstance(other, Constant):
        return one.value <= other.value
    if not isinstance(one, Reading) or not isinstance(other, Reading):
        return False
    if one.function != other.function or one.field != other.field or one.before != other.before:
        return False
    if one.half_life_ms or other.half_life_ms:
        return False
    if one.function in ("count", "distinct", "max"):
        return _is_within(one, other)
    if one.function in ("min", "since"):
        return _is_within(other, one)
    return False


def _is_within(one: Reading, other: Reading) -> bool:
    """Whether the one looks at some of the events at which the other looks."""
    longest = one.window_ms or inf, other.window_ms or inf
    return longest[0] <= longest[1] and covers(other.events, one.events)


def _of_operation(operation: Operation, on: Events | None) -> Bounds:
    inside = [bounds_of(each, on) for each in operation.operands]
    may_miss = any(each.may_miss for each in inside)
    first = inside[0]
    match operation.sign:
        case "+":
            low, high = first.low + inside[1].low, first.high + inside[1].high
        case "-":
            low, high = first.low - inside[1].high, first.high - inside[1].low
        case "negate":
            low, high = -first.high, -first.low
        case "abs":
            low = max(first.low, -first.high, 0.0)
            high = max(abs(first.low), abs(first.high))
        case "*":
            low, high = _ends([x * y for x in _of(first) for y in _of(inside[1])])
        case "/":
            by = inside[1]
            is_safe = by.low > 0 or by.high < 0
            ends = [x / y for x in _of(first) for y in _of(by)] if is_safe else [-inf, inf]
            low, high = _ends(ends)
            may_miss = may_miss or not is_safe
        case "least":
            low, high = min(each.low for each in inside), min(each.high for each in inside)
        case "greatest":
            low, high = max(each.low for each in inside), max(each.high for each in inside)
        case "coalesce":
            low, high = min(each.low for each in inside), max(each.high for each in inside)
            may_miss = first.may_miss and inside[1].may_miss
        case _:
            low, high = -inf, inf
    return Bounds(low, high, may_miss=may_miss)


def _of(bounds: Bounds) -> tuple[float, float]:
    return bounds.low, bounds.high


def _ends(products: Sequence[float]) -> tuple[float, float]:
    """The least and the greatest; nothing is known where one is 0 times infinity."""
    if any(isnan(each) for each in products):
        return -inf, inf
    return min(products), max(products)


def texts_of(subject: Field | Score | Attribute, on: Events | None) -> frozenset[str] | None:
    """All texts that the subject can be; None: any."""
    if isinstance(subject, Score):
        return None if subject.texts is None else frozenset(subject.texts)
    is_action = isinstance(subject, Field) and subject.name == ACTION_FIELD
    if is_action and on is not None and on.action != "*":
        return frozenset((on.action,))
    return None


def text_may_miss(subject: Field | Score | Attribute) -> bool:
    """Whether the text can be missing."""
    is_action = isinstance(subject, Field) and subject.name == ACTION_FIELD
    return not (is_action or isinstance(subject, Score) or subject.type == Type.CONDITION)
