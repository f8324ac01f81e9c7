"""The compiled plan: the asks of a builder as the tables that the kernels read.

Promise   A `Plan` is a value: it never changes, and two plans from equal asks are equal in all but identity.
How       Row layout: the states first (their places were promised when asked for), then everything
          small, with the heads of exact events and of windows, and last their bodies, which most events
          never touch. Tables are integer matrices; their columns are named below.
Not here  Asking (plan.py). The kernels (machine.py, fold.py, readings.py, averages.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.aggregate import (
    COUNTS_ONLY,
    HEADED,
    TILES,
    WITH_EXTREMES,
    WITH_SUMS,
    ZERO_WHEN_EMPTY,
    Aggregate,
    AggregateKind,
    Reading,
)
from processors.layout import Layout
from processors.register import Asked, Named, Read, Register, Stage, TimeAverage

CORE_STATES: Final = tuple(
    (name, 1) for name in ("newest_ms", "first_ms", "events_count", "clock_ms", "due_ms", "wait_ms")
)
# The first words of every row. CLOCK: when the last timer fired. DUE: no timer fires before that; 0:
# none waits. WAIT: the same, of what rules wait for; DUE is also for what silence will make true.
NEWEST, FIRST, EVENTS, CLOCK, DUE, WAIT, RECENT_IDS = 0, 1, 2, 3, 4, 5, 6

# Columns of `Plan.folds`, one row an aggregate.
FOLD_KIND, FOLD_WHERE, FOLD_VALUE, FOLD_AT, FOLD_BODY, FOLD_SIZE = 0, 1, 2, 3, 4, 5
FOLD_WINDOW_FIRST, FOLD_WINDOWS, FOLD_HALF_LIFE, FOLD_MEMO_FIRST, FOLD_MEMOS = 6, 7, 8, 9, 10
# Columns of `Plan.windows`, one row a window of an EVENTS aggregate.
WINDOW_MS, WINDOW_AT, WINDOW_BODY, WINDOW_PARTS = 0, 1, 2, 3
# Columns of `Plan.before` and `Plan.after`, one row a reading.
READ_KIND, READ_READING, READ_AT, READ_BODY, READ_SIZE, READ_WINDOW = 0, 1, 2, 3, 4, 5
READ_WINDOW_MS, READ_TARGET, READ_VALUE, READ_HALF_LIFE, READ_EMPTY, READ_MEMO = 6, 7, 8, 9, 10, 11
# Columns of `Plan.averages`.
AVERAGE_SOURCE, AVERAGE_TARGET, AVERAGE_AT, AVERAGE_HALF_LIFE = 0, 1, 2, 3
AVERAGE_WORDS: Final = 3  # at, average, newest source


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What one step computes; made by `PlanBuilder.build`."""

    layout: Layout
    registers: int
    asked: Asked
    names: Mapping[str, Named]
    features: tuple[Register, ...]  # every reading and score, for training data and explanations
    programs: Mapping[Stage, npt.NDArray[np.int32]]
    folds: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int64]
    before: npt.NDArray[np.int64]
    after: npt.NDArray[np.int64]
    averages: npt.NDArray[np.int64]
    memos: int  # readings that are kept in mind (readings.py)
    bodies: npt.NDArray[np.int64]  # head, first word, words: of what is empty where its head is
    duplicates_kept: int
    lateness_ms: int


@dataclass(frozen=True, slots=True)
class _Window:
    """The tiles of one window of one EVENTS aggregate."""

    aggregate: Aggregate
    window_ms: int
    parts: int  # numbers a tile

    @property
    def name(self) -> str:
        return f"{self.aggregate.name}|tiles|{self.window_ms}|{self.parts}"

    @property
    def words(self) -> int:
        return self.parts * TILES


def compile_plan(
    asked: Asked,
    *,
    registers: int,
    names: Mapping[str, Named],
    duplicates_kept: int,
    lateness_ms: int,
) -> Plan:
    """Lay out the row and fill the tables.

    Raises:
        ValueError: The row would be too wide.
    """
    windows = [each for kept in asked.aggregates for each in _windows(kept, asked.reads)]
    layout = _layout(asked, windows)
    first_word = {name: first for name, (first, _) in layout.columns.items()}
    memos = _memos(asked)
    return Plan(
        layout=layout,
        registers=registers,
        asked=asked,
        names=dict(names),
        features=tuple(asked.features),
        programs={
            stage: _matrix([list(each) for each in operations], 4).astype(np.int32)
            for stage, operations in asked.operations.items()
        },
        folds=_folds(asked.aggregates, windows, first_word, memos, asked.reads),
        windows=_matrix(
            [
                [each.window_ms, first_word[_head(each.name)], first_word[each.name], each.parts]
                for each in windows
            ],
            4,
        ),
        before=_reads([each for each in asked.reads if each.before], windows, first_word, memos),
        after=_reads([each for each in asked.reads if not each.before], windows, first_word, memos),
        memos=len(memos),
        averages=_averages(asked.averages, first_word),
        bodies=_matrix(
            [
                [first_word[_head(name)], *layout.columns[name]]
                for name in (
                    *(each.name for each in asked.aggregates if each.kind in HEADED),
                    *(each.name for each in windows),
                )
            ],
            3,
        ),
        duplicates_kept=duplicates_kept,
        lateness_ms=lateness_ms,
    )


