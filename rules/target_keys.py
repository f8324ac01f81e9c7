"""The key `then`: what a rule does.

Limits    TARGETS_MAX targets of a rule.
Not here  What a target's name stands for (settings). Bodies (body.py). Carrying actions out (sinks/).
"""

from collections.abc import Mapping
from typing import Final

from rules.action import ALERT, Target
from rules.body import Body, body
from rules.errors import ExpressionError
from rules.parse import duration_ms
from rules.table import DURATION_MS_LONGEST, NAME, Table
from rules.vocabulary import nearest

TARGETS_MAX: Final = 8
KEYS: Final[Mapping[str, tuple[str, ...]]] = {  # of each kind of target
    "webhook": ("webhook", "type", "body"),
    "topic": ("topic", "type", "body"),
    "alert": ("alert", "type", "severity", "resolve_after"),
    "slack": ("slack", "type"),
    "log": ("log", "type"),
}
TARGET_KINDS: Final = tuple(KEYS)
READ_APART: Final = ("body", "resolve_after")
ALERT_MS_MIN: Final = 1_000
ALERT_MS_TOLD: Final = 7 * 86_400_000  # of a condition whose end is told, should the end get lost
SEVERITIES: Final = ("info", "warning", "critical", "page")


def targets(table: Table) -> tuple[Target, ...]:
    """The targets; fewer where there are mistakes, which are then noted."""
    listed = table.values.get("then")
    if not isinstance(listed, list) or not 1 <= len(listed) <= TARGETS_MAX:
        said = f"`then` lists 1 to {TARGETS_MAX} targets"
        mend = f'then = [{{ webhook = "crm", type = "{table.name}" }}]'
        table.wrong_value("then", said=said, mend=mend)
        return ()
    return tuple(_target(table, number, each) for number, each in enumerate(listed))


def bodies(table: Table) -> tuple[Body | None, ...]:
    """Their bodies, in the same order; nothing where none has one. To be asked after `targets`."""
    listed = table.values.get("then")
    if not isinstance(listed, list):
        return ()
    found = [
        body(table, number) if isinstance(each, dict) and _takes_body(each) else None
        for number, each in enumerate(listed[:TARGETS_MAX])
    ]
    return tuple(found) if any(each is not None for each in found) else ()


def alerts_ms(table: Table) -> tuple[int, ...]:
    """How long their alerts last at most, 0 where their receiver decides; nothing where all do."""
    listed = table.values.get("then")
    if not isinstance(listed, list):
        return ()
    is_told = "on" not in table and "sequence" not in table  # when the condition is over
    found = [
        0
        if not isinstance(each, dict) or ALERT not in each
        else _alert_ms(table, number)
        if "resolve_after" in each
        else ALERT_MS_TOLD * is_told
        for number, each in enumerate(listed[:TARGETS_MAX])
    ]
    return tuple(found) if any(found) else ()


def _alert_ms(table: Table, number: int) -> int:
    at = ("then", number, "resolve_after")
    listed = table.values["then"]
    assert isinstance(listed, list), "that is how the target was found"
    text = listed[number]["resolve_after"]
    if not isinstance(text, str):
        table.wrong_value(*at, said="`resolve_after` takes a text", mend='resolve_after = "1h"')
        return 0
    try:
        last_ms = duration_ms(text)
    except ExpressionError as mistake:
        table.mistakes([mistake], *at)
        return 0
    if not ALERT_MS_MIN <= last_ms <= DURATION_MS_LONGEST:
        mend = 'resolve_after = "1h"'
        table.wrong_value(*at, said="an alert lasts at least a second, at most 366d", mend=mend)
    return last_ms


def _takes_body(target: Mapping[str, object]) -> bool:
    return "body" in target and any("body" in KEYS[key] for key in target if key in KEYS)


def _target(table: Table, number: int, target: object) -> Target:
    kinds = [key for key in target if key in TARGET_KINDS] if isinstance(target, dict) else []
    if not isinstance(target, dict) or len(kinds) != 1:
        said = f"a target is one of {', '.join(TARGET_KINDS)}"
        mend = f'as in {{ webhook = "crm", type = "{table.name}" }}'
        table.wrong_value("then", number, said=said, mend=mend)
        return Target("log", table.name, table.name)
    kind = kinds[0]
    known = KEYS[kind]
    for key, value in target.items():
        if key not in known:
            mend = nearest(key, known) or f"keys are {', '.join(known)}"
            table.wrong(table.key_span("then", number, key), f"`{key}` is no key of {kind}", mend)
        elif key in READ_APART:
            continue
        elif not isinstance(value, str) or not NAME.fullmatch(value):
            mend = "use up to 64 letters, digits and - _ ."
            table.wrong_value("then", number, key, said=f"this cannot be a {key}", mend=mend)
        elif key == "severity" and value not in SEVERITIES:
            mend = nearest(value, SEVERITIES) or f"severities are {', '.join(SEVERITIES)}"
            table.wrong_value("then", number, key, said=f"`{value}` is no severity", mend=mend)
    severity = str(target.get("severity", "warning")) if kind == "alert" else ""
    return Target(kind, str(target[kind]), str(target.get("type", table.name)), severity)
