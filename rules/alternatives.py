"""The alternatives: a condition as the ways in which it comes to hold, or to fail, each of plain tests.

Promise   The condition comes to what is wanted exactly where all tests of one alternative hold.
How       Its disjunctive normal form, with `not` moved inwards. A comparison fails where its opposite holds,
          and where a side is missing.
Limits    ALTERNATIVES_MAX.
Not here  Whether tests contradict each other (possible.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeAlias

from rules.bounds import bounds_of, text_may_miss
from rules.clauses import is_logic
from rules.expression import (
    MIRRORED,
    Attribute,
    AttributeTest,
    Constant,
    Events,
    Expression,
    Field,
    Operation,
    Score,
    TextTest,
    Type,
)
from rules.worth import worth

ALTERNATIVES_MAX: Final = 512

_INVERSE: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "!=", "!=": "="}

Subject: TypeAlias = Field | Score | Attribute


@dataclass(frozen=True, slots=True)
class Compared:
    """A number that is there, and compares so; with `beside`, the difference of the two does."""

    value: Expression
    beside: Expression | None
    sign: str
    with_: float


@dataclass(frozen=True, slots=True)
class Told:
    """A text that is there, and passes a test, or does not."""

    subject: Subject
    test: str
    texts: tuple[str, ...]
    passes: bool


@dataclass(frozen=True, slots=True)
class Present:
    """Whether a value is there."""

    value: Expression
    is_there: bool


@dataclass(frozen=True, slots=True)
class Fact:
    """A condition of its own, such as consent."""

    condition: Expression
    holds: bool


Test: TypeAlias = Compared | Told | Present | Fact
Alternative: TypeAlias = tuple[Test, ...]


class TooManyError(Exception):
    """The condition has more alternatives than we look at."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Turns conditions into alternatives."""

    on: Events | None
    there: bool

    def alternatives(self, condition: Expression, *, wanted: bool) -> list[Alternative]:
        """All ways in which it comes to what is wanted; none: it never does."""
        if isinstance(condition, Operation) and is_logic(condition):
            if condition.sign == "not":
                return self.alternatives(condition.operands[0], wanted=not wanted)
            inside = [self.alternatives(each, wanted=wanted) for each in condition.operands]
            return _all_of(inside) if (condition.sign == "and") == wanted else _any_of(inside)
        match condition:
            case TextTest():
                return self._texts(
                    condition.subject, condition.test, condition.texts, wanted=wanted
                )
            case AttributeTest(test="is" | "is not"):
                subject = Attribute(condition.name, condition.span)
                return self._texts(subject, condition.test, condition.texts, wanted=wanted)
            case Operation(sign="has"):
                return [(Present(condition.operands[0], wanted),)]
            case Operation(sign="in" | "not in"):
                return self._listed(condition, wanted=wanted)
            case Operation():
                return self._compared(condition, wanted=wanted)
            case _:
                return [(Fact(condition, wanted),)]

    def _texts(
        self, subject: Subject, test: str, texts: tuple[str, ...], *, wanted: bool
    ) -> list[Alternative]:
        found: list[Alternative] = [(Told(subject, test, texts, wanted),)]
        if not wanted and not self.there and text_may_miss(subject):
            found.append((Present(subject, is_there=False),))
        return found

    def _listed(self, condition: Operation, *, wanted: bool) -> list[Alternative]:
        subject, *items = condition.operands
        sign = "=" if condition.sign == "in" else "!="
        tests = [
            self._compared(_comparison(sign, subject, item, condition), wanted=wanted)
            for item in items
        ]
        return _any_of(tests) if (sign == "=") == wanted else _all_of(tests)

    def _compared(self, condition: Operation, *, wanted: bool) -> list[Alternative]:
        left, right = condition.operands
        sign = str(condition.sign)
        if isinstance(left, Constant) and isinstance(right, Constant):
            return [()] if (worth(condition, {}) == 1.0) == wanted else []
        test = _test(left, sign if wanted else _INVERSE[sign], right)
        found: list[Alternative] = [(test,)]
        if not wanted and not self.there:
            found += [
                (Present(each, is_there=False),)
                for each in (left, right)
                if bounds_of(each, self.on).may_miss
            ]
        return found


def _comparison(sign: str, left: Expression, right: Expression, like: Operation) -> Operation:
    return Operation(sign, (left, right), Type.CONDITION, like.span)  # type: ignore[arg-type]  # "=" or "!="


def plain_test(condition: Expression) -> Compared | None:
    """The comparison of a value with a number; None where the condition is none."""
    if not isinstance(condition, Operation) or condition.sign not in MIRRORED:
        return None
    left, right = condition.operands
    if isinstance(left, Constant) and isinstance(right, Constant):
        return None
    return _test(left, condition.sign, right)


def _test(left: Expression, sign: str, right: Expression) -> Compared:
    """The comparison with a number on its right, and nothing but a value on its left."""
    if isinstance(left, Constant):
        left, right, sign = right, left, MIRRORED[sign]
    if not isinstance(right, Constant):
        return Compared(left, right, sign, 0.0)
    threshold = right.value
    while isinstance(left, Operation) and left.sign in ("+", "-", "*", "/", "negate"):
        if left.sign == "negate":
            left, sign, threshold = left.operands[0], MIRRORED[sign], -threshold
            continue
        inner, by = left.operands
        if not isinstance(by, Constant) or (left.sign in ("*", "/") and by.value == 0.0):
            break
        if left.sign in ("+", "-"):
            threshold += -by.value if left.sign == "+" else by.value
        else:
            threshold = threshold / by.value if left.sign == "*" else threshold * by.value
            sign = sign if by.value > 0 else MIRRORED[sign]
        left = inner
    return Compared(left, None, sign, threshold)


def _any_of(inside: Iterable[list[Alternative]]) -> list[Alternative]:
    found = [each for ways in inside for each in ways]
    if len(found) > ALTERNATIVES_MAX:
        raise TooManyError
    return found


def _all_of(inside: list[list[Alternative]]) -> list[Alternative]:
    many = 1
    for ways in inside:
        many *= len(ways)
    if many > ALTERNATIVES_MAX:
        raise TooManyError
    return [tuple(test for way in ways for test in way) for ways in product(*inside)]
