"""Operations: puts checked operands together, when their types fit.

Promise   Each function gives an expression, or raises the one mistake that stands in the way.
How       Numbers and durations are apart: they meet only where the result has a meaning
          (duration × number, duration ÷ duration). Texts meet literals only.
Not here  The walk over the tree (check.py).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, Protocol, cast

import re2

from processors.aggregate import BUCKETS
from rules.errors import ExpressionError
from rules.expression import (
    Attribute,
    AttributeTest,
    Constant,
    Expression,
    Field,
    Operation,
    Reading,
    Score,
    Sign,
    TextTest,
    Type,
)
from rules.syntax import Literal, Span, Syntax
from rules.vocabulary import VALUE_FUNCTIONS, nearest

PATTERN_CHARS_MAX: Final = 512
PATTERN_MEMORY_MAX: Final = 1 << 20  # bytes that RE2 may use for one pattern
# Of RE2's program: some 7 ns each a byte, so the longest text of an event takes 10 ms at worst. A class of
# the letters of all scripts has 1,200; most patterns have below 100.
PATTERN_STEPS_MAX: Final = 1_250
PATTERNS_KEPT: Final = 64  # compiled patterns kept besides those in use
DISTINCT_MAX: Final = BUCKETS * math.log(BUCKETS)  # about 266: when every bucket was hit
LISTED_MAX: Final = 256  # items of one `in (…)`

_TESTS: Final = {"=": "is", "!=": "is not", "in": "is", "not in": "is not"}


class Pattern(Protocol):
    """What we use of a compiled pattern."""

    @property
    def programsize(self) -> int:
        """How many steps its program has."""

    def search(self, text: str) -> object | None:
        """Something where the pattern is found anywhere in the text, else None."""


@lru_cache(maxsize=PATTERNS_KEPT)
def pattern(text: str) -> Pattern:
    """The compiled pattern; it looks at a text in linear time, whatever the pattern.

    Raises:
        re2.error: It is no pattern, or too large a one.

    >>> pattern("^mob").search("mobile") is not None
    True
    """
    options = re2.Options()
    options.max_mem = PATTERN_MEMORY_MAX
    options.log_errors = False
    return cast("Pattern", re2.compile(text, options))


def calculation(sign: str, operands: Sequence[Expression], span: Span) -> Expression:
    """`+ - * /` of two values, or `+ -` of one.

    Raises:
        ExpressionError: The units have no such result.
    """
    if len(operands) == 1:
        (only,) = numbers(operands)
        if sign == "+":
            return only
        if isinstance(only, Constant):
            return replace(only, value=-only.value, span=span)
        return Operation("negate", (only,), only.type, span)
    left, right = numbers(operands)
    durations = [each.type == Type.DURATION for each in (left, right)]
    if sign in ("+", "-"):
        unit = _one_unit(operands)
    elif sign == "*" and all(durations):
        raise ExpressionError(span, "two durations cannot be multiplied")
    elif sign == "/" and durations == [False, True]:
        raise ExpressionError(
            span, "a number cannot be divided by a duration", "divide the duration by the number"
        )
    else:
        unit = Type.DURATION if sum(durations) == 1 else Type.NUMBER
    return Operation(cast("Sign", sign), (left, right), unit, span)


def value_function(name: str, operands: Sequence[Expression], span: Span) -> Expression:
    """A function of plain values, such as `abs`.

    Raises:
        ExpressionError: It does not take these.
    """
    least, most = VALUE_FUNCTIONS[name]
    if not least <= len(operands) <= most:
        many = str(least) if least == most else f"{least} to {most}"
        raise ExpressionError(span, f"{name} takes {many} values, not {len(operands)}")
    if name == "has":
        if isinstance(operands[0], Constant) or operands[0].type == Type.CONDITION:
            raise ExpressionError(span, "this is always there", "ask about a field or a reading")
        if isinstance(operands[0], Attribute):
            return AttributeTest(operands[0].name, "is there", (), span)
        return Operation("has", tuple(operands), Type.CONDITION, span)
    return Operation(cast("Sign", name), tuple(operands), _one_unit(numbers(operands)), span)


def comparison(sign: str, left: Expression, right: Expression, span: Span) -> Expression:
    """`< <= = != >= >` of numbers or durations.

    Raises:
        ExpressionError: They cannot be compared.
    """
    texts = [each for each in (left, right) if each.type == Type.TEXT]
    if len(texts) == 2:  # noqa: PLR2004  both of them
        raise ExpressionError(span, "two texts cannot be compared, only a text with a literal")
    if texts:
        raise _text_with_number(texts[0], right if texts[0] is left else left)
    _one_unit(numbers((left, right)))
    _check_distinct(left, right)
    _check_distinct(right, left)
    return Operation(cast("Sign", sign), (left, right), Type.CONDITION, span)


def membership(
    subject: Expression, items: Sequence[Expression], *, negated: bool, span: Span
) -> Expression:
    """`in` and `not in` a list of numbers or durations.

    Raises:
        ExpressionError: The list is too long, or holds something else.
    """
    _bounded(items, span)
    for each in items:
        if not isinstance(each, Constant):
            raise ExpressionError(
                each.span, "a list holds literals only", "compare with `=` and `or`"
            )
    if subject.type == Type.TEXT:
        raise _text_with_number(subject, items[0])
    _one_unit(numbers((subject, *items)))
    sign: Sign = "not in" if negated else "in"
    return Operation(sign, (subject, *items), Type.CONDITION, span)


def text_test(
    sign: str, subject: Expression, literals: Sequence[Literal], span: Span
) -> Expression:
    """`= != in starts_with matches` of a text and literals.

    Raises:
        ExpressionError: The subject is no text, never has such a text, or the pattern is none.
    """
    if isinstance(subject, Attribute):
        return attribute_test(sign, subject, literals, span)
    _bounded(literals, span)
    if not isinstance(subject, Field | Score) or subject.type != Type.TEXT:
        what = subject.type.value
        mend = "numbers stand without quotes" if subject.type == Type.NUMBER else ""
        raise ExpressionError(literals[0].span, f"{what} cannot be compared with a text", mend)
    test = _TESTS.get(sign, sign)
    if sign not in (*_TESTS, "starts_with", "matches"):
        raise ExpressionError(
            span, f"texts have no order, so `{sign}` means nothing", "use `=` or `in`"
        )
    if sign == "matches":
        _check_pattern(literals[0])
    elif isinstance(subject, Score) and sign in _TESTS:
        for each in literals:
            if each.value not in (subject.texts or ()):
                raise _never(subject, each)
    texts = tuple(dict.fromkeys(str(each.value) for each in literals))
    return TextTest(subject, test, texts, span)  # type: ignore[arg-type]  # one of the four


def attribute_test(
    sign: str, subject: Attribute, literals: Sequence[Literal], span: Span
) -> Expression:
    """`= != in` of an attribute and texts.

    Raises:
        ExpressionError: The comparison is another one, or the list too long.
    """
    _bounded(literals, span)
    if sign not in _TESTS:
        said = (
            f"of an attribute's text no more is kept than which one it is: `{sign}` cannot be told"
        )
        raise ExpressionError(span, said, "compare it with `=` or `in`")
    texts = tuple(dict.fromkeys(str(each.value) for each in literals))
    return AttributeTest(subject.name, "is" if _TESTS[sign] == "is" else "is not", texts, span)


def numbers(operands: Sequence[Expression]) -> Sequence[Expression]:
    """The operands, all of them numbers or durations.

    Raises:
        ExpressionError: One is something else.
    """
    for each in operands:
        if each.type not in (Type.NUMBER, Type.DURATION):
            raise ExpressionError(each.span, f"this is {each.type.value}, but a number is needed")
    return operands


def _one_unit(operands: Sequence[Expression]) -> Type:
    units = {each.type for each in operands}
    if len(units) == 1:
        return units.pop()
    plain = next(each for each in operands if each.type == Type.NUMBER)
    if isinstance(plain, Constant):
        mend = f"give it a unit, as in {plain.value:g}d"
    else:
        mend = "divide the duration by its unit first, as in since(order.placed) / 1d"
    raise ExpressionError(plain.span, "a number stands here together with a duration", mend)


def _check_distinct(reading: Expression, other: Expression) -> None:
    """Refuse what would hold never, or always, without a word."""
    if not (isinstance(reading, Reading) and reading.function == "distinct"):
        return
    if isinstance(other, Constant) and other.value > DISTINCT_MAX:
        most = math.floor(DISTINCT_MAX)
        raise ExpressionError(
            other.span,
            f"distinct never gives more than about {most}",
            f"it is an estimate for small numbers: compare it with {most} or less",
        )


def _text_with_number(text: Expression, other: Expression) -> ExpressionError:
    named = isinstance(text, Score) and text.texts
    literal = f'"{text.texts[0]}"' if isinstance(text, Score) and text.texts else '"web"'
    what = f"`{text.name}` is a text" if isinstance(text, Field | Score) else "this is a text"
    said = f"{what} and cannot be compared with {other.type.value}"
    also = (
        f", or use the number `{text.name.split('.')[0]}`"
        if named and isinstance(text, Score)
        else ""
    )
    return ExpressionError(other.span, said, f"compare it with a text, such as {literal}{also}")


def _never(subject: Score, literal: Literal) -> ExpressionError:
    texts = subject.texts or ()
    mend = (
        nearest(str(literal.value), texts).replace("`", '"') or f"it is one of {', '.join(texts)}"
    )
    return ExpressionError(literal.span, f'`{subject.name}` is never "{literal.value}"', mend)


def _check_pattern(literal: Literal) -> None:
    text = str(literal.value)
    if len(text) > PATTERN_CHARS_MAX:
        raise ExpressionError(literal.span, f"a pattern has at most {PATTERN_CHARS_MAX} characters")
    try:
        steps = pattern(text).programsize
    except re2.error as error:
        raise ExpressionError(
            literal.span,
            f"this is no pattern that RE2 takes: {_said(error)}",
            "there are no look-arounds and no back-references",
        ) from None
    if steps > PATTERN_STEPS_MAX:
        said = f"this pattern takes {steps} steps at each character, at most {PATTERN_STEPS_MAX} are allowed"
        raise ExpressionError(literal.span, said, "repeat fewer times, as in {1,9} or +")


def _said(error: re2.error) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _bounded(items: Sequence[Expression | Syntax], span: Span) -> None:
    if len(items) > LISTED_MAX:
        raise ExpressionError(span, f"a list holds at most {LISTED_MAX} items, not {len(items)}")
