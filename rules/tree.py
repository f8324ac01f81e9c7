"""Trees: from the parser's tree of rules and tokens to the syntax tree.

Promise   Brackets and spellings are gone, places are kept.
Limits    Recursion as deep as the tree; parse.py bounds it first.
Not here  The grammar (grammar.lark). The nodes (syntax.py).
"""

from collections.abc import Callable
from math import isfinite
from typing import Final, cast

import lark

from rules.duration import DURATION_MS_MAX, UNITS_MS
from rules.errors import ExpressionError
from rules.money import as_numbers
from rules.syntax import (
    Call,
    Literal,
    Membership,
    Operator,
    Option,
    Path,
    Span,
    StepText,
    Syntax,
    Where,
)


def span_of(tree: lark.Tree[lark.Token] | lark.Token) -> Span:
    """Where it stands in the text."""
    place = tree if isinstance(tree, lark.Token) else tree.meta
    return Span(place.start_pos or 0, place.end_pos or 0)


def build(tree: lark.Tree[lark.Token]) -> object:
    """Turn lark's tree into ours: a Syntax, a Where, an Option or a StepText.

    Raises:
        ExpressionError: A number or a duration is too large.
    """
    return _BUILDERS[str(tree.data)](tree)


def _inside(tree: lark.Tree[lark.Token]) -> list[Syntax]:
    children = [each for each in tree.children if isinstance(each, lark.Tree)]
    return [cast("Syntax", build(each)) for each in children]


def _number(tree: lark.Tree[lark.Token]) -> Literal:
    text = str(tree.children[0])
    value = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    if not isfinite(value):
        raise ExpressionError(span_of(tree), "this number is too large", "it must stay below 1e308")
    return Literal(span_of(tree), "number", value)


def _money(tree: lark.Tree[lark.Token]) -> Literal:
    text = str(tree.children[0])
    value = float(text[:-3])
    if not isfinite(value):
        raise ExpressionError(span_of(tree), "this amount is too large", "it must stay below 1e308")
    return Literal(span_of(tree), "money", value, text[-3:])


def _duration(tree: lark.Tree[lark.Token]) -> Literal:
    return Literal(span_of(tree), "duration", _milliseconds(_token(tree)))


def _milliseconds(token: lark.Token) -> int:
    digits = token.rstrip("mshdw")
    value = float(digits) * UNITS_MS[token[len(digits) :]]
    if value > DURATION_MS_MAX:
        raise ExpressionError(
            span_of(token), f"`{token}` is longer than ten years", "check the unit"
        )
    return round(value)


def _path(tree: lark.Tree[lark.Token]) -> Path:
    tokens = [cast("lark.Token", each) for each in tree.children]
    return Path(
        span_of(tree),
        tuple(str(each)[1:-1] if each.type == "TEXT" else str(each) for each in tokens),
        tuple(each.type == "TEXT" for each in tokens),
    )


def _arithmetic(tree: lark.Tree[lark.Token]) -> Operator:
    return Operator(span_of(tree), str(tree.children[1]), tuple(_inside(tree)))


def _compare(tree: lark.Tree[lark.Token]) -> Operator:
    sign = str(tree.children[1]).replace("==", "=")
    return as_numbers(Operator(span_of(tree), sign, tuple(_inside(tree))))


def _sign(tree: lark.Tree[lark.Token]) -> Operator:
    return Operator(span_of(tree), str(tree.children[0]), tuple(_inside(tree)))


def _text_operator(sign: str) -> Callable[[lark.Tree[lark.Token]], Operator]:
    def operator(tree: lark.Tree[lark.Token]) -> Operator:
        token = cast("lark.Token", tree.children[1])
        text = Literal(span_of(token), "text", str(token)[1:-1])
        return Operator(span_of(tree), sign, (*_inside(tree), text))

    return operator


def _operator(sign: str) -> Callable[[lark.Tree[lark.Token]], Operator]:
    return lambda tree: Operator(span_of(tree), sign, tuple(_inside(tree)))


def _membership(*, negated: bool) -> Callable[[lark.Tree[lark.Token]], Membership]:
    def membership(tree: lark.Tree[lark.Token]) -> Membership:
        subject, items = cast("list[lark.Tree[lark.Token]]", tree.children)
        return Membership(
            span_of(tree), cast("Syntax", build(subject)), tuple(_inside(items)), negated
        )

    return membership


def _call(tree: lark.Tree[lark.Token]) -> Call:
    name = cast("lark.Token", tree.children[0])
    return Call(span_of(tree), str(name), span_of(name), tuple(_inside(tree)))


def _where(tree: lark.Tree[lark.Token]) -> Where:
    path, condition = _inside(tree)
    return Where(span_of(tree), cast("Path", path), condition)


def _selector(tree: lark.Tree[lark.Token]) -> Path | Where:
    path, *condition = _inside(tree)
    if not condition:
        return cast("Path", path)
    return Where(span_of(tree), cast("Path", path), condition[0])


def _half_life(tree: lark.Tree[lark.Token]) -> Option:
    return Option(span_of(tree), "half_life", _milliseconds(_token(tree)))


def _within(tree: lark.Tree[lark.Token]) -> Option:
    return Option(span_of(tree), "within", _milliseconds(_token(tree)))


def _token(tree: lark.Tree[lark.Token]) -> lark.Token:
    return cast("lark.Token", tree.children[0])


def _step(tree: lark.Tree[lark.Token]) -> StepText:
    events, *within = cast("list[object]", _inside(tree))
    return StepText(
        span_of(tree),
        cast("Path | Where", events),
        absent=isinstance(tree.children[0], lark.Token),
        within=cast("Option", within[0]) if within else None,
    )


_BUILDERS: Final[dict[str, Callable[[lark.Tree[lark.Token]], object]]] = {
    "number": _number,
    "percentage": _number,
    "money": _money,
    "duration": _duration,
    "text": lambda tree: Literal(span_of(tree), "text", str(tree.children[0])[1:-1]),
    "path": _path,
    "arithmetic": _arithmetic,
    "compare": _compare,
    "sign": _sign,
    "all": _operator("and"),
    "any": _operator("or"),
    "not_": _operator("not"),
    "starts_with": _text_operator("starts_with"),
    "matches": _text_operator("matches"),
    "in_": _membership(negated=False),
    "not_in": _membership(negated=True),
    "call": _call,
    "group": lambda tree: _inside(tree)[0],
    "where": _where,
    "exact": lambda tree: Option(span_of(tree), "exact", cast("float", _number(tree).value)),
    "half_life": _half_life,
    "within": _within,
    "before": lambda tree: Option(span_of(tree), "before", 1.0),
    "selector": _selector,
    "step": _step,
}
