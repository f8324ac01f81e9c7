"""Loading for tests: rules from one text, with a few scores to speak of."""

from collections.abc import Mapping
from typing import Final

from processors.plan import PlanBuilder
from processors.register import Named
from rules.errors import Problem, RulesError
from rules.load import load
from rules.rule import Rule
from rules.ruleset import RuleSet

BANDS: Final = ("red", "amber", "green")
REASONS: Final = ("few orders", "complaints")
TEXTS: Final[Mapping[str, tuple[str, ...] | None]] = {
    "health": None,
    "health.band": BANDS,
    "health.confidence": None,
    "health.top_reason": REASONS,
    "health.trend": None,
    "anomaly.amount": None,
    "anomaly.amount.alert": None,
    "orders_count": None,
}


def builder() -> PlanBuilder:
    made = PlanBuilder()
    for name, texts in TEXTS.items():
        made.score(name, texts)
    return made


def names() -> Mapping[str, Named]:
    return builder().names


def loaded(text: str) -> RuleSet:
    return load({"rules.toml": text.encode()}, names())


def problems(text: str | bytes) -> tuple[Problem, ...]:
    """The mistakes in a file; none when it is all right."""
    data = text.encode() if isinstance(text, str) else text
    try:
        load({"rules.toml": data}, names())
    except RulesError as error:
        return error.problems
    return ()


def rule(lines: str) -> Rule:
    """A rule with these lines that writes a log."""
    (only,) = loaded(f'[rule.a]\n{lines}\nthen = [{{ log = "x" }}]\n').rules
    return only


def mistakes(lines: str) -> list[tuple[str, Problem]]:
    """The pieces of the file that the carets stand under, with what is said of each."""
    found = problems(f'[rule.a]\n{lines}\nthen = [{{ log = "x" }}]\n')
    return [(each.excerpt[each.excerpt_at : each.excerpt_at + each.width], each) for each in found]