def _layout(asked: Asked, windows: list[_Window]) -> Layout:
    headed = [each for each in asked.aggregates if each.kind in HEADED]
    return Layout.of(
        [
            *asked.states,
            *((_average_name(each), AVERAGE_WORDS) for each in asked.averages),
            *((each.name, each.words) for each in asked.aggregates if each.kind not in HEADED),
            *((_head(each.name), 1) for each in headed),
            *((_head(each.name), 1) for each in windows),
            *((each.name, each.words) for each in headed),
            *((each.name, each.words) for each in windows),
        ]
    )


def _averages(averages: list[TimeAverage], first_word: Mapping[str, int]) -> npt.NDArray[np.int64]:
    return _matrix(
        [
            [
                each.source.number,
                each.target.number,
                first_word[_average_name(each)],
                each.half_life_ms,
            ]
            for each in averages
        ],
        4,
    )


def _matrix(rows: list[list[int]], columns: int) -> npt.NDArray[np.int64]:
    return np.array(rows, dtype=np.int64).reshape(len(rows), columns)


def _average_name(average: TimeAverage) -> str:
    return f"average|{average.source.name}|{average.half_life_ms}"


def _head(name: str) -> str:
    return f"{name}|head"


def _windows(aggregate: Aggregate, reads: list[Read]) -> list[_Window]:
    """The windows that are read of an EVENTS aggregate, in a fixed order."""
    asked: dict[int, set[Reading]] = {}
    for read in reads:
        if read.aggregate is aggregate and aggregate.kind == AggregateKind.EVENTS:
            asked.setdefault(read.window_ms, set()).add(read.reading)
    found = []
    for window_ms, readings in sorted(asked.items()):
        parts = COUNTS_ONLY
        if aggregate.value >= 0 and readings & {Reading.MIN, Reading.MAX}:
            parts = WITH_EXTREMES
        elif aggregate.value >= 0:
            parts = WITH_SUMS
        found.append(_Window(aggregate, window_ms, parts))
    return found


def _memos(asked: Asked) -> dict[int, int]:
    """The place of each reading that is kept in mind, by its target; those of an aggregate together."""
    kept = [
        read.target.number
        for each in asked.aggregates
        if each.kind in HEADED
        for read in asked.reads
        if read.aggregate is each
    ]
    return {target: place for place, target in enumerate(kept)}


def _folds(
    aggregates: list[Aggregate],
    windows: list[_Window],
    first_word: Mapping[str, int],
    memos: Mapping[int, int],
    reads: list[Read],
) -> npt.NDArray[np.int64]:
    rows: list[list[int]] = []
    window_first = 0
    for each in aggregates:
        count = sum(1 for window in windows if window.aggregate is each)
        head = _head(each.name) if each.kind in HEADED else each.name
        targets = [read.target.number for read in reads if read.aggregate is each]
        ours = [memos[target] for target in targets if target in memos]
        rows.append(
            [
                each.kind,
                each.where,
                each.value,
                first_word[head],
                first_word[each.name],
                each.size,
                window_first,
                count,
                each.half_life_ms,
                min(ours, default=0),
                len(ours),
            ]
        )
        window_first += count
    return _matrix(rows, 11)


def _reads(
    reads: list[Read],
    windows: list[_Window],
    first_word: Mapping[str, int],
    memos: Mapping[int, int],
) -> npt.NDArray[np.int64]:
    number = {
        (window.aggregate.name, window.window_ms): place for place, window in enumerate(windows)
    }
    rows: list[list[int]] = []
    for each in reads:
        kept = each.aggregate
        head = _head(kept.name) if kept.kind in HEADED else kept.name
        rows.append(
            [
                kept.kind,
                each.reading,
                first_word[head],
                first_word[kept.name],
                kept.size,
                number.get((kept.name, each.window_ms), -1),
                each.window_ms,
                each.target.number,
                kept.value,
                kept.half_life_ms,
                each.reading not in ZERO_WHEN_EMPTY[kept.kind],
                memos.get(each.target.number, -1),
            ]
        )
    return _matrix(rows, 12)
