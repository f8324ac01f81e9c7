"""The table: one rule as TOML has it, with the place of each key and value, and what is wrong there.

Promise   A mistake is noted once, at its place, and reading goes on.
Not here  What the keys mean (definition.py and its neighbours). Places (position.py).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from rules.check import Checker, Scores
from rules.errors import ExpressionError, Problem
from rules.parse import duration_ms
from rules.position import Address, Positions
from rules.syntax import Span
from rules.vocabulary import TOLD_NAME, nearest

DURATION_MS_LONGEST: Final = 366 * 86_400_000  # of `for` and `within`: what state can wait for
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PERCENTAGE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")


@dataclass(slots=True)
class Table:
    """One rule's keys and values; keys of tables inside are addressed by their whole path."""

    name: str
    values: Mapping[str, object]
    where: Positions
    scores: Scores
    problems: list[Problem]
    at: Address = field(init=False)

    def __post_init__(self) -> None:
        self.at = ("rule", self.name)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def wrong(self, span: Span, message: str, mend: str = "") -> None:
        """Note a mistake."""
        self.problems.append(self.where.problem(span, message, mend))

    def wrong_key(self, key: str, message: str, mend: str = "") -> None:
        """Note that the key itself should not be there."""
        self.wrong(self.key_span(key), message, mend)

    def wrong_value(self, *key: str | int, said: str, mend: str = "") -> None:
        """Note that the value of the key is none."""
        self.wrong(self.value_span(*key), said, mend)

    def mistakes(self, mistakes: Iterable[ExpressionError], *key: str | int) -> None:
        """Note mistakes in the text that is the key's value."""
        value = self.where.values[(*self.at, *key)]
        for each in mistakes:
            self.wrong(value.part(each.span), each.message, each.mend)

    def span(self) -> Span:
        """Where the rule begins."""
        return self.where.keys.get(self.at, Span(0, 1))

    def key_span(self, *key: str | int) -> Span:
        """Where the key stands."""
        return self.where.keys.get((*self.at, *key)) or self.value_span(*key)

    def value_span(self, *key: str | int) -> Span:
        """Where its value stands; where the key is, or the rule begins, when it has none of its own."""
        value = self.where.values.get((*self.at, *key))
        if value is not None:
            return value.span
        return self.where.keys.get((*self.at, *key)) or self.span()

    def checker(self) -> Checker:
        """What checks expressions of this rule."""
        sequence = "sequence" in self
        return Checker(self.scores, fields="on" in self and not sequence, sequence=sequence)

    def known(self, inside: Mapping[str, object], keys: tuple[str, ...], *at: str | int) -> bool:
        """Whether all keys of the rule, or of a table inside it, are among these; note those that are not."""
        others = [key for key in inside if key not in keys]
        what = f"`{at[0]}`" if at else "a rule"
        for key in others:
            mend = nearest(key, keys) or f"keys are {', '.join(keys)}"
            self.wrong(self.key_span(*at, key), f"`{key}` is no key of {what}", mend)
        return not others

    def text(self, key: str) -> str | None:
        """The text of a key; None when it is absent, or is none."""
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return value
        self.wrong_value(key, said=f"`{key}` takes a text", mend=f'write {key} = "…"')
        return None

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """One of some words."""
        value = self.text(key)
        if value is None or value in choices:
            return default if value is None else value
        mend = nearest(value, choices) or f"it is one of {', '.join(choices)}"
        self.wrong_value(key, said=f"`{value[:80]}` is no {key}", mend=mend)
        return default

    def duration(self, key: str) -> int | None:
        """Milliseconds of a duration; None when the key is absent, or its value is none."""
        text = self.text(key)
        if text is None:
            return None
        try:
            return duration_ms(text)
        except ExpressionError as mistake:
            self.mistakes([mistake], key)
            return None

    def channel(self, *key: str | int, value: object) -> str | None:
        """The name of a channel such as `phone`."""
        if isinstance(value, str) and TOLD_NAME.fullmatch(value):
            return value
        mend = 'up to 64 letters, digits and _, as in "phone" or "email"'
        self.wrong(self.value_span(*key), "this cannot be a channel", mend)
        return None


def share(text: str) -> float | None:
    """The fraction that a percentage from 0% to 100% means; None where it is none.

    >>> share("12.5%"), share("101%"), share("0.1")
    (0.125, None, None)
    """
    found = _PERCENTAGE.fullmatch(text.strip())
    fraction = float(found[1]) / 100 if found else 2.0
    return fraction if fraction <= 1 else None
