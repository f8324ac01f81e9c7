"""The vocabulary: every word that a rule may use, and what it is.

Promise   A word that is not here is a mistake, and the nearest word is offered.
Limits    Scores are named by the plan, not here; actions of clicks are an open set.
Not here  Grammar words (grammar.lark). What functions do (compile.py).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal, get_args

from processors.event import KINDS, NUMBER_FIELDS, TEXT_FIELDS
from rules.expression import Function, Type

ACTION_FIELD: Final = "action"
FIELDS: Final[dict[str, Type]] = {
    **dict.fromkeys(NUMBER_FIELDS, Type.NUMBER),
    **dict.fromkeys((*TEXT_FIELDS, ACTION_FIELD), Type.TEXT),
}

# Actions that we know of, to notice slips of the pen; another one can be written in quotes.
ACTIONS: Final = {
    "click": ("view", "search", "add_to_cart", "remove_from_cart", "checkout"),
    "order": (
        "placed", "paid", "shipped", "delivered", "cancelled", "returned", "refunded",
        "chargeback", "renewed", "subscription_cancelled",
    ),
    "service": (
        "ticket_opened", "first_response", "transferred", "resolved", "reopened", "complaint",
        "csat", "nps", "contact",
    ),
    "customer": ("identify", "consent", "merge", "erase"),
}  # fmt: skip
OPEN_KINDS: Final = ("click",)
assert tuple(ACTIONS) == KINDS, "each kind of event has its actions"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function over events takes."""

    field: Literal["none", "number", "text"]
    spans: frozenset[Literal["window", "half_life", "life"]]  # over which time it can be taken
    example: str


def _over(
    *spans: Literal["window", "half_life", "life"],
) -> frozenset[Literal["window", "half_life", "life"]]:
    return frozenset(spans)


SIGNATURES: Final[dict[Function, Signature]] = {
    "count": Signature("none", _over("window", "half_life", "life"), "count(order.placed, 30d)"),
    "sum": Signature(
        "number", _over("window", "half_life", "life"), "sum(order.placed.amount, 30d)"
    ),
    "mean": Signature(
        "number", _over("window", "half_life", "life"), "mean(order.placed.amount, 30d)"
    ),
    "min": Signature("number", _over("window", "life"), "min(service.csat.score, 90d)"),
    "max": Signature("number", _over("window", "life"), "max(order.placed.amount, 365d)"),
    "rate": Signature("none", _over("window", "half_life"), "rate(click.*, 7d)"),
    "distinct": Signature("text", _over("window", "life"), "distinct(order.paid.terminal, 7d)"),
    "since": Signature("none", _over("life"), "since(order.placed)"),
    "last": Signature("number", _over("life"), "last(service.nps.score)"),
    "first": Signature("number", _over("life"), "first(order.placed.amount)"),
    "deviation": Signature(
        "number", _over("half_life"), "deviation(order.placed.amount, half_life 90d)"
    ),
    "zscore": Signature("number", _over("half_life"), "zscore(order.placed.amount)"),
}
MOMENTS_HALF_LIFE_MS: Final = (
    90 * 86_400_000
)  # of deviation and zscore, when none is given: a season

# Names of what was told of the customer: `attribute.NAME`, `consent.CHANNEL`.
ATTRIBUTE: Final = "attribute"
CONSENT: Final = "consent"
TOLD_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")

# Functions of values: how many they take.
VALUE_FUNCTIONS: Final = {
    "abs": (1, 1),
    "floor": (1, 1),
    "least": (2, 16),
    "greatest": (2, 16),
    "coalesce": (2, 2),
    "has": (1, 1),
}
OTHER_FUNCTIONS: Final = {
    "trend": "trend(health, 7d)",
    "approximate": "approximate(count(order.placed, 30d))",
}
FUNCTIONS: Final = (*SIGNATURES, *VALUE_FUNCTIONS, *OTHER_FUNCTIONS)
assert set(get_args(Function)) == {*SIGNATURES, "approximate"}, "each reading has a signature"

SHOWN_MAX: Final = 8  # names told to who gave none of them


def nearest(word: str, words: Iterable[str]) -> str:
    """The question `did you mean …?`, or nothing when no word is near.

    >>> nearest("helth", ["health", "amount"])
    'did you mean `health`?'
    """
    near = get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def nearest_rule(name: str, names: Iterable[str]) -> str:
    """The rule that is near, by its name or a part of it, else what rules there are; "": none.

    >>> nearest_rule("chrn", ["churn-risk-callback", "cart-reminder"])
    'did you mean `churn-risk-callback`?'
    >>> nearest_rule("xyz", [f"r{number}" for number in range(10)])
    'rules are r0, r1, r2, r3, r4, r5, r6, r7 and 2 more'
    """
    known = sorted(names)
    of_part = {part: each for each in reversed(known) for part in each.split("-")}
    parts = get_close_matches(name, list(of_part), n=1, cutoff=0.75)
    near = nearest(name, known) or (f"did you mean `{of_part[parts[0]]}`?" if parts else "")
    if near or not known:
        return near
    more = f" and {len(known) - SHOWN_MAX} more" if len(known) > SHOWN_MAX else ""
    return f"rules are {', '.join(known[:SHOWN_MAX])}{more}"
