"""The definition: reads one rule from its TOML table, or finds every mistake in it.

Promise   Nothing in a table is ignored: a key that we do not know is a mistake, and a key of a later
          version is refused, because a rule without its `unless` is another rule.
How       parse.py and check.py for expressions, template.py for the reason; places from position.py.
Limits    The constants below.
Not here  Files (load.py).
"""

import re
from dataclasses import dataclass, field
from typing import Final

from rules.action import Target
from rules.check import Checker, Scores
from rules.errors import ExpressionError, Problem
from rules.expression import Events, Expression
from rules.parse import duration_ms, parse, parse_selector
from rules.position import Address, Positions
from rules.rule import Rule
from rules.syntax import Span
from rules.template import Template, template
from rules.vocabulary import nearest

VERSION_MAX: Final = 2**31 - 1
TARGETS_MAX: Final = 8  # of one rule
DESCRIBE_CHARS_MAX: Final = 1_000

KEYS: Final = ("version", "describe", "when", "on", "cooldown", "reason", "then")
LATER: Final = ("for", "unless", "sequence", "key", "cap", "quiet", "consent", "holdout")
TARGET_KINDS: Final = ("webhook", "topic", "alert", "log")
SEVERITIES: Final = ("info", "warning", "critical", "page")
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(slots=True)
class Definition:
    """One rule's table and its place; `rule` reads it once."""

    name: str
    table: dict[str, object]
    where: Positions
    scores: Scores
    problems: list[Problem]
    at: Address = field(init=False)

    def __post_init__(self) -> None:
        self.at = ("rule", self.name)

    def rule(self) -> Rule | None:
        """The rule; None when it has mistakes, which are then among the problems."""
        before = len(self.problems)
        self._keys()
        span = self.where.keys.get(self.at, Span(0, 1))
        on = self._on()
        rule = Rule(
            name=self.name,
            version=self._version(),
            describe=self._text("describe") or "",
            when=self._when(),
            on=on,
            cooldown_ms=self._cooldown(),
            reason=self._reason(),
            targets=self._targets(),
            file=self.where.file,
            line=self.where.text.count("\n", 0, span.start) + 1,
        )
        if "when" not in self.table and "on" not in self.table:
            message = f"the rule `{self.name}` has no condition"
            self._wrong(span, message, 'add `when = "…"`, or `on = "order.placed"`')
        return rule if len(self.problems) == before else None

    def _wrong(self, span: Span, message: str, mend: str = "") -> None:
        self.problems.append(self.where.problem(span, message, mend))

    def _key_span(self, *key: str | int) -> Span:
        address = (*self.at, *key)
        return self.where.keys.get(address) or self._value_span(*key)

    def _value_span(self, *key: str | int) -> Span:
        value = self.where.values.get((*self.at, *key))
        return value.span if value else self.where.keys.get(self.at, Span(0, 1))

    def _keys(self) -> None:
        for key in self.table:
            if key in LATER:
                mend = "take it away, or wait: a rule without it would be another rule"
                self._wrong(
                    self._key_span(key), f"`{key}` is not supported yet by this version", mend
                )
            elif key not in KEYS:
                mend = nearest(key, KEYS) or f"keys are {', '.join(KEYS)}"
                self._wrong(self._key_span(key), f"`{key}` is no key of a rule", mend)

    def _text(self, key: str) -> str | None:
        value = self.table.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self._wrong(self._value_span(key), f"`{key}` takes a text", f'write {key} = "…"')
            return None
        if key == "describe" and len(value) > DESCRIBE_CHARS_MAX:
            self._wrong(self._value_span(key), f"at most {DESCRIBE_CHARS_MAX} characters, please")
        return value

    def _version(self) -> int:
        value = self.table.get("version", 1)
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= VERSION_MAX:
            return value
        self._wrong(
            self._value_span("version"), "a version is a whole number from 1", "version = 1"
        )
        return 1

    def _mistakes(self, key: str, mistakes: list[ExpressionError]) -> None:
        value = self.where.values[(*self.at, key)]
        for each in mistakes:
            self._wrong(value.part(each.span), each.message, each.mend)

    def _checker(self) -> Checker:
        return Checker(self.scores, fields="on" in self.table)

    def _on(self) -> Events | None:
        text = self._text("on")
        if text is None:
            return None
        checker = self._checker()
        events = None
        try:
            events = checker.events(parse_selector(text))
        except ExpressionError as mistake:
            checker.mistakes.append(mistake)
        self._mistakes("on", checker.mistakes)
        return events

    def _when(self) -> Expression | None:
        text = self._text("when")
        if text is None:
            return None
        checker = self._checker()
        condition = None
        try:
            condition = checker.condition(parse(text))
        except ExpressionError as mistake:
            checker.mistakes.append(mistake)
        self._mistakes("when", checker.mistakes)
        return condition

    def _reason(self) -> Template | None:
        text = self._text("reason")
        if text is None:
            return None
        checker = self._checker()
        reason = template(text, checker)
        self._mistakes("reason", checker.mistakes)
        return reason

    def _cooldown(self) -> int:
        text = self._text("cooldown")
        if text is None:
            return 0
        try:
            return duration_ms(text)
        except ExpressionError as mistake:
            self._mistakes("cooldown", [mistake])
            return 0

    def _targets(self) -> tuple[Target, ...]:
        listed = self.table.get("then")
        if not isinstance(listed, list) or not 1 <= len(listed) <= TARGETS_MAX:
            span = self._value_span("then")
            message = f"`then` lists 1 to {TARGETS_MAX} targets"
            self._wrong(span, message, f'then = [{{ webhook = "crm", type = "{self.name}" }}]')
            return ()
        return tuple(self._target(number, table) for number, table in enumerate(listed))

    def _target(self, number: int, table: object) -> Target:
        kinds = [key for key in table if key in TARGET_KINDS] if isinstance(table, dict) else []
        if not isinstance(table, dict) or len(kinds) != 1:
            said = ", ".join(TARGET_KINDS)
            mend = f'as in {{ webhook = "crm", type = "{self.name}" }}'
            self._wrong(self._value_span("then", number), f"a target is one of {said}", mend)
            return Target("log", self.name, self.name)
        kind = kinds[0]
        known = (kind, "type", "severity") if kind == "alert" else (kind, "type")
        for key, value in table.items():
            if key not in known:
                mend = nearest(key, known) or f"keys are {', '.join(known)}"
                self._wrong(
                    self._key_span("then", number, key), f"`{key}` is no key of {kind}", mend
                )
            elif not isinstance(value, str) or not NAME.fullmatch(value):
                mend = "use up to 64 letters, digits and - _ ."
                self._wrong(self._value_span("then", number, key), f"this cannot be a {key}", mend)
            elif key == "severity" and value not in SEVERITIES:
                mend = nearest(value, SEVERITIES) or f"severities are {', '.join(SEVERITIES)}"
                self._wrong(
                    self._value_span("then", number, key), f"`{value}` is no severity", mend
                )
        severity = str(table.get("severity", "warning")) if kind == "alert" else ""
        return Target(kind, str(table[kind]), str(table.get("type", self.name)), severity)
