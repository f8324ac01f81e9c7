"""Fires: the actions that follow, with their reasons and the values that the rule read.

Promise   Each fire gives one action a target, in the order of fires. Who is held out, and whoever a rule in
          shadow or outside of its canary would reach, gets actions too: they say why they are withheld.
How       Shares of customers are told apart by a hash of rule and customer, the same in every replay.
Limits    DATA_VALUES_MAX values of one action's data.
Not here  Whether a rule fires (decide.py). Ids (action.py).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from processors.batch import Events
from processors.event import Event
from processors.plan import PlanBuilder
from rules.action import Action, action_id
from rules.body import Body
from rules.compile import compile_expression
from rules.explain import phrase, step_phrase
from rules.expression import Expression, Field, Score, Type, leaves
from rules.grounds import Grounds, grounds_of, why
from rules.rule import Rule
from rules.spell import spell, spell_events

Floats = npt.NDArray[np.float64]

DATA_VALUES_MAX: Final = 64

Fire: TypeAlias = tuple[int, int, int]
"""Event, rule, and key of the run that was done (0 where there is none)."""


@dataclass(frozen=True, slots=True)
class Binding:
    """How to get the value of an expression when a rule fires."""

    name: str  # the expression, spelled
    register: int  # -1 for a text of the event
    texts: tuple[str, ...] | None
    text: str  # the field, for a text of the event

    def value(self, registers: Floats, index: int, event: Event) -> float | str | None:
        """The value at this event; None where it is missing."""
        if self.register < 0:
            found: str | None = getattr(event, self.text)  # one of TEXT_FIELDS or "action"
            return found
        number = float(registers[self.register, index])
        if not isfinite(number):
            return None
        if self.texts is None:
            return number
        return self.texts[int(number)] if 0 <= number < len(self.texts) else None


@dataclass(frozen=True, slots=True)
class Bound:
    """A rule and what to read when it fires."""

    rule: Rule
    data: tuple[Binding, ...]
    shown: Mapping[Expression, Binding]  # the holes of its reason and bodies
    plainly: str  # the reason of a rule that gives none
    grounds: Grounds


def bind(rule: Rule, builder: PlanBuilder) -> Bound:
    holes = () if rule.reason is None else rule.reason.holes
    asked = [rule.when] if rule.when is not None else []
    if rule.on is not None and rule.on.where is not None:
        asked.append(rule.on.where)
    if rule.unless is not None:
        asked.append(rule.unless)
    read = {
        leaf: None
        for each in (*asked, *(hole.expression for hole in holes))
        for leaf in leaves(each)
    }
    filled = [hole for each in rule.bodies if each is not None for hole in each.holes]
    plainly = rule.describe
    if not plainly and rule.when is not None:
        plainly = phrase(rule.when)
    if not plainly and rule.on is not None:
        plainly = spell_events(rule.on)
    if not plainly and rule.sequence is not None:
        plainly = ", ".join(step_phrase(each) for each in rule.sequence.steps)
    return Bound(
        rule,
        tuple(_binding(leaf, builder) for leaf in list(read)[:DATA_VALUES_MAX]),
        {hole.expression: _binding(hole.expression, builder) for hole in (*holes, *filled)},
        plainly,
        grounds_of(rule, lambda each: _binding(each, builder)),
    )


def _binding(expression: Expression, builder: PlanBuilder) -> Binding:
    name = spell(expression)
    if isinstance(expression, Field) and expression.type == Type.TEXT:
        return Binding(name, -1, None, expression.name)
    texts = expression.texts if isinstance(expression, Score) else None
    return Binding(name, compile_expression(expression, builder).number, texts, "")


def share_of(rule: str, customer_id: str, what: str) -> float:
    """Where a customer stands among all, for one purpose of one rule: from 0 to, not including, 1.

    >>> share_of("vip", "c-7", "holdout") == share_of("vip", "c-7", "holdout")
    True
    >>> 0.0 <= share_of("vip", "c-7", "canary") < 1.0
    True
    """
    text = f"{what}|{rule}|{customer_id}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=6).digest()) / 2**48


def withheld(rule: Rule, customer_id: str) -> str:
    """Why a fire of the rule is not acted on for this customer; nothing when it is."""
    if rule.holdout and share_of(rule.name, customer_id, "holdout") < rule.holdout:
        return "holdout"
    if rule.stage == "canary" and share_of(rule.name, customer_id, "canary") >= rule.canary:
        return "canary"
    return "shadow" if rule.stage == "shadow" else ""


def actions_of(
    bounds: Sequence[Bound],
    fires: Sequence[Fire],
    registers: Floats,
    events: Events,
    shard: int,
) -> tuple[list[Action], list[int]]:
    """The actions of a batch's fires, one for each target, with reasons and values as of the event.

    With them, of each action the number of the event.
    """
    actions: list[Action] = []
    causes: list[int] = []
    for index, number, key in fires:
        bound, event = bounds[number], events[index]
        rule = bound.rule
        data = {each.name: each.value(registers, index, event) for each in bound.data}
        reason = _reason(bound, registers, index, event)
        because = why(bound.grounds, registers, index, event)
        cause = f"{event.id}#{key:x}" if key else event.id
        why_not = withheld(rule, event.customer_id)
        actions += [
            Action(
                id=action_id(rule.name, rule.version, event.customer_id, cause, place),
                rule=rule.name,
                version=rule.version,
                customer_id=event.customer_id,
                shard=shard,
                cause=cause,
                at_ms=event.at_ms,
                reason=reason,
                target=target,
                data=data,
                withheld=why_not,
                why=because,
                ends_ms=_ends_ms(rule, place, event.at_ms),
            )
            for place, target in enumerate(rule.targets)
        ]
        if rule.bodies:
            value = partial(_value, bound, registers, index, event)
            first = len(actions) - len(rule.targets)
            actions[first:] = map(partial(_with_body, value), actions[first:], rule.bodies)
        causes += [index] * len(rule.targets)
    return actions, causes


def _ends_ms(rule: Rule, place: int, at_ms: int) -> int:
    last_ms = rule.alerts_ms[place] if rule.alerts_ms else 0
    return at_ms + last_ms if last_ms else 0


def _reason(bound: Bound, registers: Floats, index: int, event: Event) -> str:
    template = bound.rule.reason
    if template is None:
        return bound.plainly
    return template.render(partial(_value, bound, registers, index, event))


def _value(
    bound: Bound, registers: Floats, index: int, event: Event, asked: Expression
) -> float | str | None:
    """What a hole of the rule shows at this event."""
    return bound.shown[asked].value(registers, index, event)


def _with_body(
    value: Callable[[Expression], float | str | None], action: Action, body: Body | None
) -> Action:
    if body is None:
        return action
    return msgspec.structs.replace(action, body=body.render(action, value))
