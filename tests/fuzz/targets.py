"""Targets: what must be so of any text at all that stands where a rule is read.

Promise   Each target raises where a law is broken, and returns otherwise.
How       A text is a rule's piece or a mistake with its place; a piece is spelled, read again and equal;
          it can be said in English and compiled.
Not here  Who makes the texts (test_targets.py by grammar, __main__.py by coverage).
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from rules.check import Checker
from rules.compile import compile_events, compile_expression
from rules.errors import ExpressionError, Problem, RulesError
from rules.explain import phrase, sentence
from rules.expression import Expression, Field, Type
from rules.load import load
from rules.parse import parse, parse_selector, parse_step
from rules.rule import Rule
from rules.spell import spell, spell_events
from rules.syntax import Path, Where
from rules.template import template
from tests.rules.loading import TEXTS, builder, names

One = TypeVar("One")


def condition(text: str) -> None:
    """An expression, as in `when` of a rule with `on`."""
    checker = Checker(TEXTS, fields=True)
    checked = _checked(text, checker, lambda: checker.expression(parse(text)))
    if checked is not None:
        _is_the_same_again(checked)


def selector(text: str) -> None:
    """Events, as `on` has them."""
    _events(text, parse_selector)


def step(text: str) -> None:
    """A step of a sequence."""
    _events(text, lambda text: parse_step(text).events)


def reason(text: str) -> None:
    """A template, as `reason` has it."""
    checker = Checker(TEXTS, fields=True)
    made = template(text, checker)
    for each in checker.mistakes:
        _has_its_place(each, text)
    assert (made is None) == bool(checker.mistakes)
    if made is not None:
        assert isinstance(made.render(lambda _: None), str)


def file(text: str) -> None:
    """A whole rule file."""
    rules, told = _loaded(text.encode("utf-8", "replace"))
    assert bool(told) == (rules is None)
    assert all(str(each) and each.line >= 0 for each in told)
    for rule in rules or ():
        assert sentence(rule)


def keys(text: str) -> None:
    """The other texts of a rule, line by line: each is the value of one key."""
    lines = text.split("\n")
    written = [f"{key} = '''{value}'''" for key, value in zip(KEYS, lines, strict=False)]
    file("[rule.a]\nthen = [{ log = 'x' }]\nwhen = 'health < 4'\n" + "\n".join(written))


def _loaded(data: bytes) -> tuple[tuple[Rule, ...] | None, tuple[Problem, ...]]:
    try:
        return load({"fuzz.toml": data}, names()).rules, ()
    except RulesError as error:
        return None, error.problems


KEYS: Final = ("for", "cap", "holdout", "stage", "cooldown", "consent", "purpose", "unless")
TARGETS: Final[Mapping[str, Callable[[str], None]]] = {
    "condition": condition,
    "selector": selector,
    "step": step,
    "reason": reason,
    "keys": keys,
    "file": file,
}


def _has_its_place(mistake: ExpressionError, text: str) -> None:
    assert mistake.message
    assert 0 <= mistake.span.start <= mistake.span.end <= len(text) + 1


def _checked(text: str, checker: Checker, check: Callable[[], One]) -> One | None:
    """What the text means; where it means nothing, each mistake has its place."""
    try:
        found = check()
    except ExpressionError as mistake:
        _has_its_place(mistake, text)
        return None
    for each in checker.mistakes:
        _has_its_place(each, text)
    assert (found is None) == bool(checker.mistakes)
    return found


def _is_the_same_again(checked: Expression) -> None:
    spelled = spell(checked)
    again = Checker(TEXTS, fields=True)

    assert again.expression(parse(spelled)) == checked, (spelled, again.mistakes)
    assert phrase(checked)
    if not (isinstance(checked, Field) and checked.type == Type.TEXT):  # has no register
        compile_expression(checked, builder())


def _events(text: str, read: Callable[[str], Path | Where]) -> None:
    checker = Checker({}, fields=False)
    events = _checked(text, checker, lambda: checker.events(read(text)))
    if events is not None:
        spelled = spell_events(events)
        again = Checker({}, fields=False)

        assert again.events(parse_selector(spelled)) == events, (spelled, again.mistakes)
        compile_events(events, builder())
