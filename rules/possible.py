"""What is possible: whether a condition can hold, and whether it can fail.

Promise   A condition that `can_hold` denies holds for nobody, ever; one that `can_fail` denies fails for
          nobody. In doubt the answer is yes.
How       In each alternative (alternatives.py) the tests of one value leave an interval, or a set of
          texts, within its bounds. One that is left empty contradicts itself, and so does a value that
          would have to be above another that it never exceeds.
Limits    A condition with too many alternatives is taken to be possible.
Not here  Bounds of values (bounds.py). What to say about it (lint.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, floor, inf, isnan
from typing import TypeAlias

from rules.alternatives import (
    Alternative,
    Compared,
    Fact,
    Present,
    Reader,
    Subject,
    Told,
    TooManyError,
)
from rules.bounds import Bounds, bounds_of, never_above, text_may_miss, texts_of
from rules.expression import Attribute, Events, Expression, Field, Score, Type
from rules.worth import passes

Numbers: TypeAlias = dict[tuple[Expression, Expression | None], "Interval"]


def can_hold(condition: Expression, on: Events | None = None, *, there: bool = False) -> bool:
    """Whether the condition can hold, at any time or at these events.

    Args:
        condition: any condition.
        on: the events at which it is judged.
        there: suppose that no value is missing.
    """
    return _is_possible(condition, on, wanted=True, there=there)


def can_fail(condition: Expression, on: Events | None = None, *, there: bool = False) -> bool:
    """Whether the condition can fail; the same arguments."""
    return _is_possible(condition, on, wanted=False, there=there)


def _is_possible(condition: Expression, on: Events | None, *, wanted: bool, there: bool) -> bool:
    reader = Reader(on, there)
    try:
        found = reader.alternatives(condition, wanted=wanted)
    except TooManyError:
        return True
    return any(_is_consistent(each, on) for each in found)


@dataclass(slots=True)
class Interval:
    """Where a number can lie."""

    low: float = -inf
    high: float = inf
    low_is_out: bool = False
    high_is_out: bool = False
    is_whole: bool = False
    out: set[float] = field(default_factory=set)  # single numbers that it is not

    @classmethod
    def of(cls, bounds: Bounds) -> "Interval":
        """All that lies within these bounds."""
        return cls(bounds.low, bounds.high, is_whole=bounds.is_whole)

    def cut(self, sign: str, threshold: float) -> None:
        """Leave what compares so."""
        if sign in (">", ">=", "=") and (threshold, sign == ">") > (self.low, self.low_is_out):
            self.low, self.low_is_out = threshold, sign == ">"
        if sign in ("<", "<=", "=") and (-threshold, sign == "<") > (-self.high, self.high_is_out):
            self.high, self.high_is_out = threshold, sign == "<"
        if sign == "!=":
            self.out.add(threshold)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        low, high = self.low, self.high
        if self.is_whole:
            low = _next_whole(low, up=True, is_out=self.low_is_out)
            high = _next_whole(high, up=False, is_out=self.high_is_out)
            while low <= high and low in self.out:
                low += 1
            return low > high
        if low < high:
            return False
        return low > high or self.low_is_out or self.high_is_out or low in self.out


def _next_whole(end: float, *, up: bool, is_out: bool) -> float:
    if end in (inf, -inf):
        return end
    whole = float(ceil(end) if up else floor(end))
    if is_out and whole == end:
        return whole + (1.0 if up else -1.0)
    return whole


def _is_consistent(alternative: Alternative, on: Events | None) -> bool:
    """Whether all of these tests can hold at once."""
    numbers: Numbers = {}
    there: set[Expression] = set()
    facts: dict[Expression, bool] = {}
    for each in alternative:
        match each:
            case Compared():
                key = (each.value, each.beside)
                if key not in numbers:
                    numbers[key] = _interval(*key, on)
                numbers[key].cut(each.sign, each.with_)
                there |= {each.value} if each.beside is None else {each.value, each.beside}
            case Told():
                there.add(each.subject)
            case Present(is_there=True):
                there.add(each.value)
            case Fact():
                if facts.setdefault(each.condition, each.holds) != each.holds:
                    return False
    return (
        not any(each.is_empty for each in numbers.values())
        and all(_is_bearable(each, there, on) for each in alternative if isinstance(each, Present))
        and all(_fits(told, on) for told in _by_subject(alternative))
        and not any(_are_apart(*pair) for pair in _pairs(numbers))
    )


def _interval(value: Expression, beside: Expression | None, on: Events | None) -> Interval:
    if beside is None:
        return Interval.of(bounds_of(value, on))
    one, other = bounds_of(value, on), bounds_of(beside, on)
    low, high = one.low - other.high, one.high - other.low
    found = Interval(-inf if isnan(low) else low, inf if isnan(high) else high)
    if value == beside or never_above(value, beside):
        found.high = min(found.high, 0.0)
    if value == beside or never_above(beside, value):
        found.low = max(found.low, 0.0)
    return found


def _is_bearable(present: Present, there: set[Expression], on: Events | None) -> bool:
    """Whether the value can be there, or missing, beside what else is asked of it."""
    if present.is_there:
        return True
    value = present.value
    if value in there:
        return False
    if value.type == Type.TEXT or isinstance(value, Attribute):
        return not isinstance(value, Field | Score) or text_may_miss(value)
    return bounds_of(value, on).may_miss


def _by_subject(alternative: Alternative) -> Iterator[list[Told]]:
    found: dict[Subject, list[Told]] = {}
    for each in alternative:
        if isinstance(each, Told):
            found.setdefault(each.subject, []).append(each)
    yield from found.values()


def _fits(told: list[Told], on: Events | None) -> bool:
    """Whether one text can pass all these tests."""
    known = texts_of(told[0].subject, on)
    sets = [
        set(each.texts)
        for each in told
        if each.test in ("is", "is not") and (each.test == "is") == each.passes
    ]
    if known is not None:
        sets.append(set(known))
    if not sets:
        return True  # there are always other texts
    return any(
        all(passes(each.test, each.texts, text) == each.passes for each in told)
        for text in set.intersection(*sets)
    )


def _pairs(
    numbers: Numbers,
) -> Iterator[tuple[Expression, Interval, Expression, Interval]]:
    single = [(value, found) for (value, beside), found in numbers.items() if beside is None]
    for one, first in single:
        for other, second in single:
            if one is not other:
                yield one, first, other, second


def _are_apart(one: Expression, first: Interval, other: Expression, second: Interval) -> bool:
    """Whether the one would have to be above the other, and never is."""
    if first.low < second.high or not never_above(one, other):
        return False
    return first.low > second.high or first.low_is_out or second.high_is_out
