"""The linter: what is allowed in rules, and is hardly meant.

Promise   Each remark names its file, line and rule, says what is odd and how to mend it. What is remarked
          on a condition is so for all customers and events, those that come late aside.
How       Conditions by what is possible (possible.py): a part that never holds, always holds, or says nothing
          beside the others. Everything else by comparing rules as values.
Limits    Conditions too large for possible.py pass. A remark stands at its rule's line.
Not here  Mistakes, which keep rules from being used (load.py). Bands of values (bands.py). Cost (cost.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from rules.action import Target
from rules.bands import band_remarks
from rules.clauses import condition_of
from rules.expression import Events, Expression, Operation, Reading, Type, children, leaves
from rules.possible import can_fail, can_hold
from rules.remark import Remark
from rules.rule import Rule
from rules.spell import spell, spell_events
from rules.vocabulary import ACTIONS, OPEN_KINDS, nearest

PEOPLE: Final = ("webhook", "slack", "topic")  # targets that may end in front of a customer


def lint(rules: Sequence[Rule]) -> list[Remark]:
    """All remarks on these rules, in the order of files and lines."""
    found = [each for rule in rules for each in _of_rule(rule)]
    found += _twins(rules)
    found += band_remarks(rules)
    return sorted(dict.fromkeys(found), key=lambda each: (each.file, each.line))


def _of_rule(rule: Rule) -> Iterator[Remark]:
    for said in _said_of_conditions(rule):
        yield Remark.of(rule, said.code, said.message, said.mend)
    for events in _events(rule):
        known = ACTIONS[events.kind]
        if events.action not in ("*", *known) and events.kind not in OPEN_KINDS:
            mend = nearest(events.action, known) or f"actions are {', '.join(known)}"
            plain = replace(events, where=None)
            message = f"no event is known to be {spell_events(plain)}"
            yield Remark.of(rule, "unknown-action", message, mend)
    is_marketing = rule.purpose == "marketing" and any(each.kind in PEOPLE for each in rule.targets)
    if (rule.consent or is_marketing) and not rule.cooldown_ms and rule.cap is None:
        message = "nothing keeps this rule from writing to one customer again and again"
        yield Remark.of(rule, "no-cooldown", message, 'add `cooldown = "7d"` or a `cap`')


@dataclass(frozen=True, slots=True)
class _Said:
    code: str
    message: str
    mend: str


def _said_of_conditions(rule: Rule) -> Iterator[_Said]:
    whole = _joined("and", [part for each in _wheres(rule) for part in _operands("and", each)])
    if whole is not None:
        yield from _walk(whole, rule.on)
    asked = [] if whole is None else [whole]
    asked += [] if rule.reason is None else [hole.expression for hole in rule.reason.holes]
    steps = () if rule.sequence is None else rule.sequence.steps
    inside = [each.events.where for each in steps]
    inside += [
        each.events.where for one in asked for each in leaves(one) if isinstance(each, Reading)
    ]
    for where in dict.fromkeys(each for each in inside if each is not None):
        yield from _walk(where, None)


def _wheres(rule: Rule) -> list[Expression]:
    where = None if rule.on is None else rule.on.where
    return [each for each in (where, condition_of(rule)) if each is not None]


def _operands(sign: str, expression: Expression) -> tuple[Expression, ...]:
    is_it = isinstance(expression, Operation) and expression.sign == sign
    return children(expression) if is_it else (expression,)


def _joined(sign: str, parts: Sequence[Expression]) -> Expression | None:
    if len(parts) < 2:  # noqa: PLR2004  nothing to join
        return parts[0] if parts else None
    return Operation(sign, tuple(parts), Type.CONDITION, parts[0].span)  # type: ignore[arg-type]  # "and" or "or"


def _not(condition: Expression) -> Expression:
    return Operation("not", (condition,), Type.CONDITION, condition.span)


def _walk(condition: Expression, on: Events | None) -> Iterator[_Said]:
    """What is odd about the condition, or about a part of it."""
    if not can_hold(condition, on):
        yield _never(condition, on)
    elif not can_fail(condition, on):
        yield _Said("always", f"`{spell(condition)}` always holds", "leave it out, or mend it")
    elif not can_fail(condition, on, there=True):
        message = f"`{spell(condition)}` holds wherever its values are there"
        yield _Said("always", message, "write has(…) if that is meant")
    else:
        for each in children(condition):
            if each.type == Type.CONDITION:
                yield from _walk(each, on)
        yield from _needless(condition, on)


def _never(condition: Expression, on: Events | None) -> _Said:
    """Say it of the smallest part that never holds, or of two that contradict each other."""
    parts = _operands("and", condition)
    alone = [each for each in parts if not can_hold(each, on)]
    if alone and len(parts) > 1:
        return _never(alone[0], on)
    for number, one in enumerate(parts):
        for other in parts[number + 1 :]:
            both = _joined("and", (one, other))
            if both is not None and not can_hold(both, on):
                message = f"`{spell(one)}` and `{spell(other)}` never hold together"
                return _Said("never", message, "mend one of them, or write `or`")
    return _Said("never", f"`{spell(condition)}` never holds", "mend it, or leave it out")


def _needless(condition: Expression, on: Events | None) -> Iterator[_Said]:
    """Parts that change nothing: of `and` what the others imply, of `or` what implies the others."""
    if not isinstance(condition, Operation) or condition.sign not in ("and", "or"):
        return
    left = [each for each in condition.operands if can_hold(each, on) and can_fail(each, on)]
    for each in list(left):
        rest = _joined(condition.sign, [other for other in left if other is not each])
        if rest is None:
            return
        pair = (rest, _not(each)) if condition.sign == "and" else (each, _not(rest))
        both = _joined("and", [part for one in pair for part in _operands("and", one)])
        if both is not None and not can_hold(both, on):
            left = [other for other in left if other is not each]
            message = f"`{spell(each)}` says nothing beside `{spell(rest)}`"
            yield _Said("needless", message, "leave it out, or mend one of them")


def _events(rule: Rule) -> list[Events]:
    """All events that the rule names, each once."""
    found = [] if rule.on is None else [rule.on]
    found += [] if rule.sequence is None else [each.events for each in rule.sequence.steps]
    conditions = [each for each in (rule.when, rule.unless) if each is not None]
    found += [
        leaf.events for each in conditions for leaf in leaves(each) if isinstance(leaf, Reading)
    ]
    return list(dict.fromkeys(found))


def _twins(rules: Sequence[Rule]) -> Iterator[Remark]:
    """Rules that do the same at the same time as another one."""
    known: dict[object, Rule] = {}
    for rule in rules:
        if rule.stage == "draft":
            continue
        condition = (rule.on, rule.sequence, condition_of(rule), rule.for_ms)
        targets = tuple(_without_name(each, rule.name) for each in rule.targets)
        other = known.setdefault((*condition, targets, rule.consent), rule)
        if other is not rule:
            message = f"it does what `{other.name}` does, under the same condition"
            mend = f"take one of them away; {other.name} is in {other.file}:{other.line}"
            yield Remark.of(rule, "twin", message, mend)


def _without_name(target: Target, name: str) -> Target:
    """The target, without a type that is the rule's name: it has none of its own."""
    return msgspec.structs.replace(target, type="") if target.type == name else target
