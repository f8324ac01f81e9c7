"""The template: the sentence of a rule's reason, with values in curly brackets.

Promise   What is in brackets is checked like a condition when rules are loaded; rendering never fails.
How       `{expression}` or `{expression:format}`; `{{` and `}}` are the brackets themselves. Formats are
          `+` (always a sign), `,` (thousands), `.2f` or `.1%`, in this order, each optional. There is no
          attribute access and no other trick of Python's format strings. Words, such as `{customer_id}`,
          are known only where the caller says so.
Limits    TEXT_SHOWN_MAX characters of a text.
Not here  The language of expressions (grammar.lark).
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType
from typing import Final

from rules.check import Checker
from rules.duration import duration_text
from rules.errors import ExpressionError
from rules.expression import Expression, Type
from rules.parse import parse
from rules.syntax import Span

TEXT_SHOWN_MAX: Final = 200
MISSING: Final = "unknown"
_FORMAT: Final = re.compile(r"\+?,?(\.[0-9])?[f%]?")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_BRACKET: Final = re.compile(r"\{\{|\}\}|[{}]")
_HOLE_END: Final = re.compile(r"""(?:[^"'{}]|"[^"\n]*"|'[^'\n]*')*""")
_BEFORE_FORMAT: Final = re.compile(r"""(?:[^"':]|"[^"\n]*"|'[^'\n]*')*""")


@dataclass(frozen=True, slots=True)
class Hole:
    """A value to be filled in."""

    expression: Expression
    format: str

    def show(self, value: float | str | None) -> str:
        """The value as people write it."""
        if value is None or (isinstance(value, float) and not isfinite(value)):
            return MISSING
        if isinstance(value, str):
            return value[:TEXT_SHOWN_MAX]
        if self.expression.type == Type.DURATION:
            return duration_text(value)
        return f"{value:{self.format}}" if self.format else number_text(value)


@dataclass(frozen=True, slots=True)
class Word:
    """What is known of each action, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """Literal pieces, holes and words, in order."""

    parts: tuple[str | Hole | Word, ...]

    @property
    def holes(self) -> tuple[Hole, ...]:
        return tuple(part for part in self.parts if isinstance(part, Hole))

    def render(
        self, value: Callable[[Expression], float | str | None], words: Mapping[str, str] = _NOTHING
    ) -> str:
        """The sentence, with the values that `value` gives, and each word as `words` has it."""
        return "".join(
            part
            if isinstance(part, str)
            else words[part.name]
            if isinstance(part, Word)
            else part.show(value(part.expression))
            for part in self.parts
        )


def number_text(value: float) -> str:
    """A number as people write it.

    >>> number_text(3.0), number_text(2.456), number_text(-0.001)
    ('3', '2.46', '0')
    """
    rounded = round(value, 2) + 0.0  # no minus before a zero
    return f"{rounded:.2f}".rstrip("0").rstrip(".")


def template(text: str, checker: Checker, words: Collection[str] = ()) -> Template | None:
    """Check a template; None when it is wrong, with its mistakes in the checker."""
    before = len(checker.mistakes)
    parts: list[str | Hole | Word] = []
    try:
        for span, inside in _pieces(text):
            if not inside:
                parts.append(text[span.start : span.end].replace("{{", "{").replace("}}", "}"))
                continue
            word = text[span.start : span.end].strip()
            hole = Word(word) if word in words else _hole(text, span, checker)
            if hole is not None:
                parts.append(hole)
    except ExpressionError as mistake:
        checker.mistakes.append(mistake)
    return Template(tuple(parts)) if len(checker.mistakes) == before else None


def _pieces(text: str) -> Iterator[tuple[Span, bool]]:
    """The spans of the template, and whether each is the inside of a pair of brackets."""
    start = at = 0
    while (bracket := _BRACKET.search(text, at)) is not None:
        at = bracket.end()
        if at - bracket.start() > 1:
            continue  # doubled: part of the text
        opened = bracket.start()
        if bracket.group() == "}":
            mend = "write }} for the bracket itself"
            raise ExpressionError(Span(opened, at), "a bracket closes that never opened", mend)
        inside = _HOLE_END.match(text, at)
        assert inside is not None, "the pattern matches the empty text"
        if not text.startswith("}", inside.end()):
            mend = "write {{ for the bracket itself"
            raise ExpressionError(Span(opened, at), "this bracket is not closed", mend)
        if opened > start:
            yield Span(start, opened), False
        yield Span(at, inside.end()), True
        start = at = inside.end() + 1
    if start < len(text):
        yield Span(start, len(text)), False


def _hole(text: str, span: Span, checker: Checker) -> Hole | None:
    inside = text[span.start : span.end]
    split = _BEFORE_FORMAT.match(inside)
    assert split is not None, "the pattern matches the empty text"
    source, format_ = inside[: split.end()], inside[split.end() + 1 :]
    own = Checker(checker.scores, checker.fields, sequence=checker.sequence)
    try:
        expression = own.expression(parse(source))
    except ExpressionError as mistake:
        expression = None
        own.mistakes.append(mistake)
    for each in own.mistakes:
        place = Span(each.span.start + span.start, each.span.end + span.start)
        checker.wrong(place, each.message, each.mend)
    if expression is None:
        return None
    place = Span(span.start + split.end() + 1, span.end)
    if expression.type == Type.CONDITION:
        checker.wrong(span, "a condition cannot be shown, only a value")
        return None
    if format_ and (expression.type != Type.NUMBER or not _FORMAT.fullmatch(format_)):
        checker.wrong(
            place, f"`{format_}` is no format here", "numbers take .0f, ,.2f, +.1f or .0%"
        )
        return None
    return Hole(expression, _full(format_) if format_ else "")


def _full(format_: str) -> str:
    """The format with a precision: two decimals where none is given, none for percentages."""
    kind = format_[-1] if format_[-1] in "f%" else "f"
    asked = format_.rstrip("f%")
    return asked + ("" if "." in asked else ".0" if kind == "%" else ".2") + kind
