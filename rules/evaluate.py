"""Evaluating: rules compiled into a plan, and what they decide over a batch.

Promise   Replays decide the same. A rule keeps its state over a reload by its name; a sequence as long as
          its steps stay the same.
How       The plan's programs have worked out the conditions; one kernel (decide.py) goes over events and
          rules, and keeps a few words a rule in the customer's row. Zero means never.
Limits    RUNS_MAX runs of sequences a customer.
Not here  Conditions (compile.py). Deciding (decide.py). Actions (fires.py).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from types import MappingProxyType
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from processors.aggregate import AggregateKind
from processors.health_ahead import SOON_MS
from processors.machine import Op
from processors.plan import PlanBuilder
from processors.register import Register
from processors.tables import READ_AT, READ_BODY, READ_KIND, READ_TARGET, Plan
from processors.zones import Zones, zone_code
from rules import looks
from rules import rule_table as at
from rules.compile import compile_events, compile_expression
from rules.decide import FIRES_AT_ONCE, OVER, decide
from rules.endings import Fall
from rules.falls import NOWHERE, Borders, borders_of
from rules.fires import Bound, Fire, bind
from rules.restraint import CUSTOMER_ZONE, Cap, Quiet
from rules.rule import Rule
from rules.sequence import RUNS_KEYED_MAX, STEPS_MAX
from rules.sequence import Sequence as Steps
from rules.spell import spell_step

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

CHANNEL_RING: Final = 64  # fires remembered of a channel, whatever the caps that count them
RING_MIN: Final = 8  # fires remembered of a rule with a cap, at least
_QUARTER_MS: Final = 15 * 60_000  # all clocks of the world differ by multiples of it
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True, eq=False)
class RulePlan:
    """Rules compiled into one plan. The arrays are the kernel's; some are its scratch."""

    bound: tuple[Bound, ...]
    table: Integers  # shape (rules, at.COLUMNS)
    steps: Integers  # shape (steps, 3)
    zone_registers: tuple[int, ...]  # which hold codes of zones
    timer_ms: int  # no timer is due sooner after what set it; 0: there are no timers
    granule_ms: (
        int  # those for the end of quiet hours are due at multiples of this; 0: there are none
    )
    zones: Zones = field(default_factory=Zones)
    looked: tuple[tuple[int, int], ...] = ()  # register of a reading, and delay
    borders: Borders = NOWHERE  # of health, where silence may take it
    snoozed: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    """By register: the customers for whom a rule is snoozed, each until when."""
    looks: Integers = field(init=False)  # once it is connected
    held_back: Integers = field(init=False)  # shape (rules, restraints), since the plan was made
    fires: Integers = field(init=False)  # shape (FIRES_AT_ONCE, 3): event, rule, key
    notes: Integers = field(init=False)
    done: Integers = field(init=False)
    fits: npt.NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        def put(name: str, array: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> None:
            object.__setattr__(self, name, array)

        put("looks", np.zeros((0, looks.COLUMNS), dtype=np.int64))
        put("held_back", np.zeros((len(self.bound), len(at.RESTRAINTS)), dtype=np.int64))
        put("fires", np.zeros((FIRES_AT_ONCE, 3), dtype=np.int64))
        put("notes", np.zeros(at.NOTES, dtype=np.int64))
        put("done", np.zeros(RUNS_KEYED_MAX + 1, dtype=np.int64))
        put("fits", np.zeros(STEPS_MAX, dtype=np.bool_))

    def connect(self, plan: Plan) -> None:
        """Learn where in a row the readings are that were asked for; once the plan is built."""
        places = {read[READ_TARGET]: read for read in plan.after.tolist()}
        found = []
        for register, delay_ms in self.looked:
            read = places[register]
            is_exact = read[READ_KIND] == AggregateKind.EVENTS
            found.append((read[READ_AT], read[READ_BODY] if is_exact else -1, delay_ms))
        table = np.array(found, dtype=np.int64).reshape(len(found), looks.COLUMNS)
        object.__setattr__(self, "looks", table)

    @property
    def has_timers(self) -> bool:
        return self.timer_ms > 0 or self.granule_ms > 0

    @property
    def dropped_runs(self) -> int:
        """How many runs of sequences have made room for others, since the plan was made."""
        return int(self.notes[at.DROPPED_RUNS])

    @property
    def suppressed(self) -> dict[str, int]:
        """How often each rule would have fired but for a restraint, since the plan was made."""
        by_rule = self.held_back.sum(axis=1).tolist()
        return {each.rule.name: many for each, many in zip(self.bound, by_rule, strict=True)}

    @property
    def suppressed_by(self) -> dict[str, dict[str, int]]:
        """The same by restraint, without those that held nothing back."""
        return {
            each.rule.name: {
                name: many for name, many in zip(at.RESTRAINTS, row, strict=True) if many
            }
            for each, row in zip(self.bound, self.held_back.tolist(), strict=True)
        }


class Verdicts(msgspec.Struct, frozen=True):
    """What the rules decided over one batch."""

    fires: list[Fire]  # in order of the events, then of the rules
    falls: list[Fall]  # likewise, of rules that tell somebody when their condition is over
    suppressed: int  # by restraints


@dataclass(slots=True)
class _Compiler:
    """Fills the tables of a plan, rule by rule."""

    builder: PlanBuilder
    steps: list[tuple[int, int, int]] = field(default_factory=list)
    zone_registers: dict[int, None] = field(default_factory=dict)
    delays_ms: list[int] = field(default_factory=list)
    granules_ms: list[int] = field(default_factory=list)
    looked: list[tuple[int, int]] = field(default_factory=list)

    def row(self, rule: Rule) -> Integers:
        row = np.full(at.COLUMNS, -1, dtype=np.int64)
        row[[at.COOLDOWN_MS, at.FOR_MS, at.SNOOZED_MS]] = rule.cooldown_ms, rule.for_ms, 0
        row[at.CONDITION] = self._condition(rule).number
        row[at.TRIGGER] = at.EDGE if rule.on is None else at.EACH
        row[at.TOUCHED] = row[at.CONDITION]
        row[at.ENDS] = rule.ends
        row[at.STATE_AT] = self.builder.state(f"rule|{rule.name}", 1)
        if rule.for_ms:
            row[at.FOR_AT] = self.builder.state(f"for|{rule.name}", 1)
            self.delays_ms.append(rule.for_ms)
        for look in looks.looks_of(rule):
            register = compile_expression(look.reading, self.builder)
            self.looked.append((register.number, look.delay_ms))
            self.delays_ms.append(look.delay_ms)
        if rule.sequence is not None:
            self._sequence(row, rule.name, rule.sequence)
        if rule.consent is not None:
            row[at.CONSENT] = self.builder.consented(rule.consent).number
        if rule.quiet is not None:
            self._quiet(row, rule.name, rule.quiet)
        if rule.cap is not None:
            self._cap(row, rule.name, rule.cap)
        if rule.consent is not None or rule.quiet is not None or rule.cap is not None:
            row[at.HELD_BACK_AT] = self.builder.state(f"held back|{rule.name}", 2)
        return row

    def _condition(self, rule: Rule) -> Register:
        asked = [] if rule.on is None else [compile_events(rule.on, self.builder)]
        if rule.when is not None:
            asked.append(compile_expression(rule.when, self.builder))
        if rule.unless is not None:
            asked.append(self.builder.apply(Op.NOT, compile_expression(rule.unless, self.builder)))
        if not asked:
            return self.builder.constant(1.0)
        return reduce(lambda left, right: self.builder.apply(Op.AND, left, right), asked)

    def _sequence(self, row: Integers, name: str, sequence: Steps) -> None:
        builder = self.builder
        filters = [compile_events(each.events, builder) for each in sequence.steps]
        row[at.TRIGGER] = at.SEQUENCE
        row[at.TOUCHED] = reduce(
            lambda left, right: builder.apply(Op.OR, left, right), filters
        ).number
        if sequence.key is not None:
            row[at.KEY] = builder.text_hash(sequence.key).number
        text = "\n".join((*map(spell_step, sequence.steps), sequence.key or ""))
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        row[at.RUNS] = sequence.runs_max
        row[at.RUNS_AT] = builder.state(
            f"sequence|{name}|{digest}", at.RUN_WORDS * sequence.runs_max
        )
        row[at.STEPS_AT], row[at.STEPS] = len(self.steps), len(filters)
        for each, chosen in zip(sequence.steps, filters, strict=True):
            self.steps.append((chosen.number, each.within_ms, each.absent))
            if each.absent:
                self.delays_ms.append(each.within_ms)

    def _quiet(self, row: Integers, name: str, quiet: Quiet) -> None:
        if quiet.zone == CUSTOMER_ZONE:
            zone = self.builder.attribute("timezone", text=True)
        else:
            zone = self.builder.constant(zone_code(quiet.zone))
        self.zone_registers[zone.number] = None
        row[at.QUIET_ZONE] = zone.number
        row[[at.QUIET_FROM, at.QUIET_TO]] = quiet.from_minute, quiet.to_minute
        row[at.QUIET_WAITS] = quiet.waits
        if quiet.waits:
            row[at.QUIET_AT] = self.builder.state(f"quiet|{name}", 1)
            self.granules_ms.append(_MINUTE_MS if quiet.to_minute % 15 else _QUARTER_MS)

    def _cap(self, row: Integers, name: str, cap: Cap) -> None:
        # A ring of some sizes only, so that a cap that is raised or lowered still knows of the fires before.
        ring = max(RING_MIN, 1 << (cap.count - 1).bit_length())
        whose = name
        if cap.channel is not None:
            ring, whose = CHANNEL_RING, f"channel|{cap.channel}"
        row[at.CAP_AT] = self.builder.state(f"cap|{whose}", 1 + ring)
        row[[at.CAP_SIZE, at.CAP_COUNT, at.CAP_MS]] = ring, cap.count, cap.window_ms


def compile_rules(
    rules: Sequence[Rule],
    builder: PlanBuilder,
    snoozed: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> RulePlan:
    """Ask the builder for all that the rules need; to be called before `builder.build()`.

    Drafts are left out: they are checked, and nothing else.

    Args:
        rules: in order.
        builder: the scores have been added to it.
        snoozed: by rule, the customers for whom it is snoozed, each until when.

    Raises:
        ValueError: They ask for more than a plan may hold.
    """
    compiler = _Compiler(builder)
    judged = [rule for rule in rules if rule.stage != "draft"]
    rows = [compiler.row(rule) for rule in judged]
    borders = borders_of(judged)
    if borders:
        compiler.delays_ms.append(SOON_MS)
    registers = {}
    for rule, row in zip(judged, rows, strict=True):
        if snoozed.get(rule.name):
            row[at.SNOOZED_AT] = builder.given(f"snoozed|{rule.name}").number
            registers[int(row[at.SNOOZED_AT])] = snoozed[rule.name]
    return RulePlan(
        bound=tuple(bind(rule, builder) for rule in judged),
        table=np.array(rows, dtype=np.int64).reshape(len(rows), at.COLUMNS),
        steps=np.array(compiler.steps, dtype=np.int64).reshape(len(compiler.steps), 3),
        zone_registers=tuple(compiler.zone_registers),
        timer_ms=min(compiler.delays_ms, default=0),
        granule_ms=min(compiler.granules_ms, default=0),
        looked=tuple(dict.fromkeys(compiler.looked)),
        borders=borders,
        snoozed=registers,
    )


def evaluate(
    plan: RulePlan,
    registers: Floats,
    whole_rows: Integers,
    events: tuple[Integers, Integers, Integers, Integers, Integers],
    count: int,
) -> Verdicts:
    """Decide over `count` events and timers in order, and remember it in their rows.

    Args:
        plan: the compiled rules; its scratch arrays are overwritten.
        registers: shape (registers, at least count), all programs run.
        whole_rows: shape (slots, words); changed.
        events: of each event the row; its time; the customer's newest time, right after it; the hash of
            its id, or TIMER; and ADMITTED or why not. Those that were not admitted are passed over.
        count: how many events.
    """
    fires: list[Fire] = []
    falls: list[Fall] = []
    suppressed = start = 0
    for number in plan.zone_registers:
        plan.zones.know(registers[number, :count])
    zones = (plan.zones.codes, plan.zones.ends, plan.zones.starts, plan.zones.offsets)
    scratch = (plan.fits, plan.done, plan.held_back, plan.fires, plan.notes)
    rules = (plan.table, plan.steps, plan.looks, registers, whole_rows)
    while start < count:  # without rules too: what a timer finds is to be cleaned
        start = decide(*rules, events, zones, scratch, start, count)
        fired = int(plan.notes[at.FIRED])
        suppressed += int(plan.notes[at.HELD_BACK])
        if fired:
            noted = plan.fires[:fired].tolist()
            fires += [(event, rule, key) for event, rule, key in noted if rule > OVER]
            falls += [(event, OVER - rule) for event, rule, _ in noted if rule <= OVER]
    return Verdicts(fires, falls, suppressed)
