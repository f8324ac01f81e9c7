"""Parsing: from text to a syntax tree, or to one mistake with its place.

Promise   Any text gives a tree or a ExpressionError; nothing else, in time linear in its length.
How       grammar.lark, LALR(1). The grammar is closed: no attribute access, no evaluation.
Limits    DEPTH_MAX levels (syntax.py); the length is bounded by the file that the text stands in.
Not here  Meaning (check.py). Finding texts in files (load.py).
"""

import re
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, cast

import lark

from rules.duration import UNITS_MS
from rules.errors import ExpressionError
from rules.syntax import DEPTH_MAX, Literal, Path, Span, StepText, Syntax, Where
from rules.tree import build, span_of

PARSED_KEPT: Final = (
    4096  # texts whose trees are kept, so that a reload parses only what has changed
)

_DURATION: Final = re.compile(r"[0-9]+(\.[0-9]+)?(ms|s|m|h|d|w)")
_KEYWORDS: Final = ("and", "or", "not", "in", "starts_with", "matches", "where", "within")
_NOT_FIRST: Final = re.compile(r"\s*(not)\s")
_FOREIGN: Final = {
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or `!=` for `is not`",
    "^": "there is no power operator",
    "[": "lists stand in round brackets: `in (1, 2)`",
    "{": "curly brackets belong into `reason`, not into a condition",
    "€": "money is written as in 100 EUR",
    "$": "money is written as in 100 USD",
    "£": "money is written as in 100 GBP",
    '"': "the text has no closing quote",
    "'": "the text has no closing quote",
}


@lru_cache(maxsize=PARSED_KEPT)
def parse(text: str) -> Syntax:
    """The tree of an expression.

    Raises:
        ExpressionError: It is none.

    >>> parse("health < 40").sign
    '<'
    """
    return cast("Syntax", _tree(text, "condition"))


@lru_cache(maxsize=PARSED_KEPT)
def parse_selector(text: str) -> Path | Where:
    """The tree of what `on` takes: `kind.action`, perhaps with `where`.

    Raises:
        ExpressionError: It is none.
    """
    return cast("Path | Where", _tree(text, "selector"))


@lru_cache(maxsize=PARSED_KEPT)
def parse_step(text: str) -> StepText:
    """The tree of a step of a sequence: `[no] kind.action [where …] [within …]`.

    Raises:
        ExpressionError: It is none.

    >>> parse_step("no order.placed within 30m").absent
    True
    """
    negated = _NOT_FIRST.match(text)
    if negated is not None:
        mend = "write `no` for an absence, as in `no order.placed within 30m`"
        raise ExpressionError(Span(*negated.span(1)), "`not` cannot stand here", mend)
    return cast("StepText", _tree(text, "step"))


def duration_ms(text: str) -> int:
    """Milliseconds of a duration such as `10m`.

    Raises:
        ExpressionError: It is none, or longer than DURATION_MS_MAX (duration.py).

    >>> duration_ms("1.5h")
    5400000
    """
    if not _DURATION.fullmatch(text):
        mend = f'write a number and a unit of {", ".join(UNITS_MS)}, such as "10m" or "14d"'
        raise ExpressionError(Span(0, len(text)), "this is no duration", mend)
    tree = parse(text)
    assert isinstance(tree, Literal), "the grammar takes every such text for a duration"
    return int(tree.value)


def _tree(text: str, start: str) -> object:
    if not text.strip():
        raise ExpressionError(Span(0, len(text)), "there is nothing here", "write an expression")
    try:
        tree = _parser().parse(text, start=start)
    except lark.exceptions.UnexpectedCharacters as error:
        raise _bad_characters(text, cast("int", error.pos_in_stream)) from None
    except lark.exceptions.UnexpectedToken as error:
        raise _bad_token(text, error) from None
    _refuse_deep(tree)
    return build(tree)


@cache
def _parser() -> lark.Lark:
    grammar = files("rules").joinpath("grammar.lark").read_text(encoding="utf-8")
    return lark.Lark(
        grammar,
        parser="lalr",
        start=["condition", "selector", "step"],
        propagate_positions=True,
        maybe_placeholders=False,
    )


def _refuse_deep(tree: lark.Tree[lark.Token]) -> None:
    waiting = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEPTH_MAX:
            raise ExpressionError(
                span_of(node),
                f"this is nested more than {DEPTH_MAX} levels deep",
                "take brackets away, or make several rules of it",
            )
        waiting += [(each, depth + 1) for each in node.children if isinstance(each, lark.Tree)]


def _bad_characters(text: str, at: int) -> ExpressionError:
    end = at + 1
    while text[at].isalnum() and end < len(text) and (text[end].isalnum() or text[end] in "._"):
        end += 1
    piece = text[at:end]
    if piece[0].isdigit():
        units = " ".join(UNITS_MS)
        return ExpressionError(
            Span(at, end),
            f"`{piece}` is neither a number nor a duration",
            f"units are {units}, as in 30s or 1.5h",
        )
    return ExpressionError(
        Span(at, end), f"`{piece}` means nothing here", _FOREIGN.get(text[at], "")
    )


def _bad_token(text: str, error: lark.exceptions.UnexpectedToken) -> ExpressionError:
    token = error.token
    if token.type == "$END":
        after = len(text.rstrip())
        return ExpressionError(
            Span(after, after + 1), "the expression is not finished", _wanted(error)
        )
    span = Span(token.start_pos or 0, token.end_pos or 0)
    near = get_close_matches(str(token).lower(), _KEYWORDS, n=1, cutoff=0.7)
    if token.type == "COMPARISON" and "COMPARISON" not in error.accepts:
        mend = "compare two values at a time, and join comparisons with `and`"
    elif near and near[0] != str(token):
        mend = f"did you mean `{near[0]}`?"
    else:
        mend = _wanted(error)
    return ExpressionError(span, f"`{token}` cannot stand here", mend)


def _wanted(error: lark.exceptions.UnexpectedToken) -> str:
    accepted = error.accepts
    if "NUMBER" in accepted and "NAME" in accepted:
        return "a value is needed: a number, a name, or a function such as count(order.placed, 30d)"
    words = {
        "RPAR": "a closing bracket",
        "LPAR": "an opening bracket",
        "TEXT": "a text in quotes",
        "NAME": "a name",
        "DURATION": "a duration such as 7d",
        "NUMBER": "a number",
        "AND": "`and` or `or`",
        "COMPARISON": "a comparison",
    }
    wanted = [said for terminal, said in words.items() if terminal in accepted]
    return f"needed here: {', or '.join(wanted)}" if wanted else ""
