"""The compiled plan: the asks of a builder as the tables that the kernels read.

Promise   A `Plan` is a value: it never changes, and two plans from equal asks are equal in all but identity.
How       Row layout: the states first (their places were promised when asked for), then each aggregate,
          then the tiles of each window. Tables are integer matrices; their columns are named below.
Not here  Asking (plan.py). The kernels (machine.py, fold.py, readings.py, averages.py).
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.aggregate import WINDOW_WORDS, Aggregate, AggregateKind
from processors.layout import Layout
from processors.register import Asked, Named, Read, Register, Stage, TimeAverage

CORE_STATES: Final = (("newest_ms", 1), ("first_ms", 1), ("events_count", 1))
NEWEST, FIRST, EVENTS, RECENT_IDS = 0, 1, 2, 3  # the first words of every row

# Columns of `Plan.folds`, one row an aggregate.
FOLD_KIND, FOLD_WHERE, FOLD_VALUE, FOLD_AT, FOLD_SIZE = 0, 1, 2, 3, 4
FOLD_WINDOW_FIRST, FOLD_WINDOWS, FOLD_HALF_LIFE = 5, 6, 7
# Columns of `Plan.windows`, one row a window of an EVENTS aggregate.
WINDOW_MS, WINDOW_AT = 0, 1
# Columns of `Plan.before` and `Plan.after`, one row a reading.
READ_KIND, READ_READING, READ_AT, READ_SIZE, READ_WINDOW_MS = 0, 1, 2, 3, 4
READ_TILES_AT, READ_TARGET, READ_VALUE, READ_HALF_LIFE = 5, 6, 7, 8
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
    duplicates_kept: int
    lateness_ms: int


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
    windows = _windows(asked.reads)
    listed = [(each, window_ms) for each in asked.aggregates for window_ms in windows[each.name]]
    layout = Layout.of(
        [
            *asked.states,
            *((_average_name(each), AVERAGE_WORDS) for each in asked.averages),
            *((each.name, each.words) for each in asked.aggregates),
            *((_tiles_name(each, window_ms), WINDOW_WORDS) for each, window_ms in listed),
        ]
    )
    first_word = {name: first for name, (first, _) in layout.columns.items()}
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
        folds=_folds(asked.aggregates, windows, layout),
        windows=_matrix([[ms, first_word[_tiles_name(each, ms)]] for each, ms in listed], 2),
        before=_reads([each for each in asked.reads if each.before], layout),
        after=_reads([each for each in asked.reads if not each.before], layout),
        averages=_matrix(
            [
                [
                    each.source.number,
                    each.target.number,
                    first_word[_average_name(each)],
                    each.half_life_ms,
                ]
                for each in asked.averages
            ],
            4,
        ),
        duplicates_kept=duplicates_kept,
        lateness_ms=lateness_ms,
    )


def _matrix(rows: list[list[int]], columns: int) -> npt.NDArray[np.int64]:
    return np.array(rows, dtype=np.int64).reshape(len(rows), columns)


def _average_name(average: TimeAverage) -> str:
    return f"average|{average.source.name}|{average.half_life_ms}"


def _tiles_name(aggregate: Aggregate, window_ms: int) -> str:
    return f"{aggregate.name}|tiles|{window_ms}"


def _windows(reads: list[Read]) -> defaultdict[str, list[int]]:
    """The windows that are read of each EVENTS aggregate, in a fixed order."""
    found: dict[str, set[int]] = {}
    for read in reads:
        if read.aggregate.kind == AggregateKind.EVENTS:
            found.setdefault(read.aggregate.name, set()).add(read.window_ms)
    return defaultdict(list, {name: sorted(windows) for name, windows in found.items()})


def _folds(
    aggregates: list[Aggregate], windows: Mapping[str, list[int]], layout: Layout
) -> npt.NDArray[np.int64]:
    rows: list[list[int]] = []
    window_first = 0
    for each in aggregates:
        count = len(windows[each.name])
        rows.append(
            [
                each.kind,
                each.where,
                each.value,
                layout.columns[each.name][0],
                each.size,
                window_first,
                count,
                each.half_life_ms,
            ]
        )
        window_first += count
    return _matrix(rows, 8)


def _reads(reads: list[Read], layout: Layout) -> npt.NDArray[np.int64]:
    rows: list[list[int]] = []
    for each in reads:
        tiles = 0
        if each.aggregate.kind == AggregateKind.EVENTS:
            tiles = layout.columns[_tiles_name(each.aggregate, each.window_ms)][0]
        rows.append(
            [
                each.aggregate.kind,
                each.reading,
                layout.columns[each.aggregate.name][0],
                each.aggregate.size,
                each.window_ms,
                tiles,
                each.target.number,
                each.aggregate.value,
                each.aggregate.half_life_ms,
            ]
        )
    return _matrix(rows, 9)
