"""Runs: how far a customer has come in the sequences of a rule.

Promise   A step is done by the first event that fits, in the order of arrival; an absence is kept once
          its time is over, and never before. An event is looked at by each open run once, and begins
          a run only where none of the same key is open.
How       One kernel over the runs of a rule in a customer's row (rule_table.py).
Limits    Where all places are taken, the run that began first makes room and is counted.
Not here  Whether the rule then fires (decide.py).
"""

import math

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled
from processors.earlier import earlier
from rules.rule_table import (
    DROPPED_RUNS,
    FILTER,
    IS_ABSENT,
    KEY,
    RUN_AT,
    RUN_BEGAN,
    RUN_KEY,
    RUN_STEP,
    RUN_WORDS,
    RUNS,
    RUNS_AT,
    STEPS,
    STEPS_AT,
    WITHIN_MS,
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_OPEN, _GONE, _DONE_BY_TIME, _DONE_BY_EVENT = 0, 1, 2, 3


@compiled("i8(i8[::1], i8, i8[:, ::1], i8, i8, b1[::1], i8, i8, i8)")
def _follow(
    whole: Integers,
    at: int,
    steps: Integers,
    first: int,
    count: int,
    fits: npt.NDArray[np.bool_],
    at_ms: int,
    now_ms: int,
    is_ours: int,
) -> int:
    """Take the run at word `at` as far as it goes; what has become of it."""
    while True:
        step = whole[at + RUN_STEP]
        within_ms = steps[first + step, WITHIN_MS]
        deadline_ms = whole[at + RUN_AT] + within_ms
        is_met = is_ours != 0 and fits[step] and at_ms >= whole[at + RUN_AT]
        if steps[first + step, IS_ABSENT] != 0:
            if is_met and at_ms < deadline_ms:
                return _GONE
            if now_ms < deadline_ms:
                return _OPEN
            whole[at + RUN_AT] = deadline_ms
        elif is_met and (within_ms == 0 or at_ms <= deadline_ms):
            whole[at + RUN_AT] = at_ms
            is_ours = 0  # one event does one step
        elif within_ms != 0 and now_ms > deadline_ms:
            return _GONE
        else:
            return _OPEN
        whole[at + RUN_STEP] = step + 1
        if step + 1 == count:
            return _DONE_BY_TIME if steps[first + step, IS_ABSENT] != 0 else _DONE_BY_EVENT


@compiled("i8(i8[::1], i8[:, ::1], i8)")
def _place(whole: Integers, table: Integers, rule: int) -> int:
    """The word of a free place, or of the run that began first."""
    best = table[rule, RUNS_AT]
    for k in range(table[rule, RUNS]):
        at = table[rule, RUNS_AT] + RUN_WORDS * k
        if whole[at + RUN_AT] == 0:
            return int(at)
        if whole[at + RUN_BEGAN] < whole[best + RUN_BEGAN]:
            best = at
    return int(best)


@compiled(
    "i8(i8[::1], i8[:, ::1], i8, i8[:, ::1], f8[:, ::1], i8, i8, i8, i8, b1[::1], i8[::1], i8[::1])"
)
def follow_runs(  # noqa: PLR0913, PLR0917  a kernel's arrays
    whole: Integers,
    table: Integers,
    rule: int,
    steps: Integers,
    registers: Floats,
    event: int,
    at_ms: int,
    now_ms: int,
    is_timer: int,
    fits: npt.NDArray[np.bool_],
    done: Integers,
    notes: Integers,
) -> int:
    """Show an event or a timer to all runs of a rule; answers how many are done.

    Args:
        whole: the customer's row.
        fits: scratch for the answers of the steps' filters.
        done: filled with the keys of the runs that are done.
        notes: DROPPED_RUNS is counted up.
    """
    first, count = table[rule, STEPS_AT], table[rule, STEPS]
    key = np.int64(0)
    for k in range(count):
        fits[k] = is_timer == 0 and registers[steps[first + k, FILTER], event] != 0.0
    if is_timer == 0 and table[rule, KEY] >= 0:
        value = registers[table[rule, KEY], event]
        key = np.int64(0) if math.isnan(value) else np.int64(value)
    is_open = False
    done_count = 0
    for k in range(table[rule, RUNS]):
        at = table[rule, RUNS_AT] + RUN_WORDS * k
        if whole[at + RUN_AT] == 0:
            continue
        is_ours = 1 if is_timer == 0 and whole[at + RUN_KEY] == key else 0
        became = _follow(whole, at, steps, first, count, fits, at_ms, now_ms, is_ours)
        if is_ours != 0 and became in (_OPEN, _DONE_BY_EVENT):
            is_open = True
        if became in (_DONE_BY_TIME, _DONE_BY_EVENT):
            done[done_count] = whole[at + RUN_KEY]
            done_count += 1
        if became != _OPEN:
            whole[at : at + RUN_WORDS] = 0
    if fits[0] and not is_open:
        at = _place(whole, table, rule)
        if whole[at + RUN_AT] != 0:
            notes[DROPPED_RUNS] += 1
        whole[at + RUN_AT] = whole[at + RUN_BEGAN] = at_ms
        whole[at + RUN_KEY] = key
        whole[at + RUN_STEP] = 1
    return done_count


@compiled("i8(i8[::1], i8[:, ::1], i8, i8[:, ::1])")
def earliest_absence(whole: Integers, table: Integers, rule: int, steps: Integers) -> int:
    """When the first absence that is awaited will have been kept; 0: none is awaited."""
    earliest_ms = 0
    for k in range(table[rule, RUNS]):
        at = table[rule, RUNS_AT] + RUN_WORDS * k
        step = table[rule, STEPS_AT] + whole[at + RUN_STEP]
        if whole[at + RUN_AT] != 0 and steps[step, IS_ABSENT] != 0:
            earliest_ms = earlier(earliest_ms, whole[at + RUN_AT] + steps[step, WITHIN_MS])
    return earliest_ms
