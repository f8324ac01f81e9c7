"""The syntax tree: what a user wrote, with the place of every piece, before it is known to make sense.

Promise   Nodes are values; `span` is the piece's place in the parsed text, in characters.
Limits    DEPTH_MAX levels, kept by parse.py; so walking a tree by recursion is safe.
Not here  Making trees (parse.py). What they mean (check.py, which turns them into expressions).
"""

from dataclasses import dataclass
from typing import Final, TypeAlias
from typing import Literal as OneOf

DEPTH_MAX: Final = 32  # a person cannot read more, and recursion over the tree stays shallow


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` up to, not including, `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A number (percentages are fractions), a duration (in milliseconds), a text, or money."""

    span: Span
    kind: OneOf["number", "duration", "text", "money"]
    value: float | str
    currency: str = ""  # of money, as events have it


@dataclass(frozen=True, slots=True)
class Path:
    """Names with dots: a score, a field, or events; `quoted` says which parts stood in quotes."""

    span: Span
    parts: tuple[str, ...]
    quoted: tuple[bool, ...]

    @property
    def text(self) -> str:
        return ".".join(
            f'"{part}"' if quoted else part
            for part, quoted in zip(self.parts, self.quoted, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator and its operands.

    `sign` is one of + - * / < <= = != >= > starts_with matches and or not; `-` and `not` may be unary.
    """

    span: Span
    sign: str
    operands: tuple["Syntax", ...]


@dataclass(frozen=True, slots=True)
class Membership:
    """`subject in (items)` or, negated, `subject not in (items)`."""

    span: Span
    subject: "Syntax"
    items: tuple["Syntax", ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Where:
    """Events that meet a condition; only inside a call, or in `on`."""

    span: Span
    path: Path
    condition: "Syntax"


@dataclass(frozen=True, slots=True)
class Option:
    """`exact 256`, `half_life 7d`, `within 1h` (values in milliseconds) or `before` (value 1)."""

    span: Span
    name: OneOf["exact", "half_life", "within", "before"]
    value: float


@dataclass(frozen=True, slots=True)
class StepText:
    """A step of a sequence: events, or with `no` their absence, perhaps `within` a time."""

    span: Span
    events: Path | Where
    absent: bool
    within: Option | None


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`."""

    span: Span
    name: str
    name_span: Span
    arguments: tuple["Syntax | Where | Option", ...]


Syntax: TypeAlias = Literal | Path | Operator | Membership | Call
