"""The definition: reads one rule from its TOML table, or finds every mistake in it.

Promise   Nothing in a table is ignored: a key that we do not know is a mistake, and keys that mean
          nothing together are one, because a rule without its `for` is another rule.
How       parse.py and check.py for expressions, template.py for the reason; the keys that need more
          have files of their own: sequence_keys.py, held_keys.py, target_keys.py.
Limits    The constants below.
Not here  Files (load.py). Places and notes of mistakes (table.py).
"""

from collections.abc import Callable
from typing import Final, TypeVar

from rules.check import Checker
from rules.errors import ExpressionError
from rules.expression import Events, Expression
from rules.held_keys import restraint
from rules.parse import parse, parse_selector
from rules.rule import Rule
from rules.sequence_keys import sequence
from rules.table import DURATION_MS_LONGEST, Table
from rules.target_keys import alerts_ms, bodies, targets
from rules.template import Template, template

One = TypeVar("One")

VERSION_MAX: Final = 2**31 - 1
DESCRIBE_CHARS_MAX: Final = 1_000

KEYS: Final = (
    *("version", "stage", "describe", "purpose"),
    *("when", "on", "sequence", "key", "for", "unless"),
    *("holdout", "consent", "quiet", "cap", "cooldown"),
    *("reason", "then"),
)


def definition(table: Table) -> Rule | None:
    """The rule; None when it has mistakes, which are then noted."""
    before = len(table.problems)
    table.known(table.values, KEYS)
    _combination(table)
    held = restraint(table)
    rule = Rule(
        name=table.name,
        version=_version(table),
        describe=_describe(table),
        when=_condition(table, "when"),
        on=_on(table),
        sequence=sequence(table),
        unless=_condition(table, "unless"),
        for_ms=_for(table),
        cooldown_ms=table.duration("cooldown") or 0,
        cap=held.cap,
        quiet=held.quiet,
        consent=held.consent,
        purpose=held.purpose,
        holdout=held.holdout,
        stage=held.stage,
        canary=held.canary,
        reason=_reason(table),
        targets=targets(table),
        bodies=bodies(table),
        alerts_ms=alerts_ms(table),
        file=table.where.file,
        line=table.where.text.count("\n", 0, table.span().start) + 1,
    )
    return rule if len(table.problems) == before else None


def _combination(table: Table) -> None:
    """Note keys that mean nothing together, each once."""
    if "sequence" in table and "on" in table:
        mend = "make it a step of the sequence, or take the sequence away"
        table.wrong_key("on", "a sequence says by itself at which events it is judged", mend)
    if "for" in table and "sequence" in table:
        mend = "write `within` into a step, as in `no order.placed within 30m`"
        table.wrong_key("for", "a sequence is done at a moment, and holds for no time", mend)
    elif "for" in table and "on" in table:
        mend = "take `on` away, so that the condition is looked at all the time; or take `for` away"
        table.wrong_key("for", "a rule with `on` looks at a moment, and holds for no time", mend)
    if not any(key in table for key in ("when", "on", "sequence")):
        mend = 'add `when = "…"`, `on = "order.placed"` or `sequence = […]`'
        table.wrong(table.span(), f"the rule `{table.name}` has no condition", mend)


def _version(table: Table) -> int:
    value = table.values.get("version", 1)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= VERSION_MAX:
        return value
    table.wrong_value("version", said="a version is a whole number from 1", mend="version = 1")
    return 1


def _describe(table: Table) -> str:
    text = table.text("describe") or ""
    if len(text) > DESCRIBE_CHARS_MAX:
        table.wrong_value("describe", said=f"at most {DESCRIBE_CHARS_MAX} characters, please")
    return text


def _on(table: Table) -> Events | None:
    return _checked(table, "on", lambda checker, text: checker.events(parse_selector(text)))


def _condition(table: Table, key: str) -> Expression | None:
    return _checked(table, key, lambda checker, text: checker.condition(parse(text)))


def _checked(table: Table, key: str, check: Callable[[Checker, str], One]) -> One | None:
    """What a text of the rule means, or its mistakes noted."""
    text = table.text(key)
    if text is None:
        return None
    checker = table.checker()
    found = None
    try:
        found = check(checker, text)
    except ExpressionError as mistake:
        checker.mistakes.append(mistake)
    table.mistakes(checker.mistakes, key)
    return found


def _for(table: Table) -> int:
    held_ms = table.duration("for")
    if held_ms is not None and not 0 < held_ms <= DURATION_MS_LONGEST:
        mend = "check the unit" if held_ms else "take it away"
        table.wrong_value("for", said="`for` is longer than nothing, and at most 366d", mend=mend)
    return held_ms or 0


def _reason(table: Table) -> Template | None:
    text = table.text("reason")
    if text is None:
        return None
    checker = table.checker()
    reason = template(text, checker)
    table.mistakes(checker.mistakes, "reason")
    return reason
