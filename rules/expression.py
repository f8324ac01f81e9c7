"""The expression: a condition or value whose every piece is known to make sense.

Promise   Types fit, names exist, sizes are within bounds: compile.py and explain.py need no checks. Two
          expressions that mean the same are equal, wherever they stand (`span` is not compared).
How       Made by check.py from a syntax tree. A missing value (no such field, no such event yet) makes
          every comparison false and every calculation missing; conditions are never missing.
Not here  Registers (compile.py). Sentences (explain.py).
"""

import dataclasses
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias, get_args

from rules.syntax import Span


class Type(Enum):
    """What an expression gives."""

    NUMBER = "a number"
    DURATION = "a duration"
    CONDITION = "a condition"
    TEXT = "a text"


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, or a duration in milliseconds."""

    value: float
    type: Type
    span: Span = dataclasses.field(compare=False)


@dataclass(frozen=True, slots=True)
class Score:
    """Something that the engine knows about the customer by name, such as health."""

    name: str
    texts: tuple[str, ...] | None  # what its numbers stand for, when it is a text
    span: Span = dataclasses.field(compare=False)

    @property
    def type(self) -> Type:
        return Type.NUMBER if self.texts is None else Type.TEXT


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the event that is being judged or counted; `action` is one of the texts."""

    name: str
    type: Type  # NUMBER or TEXT
    span: Span = dataclasses.field(compare=False)


@dataclass(frozen=True, slots=True)
class Events:
    """Events of one kind and action (`*` is any) that meet a condition on their own fields."""

    kind: str
    action: str
    where: "Expression | None"
    span: Span = dataclasses.field(compare=False)


Function: TypeAlias = Literal[
    "count", "sum", "mean", "min", "max", "rate", "distinct", "since", "last", "first",
    "deviation", "zscore", "approximate",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """What a customer's past events come to; 0 in `window_ms` and `half_life_ms` means the whole life."""

    function: Function
    events: Events
    field: str | None  # the number field (for distinct: the text field) that is looked at
    window_ms: int
    half_life_ms: int
    exact: int  # events that a window keeps one by one
    before: bool  # as it stood before the event that is being judged
    span: Span = dataclasses.field(compare=False)

    @property
    def type(self) -> Type:
        if self.function == "approximate":
            return Type.CONDITION
        return Type.DURATION if self.function == "since" else Type.NUMBER


@dataclass(frozen=True, slots=True)
class Trend:
    """A score minus its average over time, with this half-life: how it moves."""

    score: Score
    half_life_ms: int
    span: Span = dataclasses.field(compare=False)

    @property
    def type(self) -> Type:
        return Type.NUMBER


@dataclass(frozen=True, slots=True)
class Attribute:
    """A number that was told of the customer last; where it is true or false, 1 or 0."""

    name: str
    span: Span = dataclasses.field(compare=False)

    @property
    def type(self) -> Type:
        return Type.NUMBER


@dataclass(frozen=True, slots=True)
class AttributeTest:
    """Whether a text that was told of the customer last is one of these, is none of them, or is there at all.

    What the text is, nobody knows any more: only whether it is one of those that rules name. `is there`
    holds for numbers too.
    """

    name: str
    test: Literal["is", "is not", "is there"]
    texts: tuple[str, ...]  # none for `is there`
    span: Span = dataclasses.field(compare=False)

    @property
    def type(self) -> Type:
        return Type.CONDITION


@dataclass(frozen=True, slots=True)
class Consent:
    """Whether the customer's last word on a channel was consent."""

    channel: str
    span: Span = dataclasses.field(compare=False)

    @property
    def type(self) -> Type:
        return Type.CONDITION


Sign: TypeAlias = Literal[
    "+", "-", "*", "/", "negate", "abs", "floor", "least", "greatest", "coalesce",
    "<", "<=", ">", ">=", "=", "!=", "in", "not in", "and", "or", "not", "has",
]  # fmt: skip


MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
"""The comparisons, and what each is with its sides exchanged."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation on numbers, durations or conditions; `and` and `or` take two or more operands."""

    sign: Sign
    operands: tuple["Expression", ...]
    type: Type
    span: Span = dataclasses.field(compare=False)


@dataclass(frozen=True, slots=True)
class TextTest:
    """A text against literals; a missing text passes no test, not even `is not`."""

    subject: Field | Score
    test: Literal["is", "is not", "starts_with", "matches"]
    texts: tuple[str, ...]  # one of these (`is not`: none of these)
    span: Span = dataclasses.field(compare=False)

    @property
    def type(self) -> Type:
        return Type.CONDITION


Leaf: TypeAlias = Score | Field | Reading | Trend | Attribute | AttributeTest | Consent
"""What a rule reads, as against what it works out."""

Expression: TypeAlias = Constant | Operation | TextTest | Leaf

LEAVES: Final = get_args(Leaf)


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside; the `where` of a reading is its own and is not among them."""
    if isinstance(expression, Operation):
        return expression.operands
    return (expression.subject,) if isinstance(expression, TextTest) else ()


def leaves(expression: Expression) -> list[Leaf]:
    """What the expression reads, each once, in the order of the text."""
    found: dict[Leaf, None] = {}
    waiting = [expression]
    while waiting:
        each = waiting.pop()
        if isinstance(each, LEAVES):
            found[each] = None
        waiting.extend(reversed(children(each)))
    return list(found)
