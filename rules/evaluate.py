"""Evaluating: which rules fire at which events, and the actions that follow.

Promise   A rule without `on` fires when its condition becomes true for a customer, a rule with `on` at
          each such event; neither within its cooldown. A rising edge within the cooldown is used up:
          it is counted as suppressed and does not fire later. Replays decide the same.
How       The plan's programs have worked out the conditions; one kernel goes over events and rules and
          keeps one word of state a rule in the customer's row: 2 × the time of the last fire + whether
          the condition held at the last event. Zero means never.
Limits    FIRES_AT_ONCE fires a call of the kernel, which is called again where there are more.
Not here  Conditions (compile.py). Timers, sequences and caps come with a later version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.batch import Events
from processors.compiled import compiled
from processors.event import Event
from processors.fold import ADMITTED
from processors.machine import Op
from processors.plan import PlanBuilder
from rules.action import Action, action_id
from rules.compile import compile_events, compile_expression
from rules.explain import phrase
from rules.expression import Expression, Field, Score, Type, leaves
from rules.rule import Rule
from rules.spell import spell, spell_events

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

FIRES_AT_ONCE: Final = 4096  # the kernel's buffer; it must hold those of one event
DATA_VALUES_MAX: Final = 64  # values of one action's data

CONDITION, EACH, COOLDOWN_MS, STATE_AT = 0, 1, 2, 3  # columns of `RulePlan.table`, one row a rule
FIRED, SUPPRESSED = 0, 1  # the first words of `RulePlan.counts`


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
    shown: Mapping[Expression, Binding]  # the holes of its reason
    plainly: str  # the reason of a rule that gives none


@dataclass(frozen=True, slots=True, eq=False)
class RulePlan:
    """Rules compiled into one plan. The arrays are the kernel's; `counts` and `fires` are its scratch."""

    bound: tuple[Bound, ...]
    table: Integers  # shape (rules, 4)
    counts: Integers  # FIRED, SUPPRESSED of the last call; then suppressed by rule, since compiling
    fires: Integers  # shape (FIRES_AT_ONCE, 2): event, rule

    @property
    def suppressed(self) -> dict[str, int]:
        """How often each rule would have fired but for its cooldown, since the plan was made."""
        by_rule = self.counts[len((FIRED, SUPPRESSED)) :].tolist()
        return {each.rule.name: many for each, many in zip(self.bound, by_rule, strict=True)}


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the rules decided over one batch."""

    fires: list[tuple[int, int]]  # (event, rule), in order
    suppressed: int  # by cooldowns


def compile_rules(rules: Sequence[Rule], builder: PlanBuilder) -> RulePlan:
    """Ask the builder for all that the rules need; to be called before `builder.build()`.

    Raises:
        ValueError: They ask for more than a plan may hold.
    """
    table = np.zeros((len(rules), 4), dtype=np.int64)
    for number, rule in enumerate(rules):
        table[number] = (
            _condition(rule, builder),
            rule.on is not None,
            rule.cooldown_ms,
            builder.state(f"rule|{rule.name}", 1),
        )
    return RulePlan(
        bound=tuple(_bind(rule, builder) for rule in rules),
        table=table,
        counts=np.zeros(2 + len(rules), dtype=np.int64),
        fires=np.zeros((FIRES_AT_ONCE, 2), dtype=np.int64),
    )


def _condition(rule: Rule, builder: PlanBuilder) -> int:
    asked = [] if rule.on is None else [compile_events(rule.on, builder)]
    if rule.when is not None:
        asked.append(compile_expression(rule.when, builder))
    if len(asked) == 2:  # noqa: PLR2004  both of them
        return builder.apply(Op.AND, *asked).number
    return asked[0].number


def _bind(rule: Rule, builder: PlanBuilder) -> Bound:
    holes = () if rule.reason is None else rule.reason.holes
    asked = [rule.when] if rule.when is not None else []
    if rule.on is not None and rule.on.where is not None:
        asked.append(rule.on.where)
    read = {
        leaf: None
        for each in (*asked, *(hole.expression for hole in holes))
        for leaf in leaves(each)
    }
    plainly = rule.describe
    if not plainly and rule.when is not None:
        plainly = phrase(rule.when)
    if not plainly and rule.on is not None:
        plainly = spell_events(rule.on)
    return Bound(
        rule,
        tuple(_binding(leaf, builder) for leaf in list(read)[:DATA_VALUES_MAX]),
        {hole.expression: _binding(hole.expression, builder) for hole in holes},
        plainly,
    )


def _binding(expression: Expression, builder: PlanBuilder) -> Binding:
    name = spell(expression)
    if isinstance(expression, Field) and expression.type == Type.TEXT:
        return Binding(name, -1, None, expression.name)
    texts = expression.texts if isinstance(expression, Score) else None
    return Binding(name, compile_expression(expression, builder).number, texts, "")


@compiled(
    "i8(i8[:, ::1], f8[:, ::1], i8[:, ::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[:, ::1], i8, i8)"
)
def _decide(
    table: Integers,
    registers: Floats,
    whole_rows: Integers,
    slots: Integers,
    now_ms: Integers,
    status: Integers,
    counts: Integers,
    fires: Integers,
    start: int,
    count: int,
) -> int:
    """Judge events from `start` on; answers where it stopped for lack of room in `fires`, or `count`."""
    rules = table.shape[0]
    fired, suppressed, stopped = 0, 0, count
    for i in range(start, count):
        if fired + rules > fires.shape[0]:
            stopped = i
            break
        if status[i] != ADMITTED:
            continue
        row = whole_rows[slots[i]]
        for k in range(rules):
            holds = registers[table[k, CONDITION], i] != 0.0
            each = table[k, EACH] != 0
            if each and not holds:
                continue
            at = table[k, STATE_AT]
            word = row[at]
            if not each and holds == ((word & 1) != 0):
                continue
            if not holds:
                row[at] = word - 1
                continue
            fired_ms = word >> 1
            held = 0 if each else 1
            if fired_ms != 0 and now_ms[i] - fired_ms < table[k, COOLDOWN_MS]:
                row[at] = 2 * fired_ms + held
                suppressed += 1
                counts[2 + k] += 1
            else:
                row[at] = 2 * now_ms[i] + held
                fires[fired, 0] = i
                fires[fired, 1] = k
                fired += 1
    counts[FIRED] = fired
    counts[SUPPRESSED] = suppressed
    return stopped


def evaluate(
    plan: RulePlan,
    registers: Floats,
    rows: Floats,  # noqa: ARG001  stages of the step take the same arrays
    whole_rows: Integers,
    slots: Integers,
    now_ms: Integers,
    status: Integers,
    count: int,
) -> Verdicts:
    """Decide over `count` events in order, and remember it in their rows.

    Args:
        plan: the compiled rules; its scratch arrays are overwritten.
        registers: shape (registers, at least count), all programs run.
        rows: shape (slots, words).
        whole_rows: the same memory as int64; changed.
        slots: row of each event.
        now_ms: the customer's newest event time, right after each event.
        status: ADMITTED or why not; events that were not admitted are passed over.
        count: how many events.
    """
    fires: list[tuple[int, int]] = []
    suppressed = 0
    start = 0
    while start < count and plan.bound:
        start = _decide(
            plan.table,
            registers,
            whole_rows,
            slots,
            now_ms,
            status,
            plan.counts,
            plan.fires,
            start,
            count,
        )
        fired = int(plan.counts[FIRED])
        suppressed += int(plan.counts[SUPPRESSED])
        if fired:
            fires += [(index, number) for index, number in plan.fires[:fired].tolist()]
    return Verdicts(fires, suppressed)


def actions_of(
    plan: RulePlan, verdicts: Verdicts, registers: Floats, events: Events, shard: int
) -> tuple[list[Action], list[int]]:
    """The actions of a batch's fires, one for each target, with reasons and values as of the event.

    With them, of each action the number of the event.
    """
    actions: list[Action] = []
    causes: list[int] = []
    for index, number in verdicts.fires:
        bound, event = plan.bound[number], events[index]
        rule = bound.rule
        data = {each.name: each.value(registers, index, event) for each in bound.data}
        reason = _reason(bound, registers, index, event)
        actions += [
            Action(
                id=action_id(rule.name, rule.version, event.customer_id, event.id, place),
                rule=rule.name,
                version=rule.version,
                customer_id=event.customer_id,
                shard=shard,
                cause=event.id,
                at_ms=event.at_ms,
                reason=reason,
                target=target,
                data=data,
            )
            for place, target in enumerate(rule.targets)
        ]
        causes += [index] * len(rule.targets)
    return actions, causes


def _reason(bound: Bound, registers: Floats, index: int, event: Event) -> str:
    template = bound.rule.reason
    if template is None:
        return bound.plainly
    return template.render(lambda asked: bound.shown[asked].value(registers, index, event))
