"""Time averages: how far a score stands above its own usual level.

Promise   `target = source - average`, where the average is the source's own past weighted by time, with
          weights that halve every half-life; the first value ever gives 0.
How       Between two events the source is taken as constant, so the average moves towards it by
          1 - 2^(-gap / half-life), as in an exponentially weighted moving average of irregular samples
          (Eckner, 2012, "last point" scheme).
Limits    It follows the order of arrival: a late event counts as one that happened now.
Not here  Which sources (rules and health ask: PlanBuilder.time_average).
"""

import math

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled
from processors.tables import (
    AVERAGE_AT,
    AVERAGE_HALF_LIFE,
    AVERAGE_SOURCE,
    AVERAGE_TARGET,
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled("void(i8[:, ::1], f8[:, ::1], i8[:, ::1], f8[:, ::1], i8[::1], i8[::1], i8[::1], i8)")
def average_events(
    averages: Integers,
    rows: Floats,
    whole_rows: Integers,
    registers: Floats,
    slots: Integers,
    now_ms: Integers,
    status: Integers,
    count: int,
) -> None:
    """Move every asked average on by each admitted event, in order, and fill its target register.

    Args:
        averages: the plan's table, one row a time average.
        rows: shape (slots, words); `whole_rows` is the same memory as int64.
        registers: sources are read and targets written; a missing source gives a missing target.
        slots: row of each event; `now_ms` its customer's newest time; `status` 0 for admitted.
        count: how many events.
    """
    for i in range(count):
        if status[i] != 0:
            continue
        row = rows[slots[i]]
        whole = whole_rows[slots[i]]
        for k in range(averages.shape[0]):
            source = registers[averages[k, AVERAGE_SOURCE], i]
            target = averages[k, AVERAGE_TARGET]
            if math.isnan(source):
                registers[target, i] = math.nan
                continue
            at = averages[k, AVERAGE_AT]
            if whole[at] == 0:
                row[at + 1] = source
            else:
                gap_ms = now_ms[i] - whole[at]
                kept = 2.0 ** (-gap_ms / averages[k, AVERAGE_HALF_LIFE])
                row[at + 1] = row[at + 1] * kept + row[at + 2] * (1.0 - kept)
            whole[at] = now_ms[i]
            row[at + 2] = source
            registers[target, i] = source - row[at + 1]
