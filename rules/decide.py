"""Deciding: the kernel that goes over events and rules, and keeps each rule's state in the row.

Promise   What fires depends on the row and on the events and timers, in order, and on nothing else. What
          a restraint holds back is used up, counted, and noted in the row with the time from which
          it would be allowed; only quiet hours may let it wait.
How       A rule without `on` fires where its condition becomes true, or has been so for `for`; one with
          `on` at each such event; one with a sequence where a run is done (runs.py). Whatever waits
          for a time keeps it in the row, and the earliest of these times is the row's WAIT word: no
          timer is needed before it. It may be too early, never too late; a timer sets it right.
Limits    FIRES_AT_ONCE fires a call, which is repeated where there are more.
Not here  Filling the tables (evaluate.py). Hold-outs and stages, which change no state (fires.py).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled
from processors.earlier import earlier
from processors.fold import ADMITTED, TIMER
from processors.tables import DUE, WAIT
from rules.looks import next_look
from rules.restrain import restraint, settle
from rules.rule_table import (
    CONDITION,
    EACH,
    EDGE,
    ENDS,
    FIRED,
    FOR_AT,
    FOR_MS,
    HELD_BACK,
    IS_OVER,
    QUIET_AT,
    RUNS_AT,
    SEQUENCE,
    STATE_AT,
    TOUCHED,
    TRIGGER,
)
from rules.runs import earliest_absence, follow_runs
from rules.sequence import RUNS_MAX

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

FIRES_AT_ONCE: Final = 4096  # the kernel's buffer; it must hold those of one event, and its ends
OVER: Final = -1  # in place of rule k, OVER - k says that its condition is over


@compiled("i8(i8[::1], i8[:, ::1], i8, f8[:, ::1], i8, i8, i8, i8)")
def _condition_fires(
    whole: Integers,
    table: Integers,
    rule: int,
    registers: Floats,
    event: int,
    now_ms: int,
    trigger: int,
    is_timer: int,
) -> int:
    """Whether a rule without a sequence would fire; the word of its condition is kept."""
    holds = registers[table[rule, CONDITION], event] != 0.0
    if trigger == EACH:
        return 1 if holds and is_timer == 0 else 0
    at = table[rule, STATE_AT]
    rises = holds and (whole[at] & 1) == 0
    whole[at] = (whole[at] & ~np.int64(1)) | (1 if holds else 0)
    waiting = table[rule, FOR_AT]
    if waiting < 0:
        return 1 if rises else 0
    if not holds:
        whole[waiting] = 0
    elif rises:
        whole[waiting] = now_ms + table[rule, FOR_MS]
        whole[WAIT] = earlier(whole[WAIT], whole[waiting])
    elif whole[waiting] != 0 and whole[waiting] <= now_ms:
        whole[waiting] = 0
        return 1
    return 0


@compiled("void(i8[::1], i8[:, ::1], i8[:, ::1])")
def _set_due(whole: Integers, table: Integers, steps: Integers) -> None:
    """The earliest time that anything in the row waits for."""
    whole[WAIT] = 0
    for k in range(table.shape[0]):
        if table[k, FOR_AT] >= 0:
            whole[WAIT] = earlier(whole[WAIT], whole[table[k, FOR_AT]])
        if table[k, QUIET_AT] >= 0:
            whole[WAIT] = earlier(whole[WAIT], whole[table[k, QUIET_AT]])
        if table[k, RUNS_AT] >= 0:
            whole[WAIT] = earlier(whole[WAIT], earliest_absence(whole, table, k, steps))


@compiled("b1(i8[::1], i8[:, ::1], i8, f8[:, ::1], i8)")
def _is_idle(whole: Integers, table: Integers, rule: int, registers: Floats, event: int) -> bool:
    """Whether an event changes nothing of the rule: so it is for nearly all."""
    if table[rule, TRIGGER] != EDGE:
        return bool(registers[table[rule, TOUCHED], event] == 0.0)
    held = whole[table[rule, STATE_AT]] & 1
    if (registers[table[rule, CONDITION], event] != 0.0) != (held != 0):
        return False
    return bool(table[rule, FOR_AT] < 0 or whole[table[rule, FOR_AT]] == 0)


@compiled("b1(i8[::1], i8[:, ::1], i8)")
def _is_in_force(whole: Integers, table: Integers, rule: int) -> bool:
    """Whether the condition holds, has held for long enough, and its fire waits for nothing.

    A rule that has never fired for the customer was never in force.
    """
    if table[rule, ENDS] <= 0:
        return False
    state = whole[table[rule, STATE_AT]]
    if (state & 1) == 0 or state < 2:  # noqa: PLR2004  twice the time of the last fire
        return False
    if table[rule, FOR_AT] >= 0 and whole[table[rule, FOR_AT]] != 0:
        return False
    return bool(table[rule, QUIET_AT] < 0 or whole[table[rule, QUIET_AT]] == 0)


@compiled(
    "i8(i8[::1], i8[:, ::1], i8, i8[:, ::1], f8[:, ::1], i8, i8, i8, i8,"
    " b1[::1], i8[::1], i8[:, ::1], i8[::1])"
)
def _wanted(  # noqa: PLR0913, PLR0917  a kernel's arrays
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
    held_back: Integers,
    notes: Integers,
) -> int:
    """How often the rule would fire now; `done` is filled with the key of each time."""
    trigger = table[rule, TRIGGER]
    count = 0
    if trigger != SEQUENCE:
        done[0] = 0
        count = _condition_fires(whole, table, rule, registers, event, now_ms, trigger, is_timer)
    else:
        run = (whole, table, rule, steps, registers, event, at_ms, now_ms, is_timer)
        count = follow_runs(*run, fits, done, notes)
        whole[WAIT] = earlier(whole[WAIT], earliest_absence(whole, table, rule, steps))
        if registers[table[rule, CONDITION], event] == 0.0:
            count = 0
    waiting = table[rule, QUIET_AT]
    if is_timer == 0 or waiting < 0 or whole[waiting] == 0 or whole[waiting] > now_ms:
        return count
    whole[waiting] = 0
    if trigger == EDGE and registers[table[rule, CONDITION], event] == 0.0:
        held_back[rule, IS_OVER] += 1
        notes[HELD_BACK] += 1
        return count
    done[count] = 0
    return count + 1


@compiled(
    "i8(i8[:, ::1], i8[:, ::1], i8[:, ::1], f8[:, ::1], i8[:, ::1],"
    " Tuple((i8[::1], i8[::1], i8[::1], i8[::1], i8[::1])),"
    " Tuple((f8[::1], i8[::1], i8[::1], i8[::1])),"
    " Tuple((b1[::1], i8[::1], i8[:, ::1], i8[:, ::1], i8[::1])), i8, i8)"
)
def decide(
    table: Integers,
    steps: Integers,
    looks: Integers,
    registers: Floats,
    whole_rows: Integers,
    events: tuple[Integers, Integers, Integers, Integers, Integers],
    zones: tuple[Floats, Integers, Integers, Integers],
    scratch: tuple[npt.NDArray[np.bool_], Integers, Integers, Integers, Integers],
    start: int,
    count: int,
) -> int:
    """Judge events from `start` on; answers where it stopped for lack of room in `fires`, or `count`.

    Args:
        table, steps: the rules (rule_table.py); looks: what silence makes true (looks.py).
        registers: shape (registers, at least count), all programs run.
        whole_rows: shape (slots, words); changed.
        events: slots, times, customers' times, hashes of ids and status of each, as the fold has them.
        zones: codes, ends, starts and offsets of the time zones in use.
        scratch: fits and done, for one rule's steps and runs; held_back, shape (rules, restraints),
            counted up; fires, filled with event, rule (or OVER less rule) and key of each; notes, of
            which FIRED and HELD_BACK are set and DROPPED_RUNS is counted up.
    """
    slots, times_ms, now_ms, id_hashes, status = events
    fits, done, held_back, fires, notes = scratch
    notes[FIRED] = notes[HELD_BACK] = 0
    for i in range(start, count):
        if notes[FIRED] + 2 * table.shape[0] + RUNS_MAX > fires.shape[0]:  # all fire, or end
            return i
        if status[i] != ADMITTED:
            continue
        whole, now = whole_rows[slots[i]], now_ms[i]
        is_timer = 1 if id_hashes[i] == TIMER else 0
        for k in range(table.shape[0]):
            if is_timer == 0 and _is_idle(whole, table, k, registers, i):
                continue
            place = (whole, table, k, steps, registers, i, times_ms[i], now, is_timer)
            was_in_force = _is_in_force(whole, table, k)
            for n in range(_wanted(*place, fits, done, held_back, notes)):
                held = restraint(whole, table, k, registers, i, now, *zones, notes)
                settle(whole, table, k, held, now, held_back, done[n], fires, i, notes)
            if was_in_force and (whole[table[k, STATE_AT]] & 1) == 0:
                row = fires[notes[FIRED]]
                row[0], row[1], row[2] = i, OVER - k, 0
                notes[FIRED] += 1
        if is_timer != 0:
            _set_due(whole, table, steps)
        # Not the earlier of the old and the new: what a look waits for is known by the row alone, and
        # within a batch the row is ahead.
        whole[DUE] = earlier(whole[WAIT], next_look(whole, looks, now))
    return count
