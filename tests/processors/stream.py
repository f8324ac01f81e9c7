"""Random streams for the laws: events of a few customers, with disorder, duplicates and ties."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from processors.batch import Origin
from processors.columns import EventColumns, id_hashes
from processors.event import Event
from processors.fold import fold_events
from processors.machine import run as run_program
from processors.profiles import Table
from processors.register import Stage
from processors.tables import Plan

START_MS = 1_700_000_000_000
HOUR_MS = 3_600_000

amounts = st.one_of(
    st.integers(0, 10_000).map(lambda cents: cents / 100), st.none(), st.floats(0, 1e6)
)


@st.composite
def events(draw: st.DrawFn, days: int = 2, customers: int = 2, most: int = 60) -> list[Event]:
    """A list of events in order of arrival; some share a time, some an id."""
    count = draw(st.one_of(st.integers(1, 8), st.integers(most // 2, most)))
    return [
        Event(
            id=f"e{draw(st.integers(0, count * 3))}",
            type=draw(st.sampled_from(["order", "order", "order", "click"])),
            action=draw(st.sampled_from(["placed", "placed", "placed", "view"])),
            customer_id=f"c{draw(st.integers(1, customers))}",
            at_ms=START_MS + draw(st.integers(0, days * 24 * 4)) * HOUR_MS // 4,
            amount=draw(amounts),
            category=draw(st.sampled_from([None, "a", "b", "c"])),
        )
        for _ in range(count)
    ]


def origin(index: int) -> Origin:
    """Where nothing in particular came from."""
    return Origin("test", 0, str(index), None, (), START_MS)


@dataclass(frozen=True, slots=True)
class Folded:
    """A batch after the fold: what the score kernels go on with."""

    registers: np.ndarray
    slots: np.ndarray
    status: np.ndarray
    now_ms: np.ndarray


def fold_batch(plan: Plan, table: Table, columns: EventColumns, batch: list[Event]) -> Folded:
    """Fold a batch by the kernels, for customers who are new where the table lacks them."""
    count = len(batch)
    registers = np.full((plan.registers, count), np.nan)
    for number, value in plan.asked.constants.items():
        registers[number] = value
    ids = [event.customer_id for event in batch]
    missing = table.missing(ids)
    table.insert(missing, [None] * len(missing), lambda _: plan.layout, ids)
    slots = np.array(table.slots(ids), dtype=np.int64)
    codes, status, now_ms = (np.zeros(count, dtype=np.int64) for _ in range(3))
    columns.fill(batch, registers, codes)
    run_program(plan.programs[Stage.EVENT], registers, count)
    fold_events(
        *table.matrices,
        registers,
        slots,
        np.array([event.at_ms for event in batch], dtype=np.int64),
        np.array(id_hashes(batch), dtype=np.int64),
        plan.folds,
        plan.windows,
        plan.before,
        plan.after,
        plan.duplicates_kept,
        plan.lateness_ms,
        status,
        now_ms,
        count,
    )
    run_program(plan.programs[Stage.FEATURE], registers, count)
    return Folded(registers, slots, status, now_ms)


def fold_list(plan: Plan, table: Table, batch: Sequence[Event]) -> tuple[np.ndarray, list[int]]:
    """The registers after a fold and each event's status."""
    folded = fold_batch(plan, table, EventColumns(plan.asked), list(batch))
    return folded.registers, folded.status.tolist()
