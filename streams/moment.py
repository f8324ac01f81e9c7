"""The moment: what all rules would see of a customer at a time, without anything being stored.

Promise   The values are those of the step's own code: a timer at that time, on a copy of the stored row.
          The row itself stays as it is, in Redis and here.
How       A table of one row, and the step of a timer (rounds.py), watched by an observer.
Limits    Never before the customer's newest event or timer: what was then is not kept. An engine is used
          by one thread at a time; one that folds is not to be used here.
Not here  What the values mean to a rule (why.py). Reading rows (read.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.event import Event
from processors.layout import Layout, fingerprint_of
from processors.tables import CLOCK, NEWEST
from rules.expression import Expression, Field, Reading, Score, Trend, leaves
from rules.fires import Bound
from rules.spell import spell
from rules.worth import Known, Value
from streams.rounds import timer, timers
from streams.step import Engine, Observed

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A customer at a time."""

    customer_id: str
    at_ms: int
    newest_ms: int  # the time of the customer's newest event
    registers: Floats  # shape (registers, 1)
    row: Integers  # as stored, in the engine's layout
    stored: Layout  # the layout that it was stored with; what is not in it was not kept yet

    @property
    def event(self) -> Event:
        """What stands in the place of an event."""
        return timer(self.customer_id, self.at_ms)


def moment_at(
    engine: Engine,
    customer_id: str,
    blob: bytes,
    layout_of: Callable[[bytes], Layout],
    at_ms: int,
) -> Moment:
    """The customer at that time, or at the newest time that the row knows of, if that is later.

    Args:
        engine: its scratch space is used.
        customer_id: whose row it is.
        blob: the row, as it is stored.
        layout_of: the layout of a fingerprint that is not the engine's.
        at_ms: when.

    Raises:
        LayoutError: The row is damaged.
    """
    table = engine.table()
    table.insert([customer_id], [blob], layout_of)
    (slot,) = table.slots([customer_id])
    row = table.whole_rows[slot].copy()
    found: list[Floats] = []
    at_ms = max(at_ms, int(row[NEWEST]), int(row[CLOCK]))

    def keep(seen: Observed) -> None:
        found.append(seen.registers[:, :1].copy())

    timers(engine, table, [(customer_id, at_ms)], 0, keep, encode=False)
    layout = engine.plan.layout
    is_ours = fingerprint_of(blob) == layout.fingerprint
    stored = layout if is_ours else layout_of(fingerprint_of(blob))
    return Moment(customer_id, at_ms, int(row[NEWEST]), found[0], row, stored)


def known_of(bound: Bound, moment: Moment, *conditions: Expression) -> Known:
    """The values of the conditions' leaves that are known without an event.

    A rule with `on` is judged at an event: its fields, and what compares it with the past, are not
    known. Nor are values beyond the first DATA_VALUES_MAX of a rule.
    """
    is_at_event = bound.rule.on is not None
    bindings = {each.name: each for each in bound.data}
    known: dict[Expression, Value] = {}
    for leaf in dict.fromkeys(leaf for each in conditions for leaf in leaves(each)):
        binding = bindings.get(spell(leaf))
        if binding is not None and not (is_at_event and is_of_event(leaf)):
            known[leaf] = binding.value(moment.registers, 0, moment.event)
    return known


def is_of_event(leaf: Expression) -> bool:
    """Whether the value is of one event: a field, or how far the event is from the usual."""
    if isinstance(leaf, Trend):
        return is_of_event(leaf.score)
    if isinstance(leaf, Score):
        return leaf.name.startswith("anomaly.")
    return isinstance(leaf, Field) or (isinstance(leaf, Reading) and leaf.function == "zscore")
