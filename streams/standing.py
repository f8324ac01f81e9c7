"""The standing of a rule with a customer: what the row remembers of it, and what would hold it back now.

Promise   What holds it back, and until when, is what the rules' own kernel says, all of it and in the
          order of precedence.
How       The kernel names the first restraint; it is taken out of a copy of the rule's table, and the
          kernel is asked again.
Limits    A snooze is known where the engine's table has it: in the process that folds.
Not here  Whether the condition holds (rules/clauses.py). Deciding (rules/decide.py, rules/restrain.py).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.event import TIME_MS_MAX
from rules import rule_table as at
from rules.explain import step_phrase
from rules.fires import withheld
from rules.restrain import ALLOWED, restraint
from rules.rule import Rule
from streams.moment import Moment
from streams.step import Engine

_TAKEN_OUT: Final = {
    at.CONSENT_IS_MISSING: ((at.CONSENT, -1),),
    at.IS_SNOOZED: ((at.SNOOZED_MS, 0), (at.SNOOZED_AT, -1)),
    at.IS_QUIET: ((at.QUIET_ZONE, -1),),
    at.IS_CAPPED: ((at.CAP_AT, -1),),
    at.IS_COOLING: ((at.COOLDOWN_MS, 0),),
}
_HELD_BACK_BITS: Final = 8  # the word is 8 × when + which restraint

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Suppression:
    """Something that would keep the rule from acting."""

    restraint: str  # holdout, canary, shadow, draft, or one of RESTRAINTS
    until_ms: int | None  # None: no time is known at which it ends


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The last fire that was held back."""

    at_ms: int
    restraint: str
    allowed_ms: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """A sequence that has begun."""

    began_ms: int
    step: int  # which one is awaited, from 1
    awaited: str
    until_ms: int | None  # when its time is over


@dataclass(frozen=True, slots=True)
class Standing:
    """What the row remembers of a rule."""

    fired_ms: int | None
    held: bool  # whether the condition held at the last event or timer
    due_ms: int | None  # when it will have held for long enough
    waits_until_ms: int | None  # the end of the quiet hours for which a fire waits
    held_back: HeldBack | None
    runs: tuple[Run, ...]
    suppressions: tuple[Suppression, ...]


def standing(engine: Engine, number: int, moment: Moment) -> Standing:
    """How the rule of that number stands with the customer."""
    table, row = engine.rule_plan.table[number], moment.row
    rule = engine.rule_plan.bound[number].rule
    word = int(row[table[at.STATE_AT]])
    return Standing(
        fired_ms=word >> 1 or None,
        held=bool(word & 1),
        due_ms=_word(table, row, at.FOR_AT),
        waits_until_ms=_word(table, row, at.QUIET_AT),
        held_back=_held_back(table, row),
        runs=_runs(engine, number, rule, row),
        suppressions=tuple(suppressions(engine, number, moment)),
    )


def suppressions(engine: Engine, number: int, moment: Moment) -> list[Suppression]:
    """All that would keep the rule from acting at that moment, the first in precedence first."""
    plan = engine.rule_plan
    rule = plan.bound[number].rule
    share = withheld(rule, moment.customer_id)
    found = [Suppression(share, None)] if share else []
    for register in plan.zone_registers:
        plan.zones.know(moment.registers[register, :1])
    table = plan.table[number : number + 1].copy()
    notes = np.zeros(at.NOTES, dtype=np.int64)
    zones = (plan.zones.codes, plan.zones.ends, plan.zones.starts, plan.zones.offsets)
    while True:
        place = (moment.row, table, 0, moment.registers, 0, moment.at_ms)
        held = int(restraint(*place, *zones, notes))
        if held == ALLOWED:
            return found
        until_ms = _time(int(notes[at.ALLOWED_MS]))
        found.append(Suppression(at.RESTRAINTS[held], until_ms))
        for column, value in _TAKEN_OUT[held]:
            table[0, column] = value


def _word(table: Integers, row: Integers, column: int) -> int | None:
    """The time in the word that the column names; None where there is none."""
    place = int(table[column])
    return None if place < 0 else int(row[place]) or None


def _held_back(table: Integers, row: Integers) -> HeldBack | None:
    word = _word(table, row, at.HELD_BACK_AT)
    if word is None:
        return None
    at_ms, which = divmod(word, _HELD_BACK_BITS)
    allowed_ms = _time(int(row[table[at.HELD_BACK_AT] + 1]))
    return HeldBack(at_ms, at.RESTRAINTS[which], allowed_ms)


def _time(at_ms: int) -> int | None:
    """None for no time, and for the end of a pause, which nobody knows."""
    return at_ms if 0 < at_ms <= TIME_MS_MAX else None


def _runs(engine: Engine, number: int, rule: Rule, row: Integers) -> tuple[Run, ...]:
    plan = engine.rule_plan
    table = plan.table[number]
    if rule.sequence is None:
        return ()
    found = []
    for k in range(int(table[at.RUNS])):
        run = row[table[at.RUNS_AT] + at.RUN_WORDS * k :][: at.RUN_WORDS]
        if run[at.RUN_AT] == 0:
            continue
        step = int(run[at.RUN_STEP])
        within_ms = int(plan.steps[table[at.STEPS_AT] + step, at.WITHIN_MS])
        until_ms = int(run[at.RUN_AT]) + within_ms if within_ms else None
        awaited = step_phrase(rule.sequence.steps[step])
        found.append(Run(int(run[at.RUN_BEGAN]), step + 1, awaited, until_ms))
    return tuple(sorted(found, key=lambda each: each.began_ms))
