"""The step: one batch of one shard, from events to everything that has to be stored and done.

Promise   What comes out depends on the rows in the table and on the events, in order, and on nothing
          else: not on the batch's cut, not on a clock, not on the log it came from.
How       1 columns    fields of the events into registers; operations on them
          2 fold       admit, update profile rows, readings into registers; operations on those
          3 score      health and anomalies, then time averages
          4 rules      operations on all registers, then rising edges and cooldowns; where silence leads
          5 encode     changed rows, views, actions
Limits    `Scratch.events_max` events. The table is changed in place: who cannot commit the outcome forgets
          the table.
Not here  Decoding (processors/decode.py), loading and committing (shard.py), delivering (relay.py).
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from time import perf_counter_ns
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from processors.averages import average_events
from processors.batch import Decoded, Events, Records
from processors.columns import EventColumns, id_hashes
from processors.fold import ADMITTED, DUPLICATE, LATE, TIMER, fold_events
from processors.health_ahead import HealthAhead
from processors.layout import Packer
from processors.machine import run as run_program
from processors.model import Model
from processors.plan import PlanBuilder
from processors.profiles import TABLE_BYTES_MAX, Table
from processors.reader import Reader
from processors.register import Stage
from processors.scores import Scores
from processors.tables import Plan
from rules.action import Action
from rules.endings import endings_of, in_order
from rules.evaluate import RulePlan, Verdicts, evaluate
from rules.fires import Fire, actions_of
from rules.ruleset import RuleSet
from streams.outcome import Outcome, late_letters
from streams.scratch import Buffers, Scratch

STAGES: Final = ("columns", "fold", "score", "rules", "encode")

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

Snoozed: TypeAlias = Mapping[str, Mapping[str, int]]
"""By rule, the customers for whom it is snoozed, each until when."""


class Observed(msgspec.Struct, frozen=True):
    """One batch as the step saw it, for who writes training data or explains; valid during the call."""

    events: Events
    registers: Floats  # shape (registers, at least the events)
    status: Integers  # ADMITTED, DUPLICATE or LATE for each event
    fires: Sequence[Fire]
    are_timers: bool  # the events are timers


Observer: TypeAlias = Callable[[Observed], None]


class Engine:
    """A model and a rule set, compiled: what every shard of a process steps with.

    Replaced as a whole when rules are reloaded; tables then `migrate` to the new layout.
    """

    def __init__(
        self, model: Model, rules: RuleSet, snoozed: Snoozed = MappingProxyType({})
    ) -> None:
        """Compile the model and the rules into one plan.

        Raises:
            ValueError: They ask for more than a plan may hold.
        """
        builder = PlanBuilder(
            duplicates_kept=model.admit.duplicates_kept, lateness_ms=model.admit.lateness_ms
        )
        self.model = model
        self.rules = rules
        self.snoozed = snoozed
        self.scores = Scores.compile(builder, model)
        self.rule_plan: RulePlan = rules.compile(builder, snoozed)
        self.plan: Plan = builder.build()
        self.rule_plan.connect(self.plan)
        borders = self.rule_plan.borders
        self.ahead = (
            None
            if not borders
            else HealthAhead.of(
                self.scores.health, self.plan.registers, borders.levels, is_band=borders.is_band
            )
        )
        self.columns = EventColumns(self.plan.asked)
        self.reader = Reader()
        self.packer = Packer(self.plan.layout, self.plan.bodies)
        self.scratch = Scratch(self.plan)

    def table(self, bytes_max: int = TABLE_BYTES_MAX) -> Table:
        """An empty table for one shard."""
        return Table(self.plan.layout, bytes_max, self.plan.memos)


def run(
    engine: Engine,
    table: Table,
    records: Records,
    decoded: Decoded,
    shard: int,
    observe: Observer | None = None,
    *,
    slots: Sequence[int] | None = None,
    encode: bool = True,
    are_timers: bool = False,
) -> Outcome:
    """Step one batch; every customer of it must be in the table.

    Args:
        engine: what to compute.
        table: the shard's rows; changed in place.
        records: where the events came from, to make dead letters of late ones.
        decoded: at most RECORDS_MAX events, in folding order.
        shard: number of the shard, for the actions.
        observe: called once with what the step saw, before anything is encoded.
        slots: the row of each event, for who has looked it up already.
        encode: whether rows and views are wanted of each batch; a replay keeps the rows in the table
            and packs those that it drops.
        are_timers: whether these are timers: they move clocks on, and add nothing.
    """
    events, count = decoded.events, len(decoded.events)
    if not count:
        return Outcome.empty(len(STAGES))
    buffers = engine.scratch.buffers(count)
    registers, status, programs = buffers.registers, buffers.status, engine.plan.programs
    marks = [perf_counter_ns()]

    # 1
    slots = table.slots(decoded.customer_ids) if slots is None else slots
    _columns(engine, buffers, decoded, slots, are_timers=are_timers)
    run_program(programs[Stage.EVENT], registers, count)
    marks.append(perf_counter_ns())

    # 2
    _fold(engine.plan, table, buffers, count)
    run_program(programs[Stage.FEATURE], registers, count)
    marks.append(perf_counter_ns())

    # 3
    engine.scores.run(registers, *table.matrices[:2], buffers.slots, buffers.now_ms, status, count)
    _average(engine.plan, table, buffers, count)
    marks.append(perf_counter_ns())

    # 4
    run_program(programs[Stage.SCORE], registers, count)
    verdicts = evaluate(engine.rule_plan, registers, table.whole_rows, buffers.judged, count)
    done = _actions(engine.rule_plan, verdicts, registers, events, shard)
    states: list[int] = status[:count].tolist()
    last = _last_events(slots, states) if encode or engine.ahead else {}
    _look_ahead(engine, table, buffers, last, are_timers=are_timers)
    marks.append(perf_counter_ns())
    if observe is not None:
        observe(Observed(events, registers, status[:count], verdicts.fires, are_timers))

    # 5
    changed = _changed(engine, table, buffers, decoded.customer_ids, last if encode else {})
    dead = late_letters(records, decoded, states, buffers.now_ms.tolist()) if LATE in states else []
    marks.append(perf_counter_ns())
    return Outcome(
        *changed,
        *done,
        dead,
        admitted=0 if are_timers else states.count(ADMITTED),
        duplicates=states.count(DUPLICATE),
        late=len(dead),
        suppressed=verdicts.suppressed,
        stage_ns=tuple(after - before for before, after in pairwise(marks)),
    )


def _actions(
    rules: RulePlan, verdicts: Verdicts, registers: Floats, events: Events, shard: int
) -> tuple[list[Action], list[int]]:
    """What is to be done, in order, with the number of the event behind each."""
    actions, causes = actions_of(rules.bound, verdicts.fires, registers, events, shard)
    if not verdicts.falls:
        return actions, causes
    endings = endings_of(rules.bound, verdicts.falls, registers, events, shard)
    return in_order(actions, causes, *endings)


def _columns(
    engine: Engine, buffers: Buffers, decoded: Decoded, slots: Sequence[int], *, are_timers: bool
) -> None:
    """Fill the event registers and the kernels' columns."""
    events, columns = decoded.events, decoded.columns
    count = len(events)
    buffers.slots[:count] = slots
    if columns is None:
        buffers.times_ms[:count] = [event.at_ms for event in events]
        buffers.id_hashes[:count] = TIMER if are_timers else id_hashes(events)
    else:
        buffers.times_ms[:count] = columns.at_ms
        buffers.id_hashes[:count] = columns.id_hashes
    engine.columns.fill(events, buffers.registers, buffers.codes, columns)
    for register, until_ms in engine.rule_plan.snoozed.items():
        each_ms = [until_ms.get(each, 0) for each in decoded.customer_ids]
        buffers.registers[register, :count] = each_ms


