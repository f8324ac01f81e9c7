"""Endings: what tells alerts that the condition of their rule is over.

Promise   Each end of a condition gives one action for each alert of its rule, with the same identity as the
          action that began it: rule, customer and target. It is withheld wherever that was.
How       The id is made of what ended it, as others are of what began them: an event or a timer.
Limits    Only rules that are a condition alone: `on` and sequences are moments. An end is told also where a
          restraint has held the beginning back; an alert that never began is none to its receiver.
Not here  When a condition ends (decide.py). How long an alert lasts at most (target_keys.py).
"""

from collections.abc import Sequence
from typing import TypeAlias

from processors.batch import Events
from rules.action import ALERT, Action, action_id
from rules.fires import Bound, Floats, withheld

Fall: TypeAlias = tuple[int, int]
"""Event, and rule whose condition held before it and holds no more."""


def endings_of(
    bounds: Sequence[Bound], falls: Sequence[Fall], registers: Floats, events: Events, shard: int
) -> tuple[list[Action], list[int]]:
    """The actions of a batch's falls, in their order, and of each the number of the event."""
    actions: list[Action] = []
    causes: list[int] = []
    for index, number in falls:
        bound, event = bounds[number], events[index]
        rule = bound.rule
        if not rule.ends:
            continue
        made = [
            Action(
                id=action_id(rule.name, rule.version, event.customer_id, event.id, place),
                rule=rule.name,
                version=rule.version,
                customer_id=event.customer_id,
                shard=shard,
                cause=event.id,
                at_ms=event.at_ms,
                reason=f"It is over: {bound.plainly}",
                target=target,
                data={each.name: each.value(registers, index, event) for each in bound.data},
                withheld=withheld(rule, event.customer_id),
                resolves=True,
            )
            for place, target in enumerate(rule.targets)
            if target.kind == ALERT
        ]
        actions += made
        causes += [index] * len(made)
    return actions, causes


def in_order(
    actions: Sequence[Action], causes: Sequence[int], endings: Sequence[Action], ends: Sequence[int]
) -> tuple[list[Action], list[int]]:
    """Fires and endings of one batch together, by their events.

    No rule does both at one event, so that each alert is told of its turns in their order.
    """
    both = [*zip(causes, actions, strict=True), *zip(ends, endings, strict=True)]
    both.sort(key=lambda one: one[0])
    return [action for _, action in both], [cause for cause, _ in both]