def _fold(plan: Plan, table: Table, buffers: Buffers, count: int) -> None:
    assert table.memos.shape[1] == 2 * plan.memos, "the table is of another plan"
    fold_events(
        *table.matrices,
        buffers.registers,
        buffers.slots,
        buffers.times_ms,
        buffers.id_hashes,
        plan.folds,
        plan.windows,
        plan.before,
        plan.after,
        plan.duplicates_kept,
        plan.lateness_ms,
        buffers.status,
        buffers.now_ms,
        count,
    )


def _average(plan: Plan, table: Table, buffers: Buffers, count: int) -> None:
    if len(plan.averages):
        rows = (table.rows, table.whole_rows, buffers.registers)
        average_events(plan.averages, *rows, buffers.slots, buffers.now_ms, buffers.status, count)


def _look_ahead(
    engine: Engine, table: Table, buffers: Buffers, last: dict[int, int], *, are_timers: bool
) -> None:
    """Where rules look at health: when each customer of the batch is due in silence."""
    if engine.ahead:
        latest = np.array(list(last.values()), dtype=np.int64)
        place = (buffers.registers, table.whole_rows, buffers.slots, buffers.now_ms, latest)
        engine.ahead.run(*place, are_timers=are_timers)


def _changed(
    engine: Engine,
    table: Table,
    buffers: Buffers,
    customer_ids: Sequence[str],
    last: dict[int, int],
) -> tuple[list[str], list[bytes], list[bytes], list[int]]:
    """Customers whose rows changed, their packed rows, their views, and when their timers are due."""
    ids = [customer_ids[index] for index in last.values()]
    rows = engine.packer.pack(table.whole_rows, np.array(list(last), dtype=np.int64))
    views = engine.scores.views(
        buffers.registers,
        table.whole_rows,
        buffers.slots,
        buffers.now_ms,
        ids,
        np.array(list(last.values()), dtype=np.int64),
    )
    return ids, rows, views, _dues_ms(engine, table, list(last))


def _last_events(slots: Sequence[int], states: list[int]) -> dict[int, int]:
    """For each slot that changed, the index of its last admitted event."""
    return {
        slot: index
        for index, (slot, state) in enumerate(zip(slots, states, strict=True))
        if state == ADMITTED
    }


def _dues_ms(engine: Engine, table: Table, slots: list[int]) -> list[int]:
    if not engine.rule_plan.has_timers:
        return [0] * len(slots)
    return table.dues_ms(slots)
