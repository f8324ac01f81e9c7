"""Deciding: the kernel that goes over events and rules, and keeps each rule's state in the row.

Promise   What fires depends on the row and on the events and timers, in order, and on nothing else. What
          a restraint holds back is used up, counted, and noted in the row with the time from which
          it would be allowed; only quiet hours may let it wait.
How       A rule without `on` fires where its condition becomes true, or has been so for `for`; one with
          `on` at each such event; one with a sequence where a run is done (runs.py). Whatever waits
          for a time keeps it in the row, and the earliest of these times is the row's DUE word: no
          timer is needed before it. It may be too early, never too late; a timer sets it right.
Limits    FIRES_AT_ONCE fires a call, which is repeated where there are more.
Not here  Filling the tables (evaluate.py). Hold-outs and stages, which change no state (fires.py).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled
from processors.fold import ADMITTED, TIMER
from processors.tables import DUE
from rules.restrain import earlier, restraint, settle
from rules.rule_table import (
    CONDITION,
    EACH,
    EDGE,
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

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

FIRES_AT_ONCE: Final = 4096  # the kernel's buffer; it must hold those of one event


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
        whole[DUE] = earlier(whole[DUE], whole[waiting])
    elif whole[waiting] != 0 and whole[waiting] <= now_ms:
        whole[waiting] = 0
        return 1
    return 0


@compiled("void(i8[::1], i8[:, ::1], i8[:, ::1])")
def _set_due(whole: Integers, table: Integers, steps: Integers) -> None:
    """The earliest time that anything in the row waits for."""
    whole[DUE] = 0
    for k in range(table.shape[0]):
        if table[k, FOR_AT] >= 0:
            whole[DUE] = earlier(whole[DUE], whole[table[k, FOR_AT]])
        if table[k, QUIET_AT] >= 0:
            whole[DUE] = earlier(whole[DUE], whole[table[k, QUIET_AT]])
        if table[k, RUNS_AT] >= 0:
            whole[DUE] = earlier(whole[DUE], earliest_absence(whole, table, k, steps))


@compiled(
    "i8(i8[:, ::1], i8[:, ::1], f8[:, ::1], i8[:, ::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1],"
    " f8[::1], i8[::1], i8[::1], i8[::1], b1[::1], i8[::1], i8[:, ::1], i8[:, ::1], i8[::1], i8, i8)"
)
def decide(  # noqa: PLR0913, PLR0917  one crossing into compiled code a batch takes all that it needs
    table: Integers,
    steps: Integers,
    registers: Floats,
    whole_rows: Integers,
    slots: Integers,
    times_ms: Integers,
    now_ms: Integers,
    id_hashes: Integers,
    status: Integers,
    zone_codes: Floats,
    zone_ends: Integers,
    zone_starts: Integers,
    zone_offsets: Integers,
    fits: npt.NDArray[np.bool_],
    done: Integers,
    held_back: Integers,
    fires: Integers,
    notes: Integers,
    start: int,
    count: int,
) -> int:
    """Judge events from `start` on; answers where it stopped for lack of room in `fires`, or `count`.

    Args:
        table, steps: the rules (rule_table.py).
        registers: shape (registers, at least count), all programs run.
        whole_rows: shape (slots, words); changed.
        slots, times_ms, now_ms, id_hashes, status: of each event, as the fold has them.
        zone_codes, zone_ends, zone_starts, zone_offsets: the time zones in use, one after the other.
        fits, done: scratch for one rule's steps and runs.
        held_back: shape (rules, restraints); counted up.
        fires: filled with event, rule and key of each fire.
        notes: FIRED and HELD_BACK are set, DROPPED_RUNS is counted up.
    """
    rules = table.shape[0]
    notes[FIRED] = notes[HELD_BACK] = 0
    for i in range(start, count):
        if notes[FIRED] + rules + done.shape[0] > fires.shape[0]:
            return i
        if status[i] != ADMITTED:
            continue
        whole = whole_rows[slots[i]]
        now = now_ms[i]
        is_timer = 1 if id_hashes[i] == TIMER else 0
        for k in range(rules):
            trigger = table[k, TRIGGER]
            wanted = 0
            if trigger != SEQUENCE:
                done[0] = 0
                wanted = _condition_fires(whole, table, k, registers, i, now, trigger, is_timer)
            elif is_timer != 0 or registers[table[k, TOUCHED], i] != 0.0:
                wanted = follow_runs(
                    whole,
                    table,
                    k,
                    steps,
                    registers,
                    i,
                    times_ms[i],
                    now,
                    is_timer,
                    fits,
                    done,
                    notes,
                )
                whole[DUE] = earlier(whole[DUE], earliest_absence(whole, table, k, steps))
                if registers[table[k, CONDITION], i] == 0.0:
                    wanted = 0
            waiting = table[k, QUIET_AT]
            if is_timer != 0 and waiting >= 0 and 0 < whole[waiting] <= now:
                whole[waiting] = 0
                if trigger == EDGE and registers[table[k, CONDITION], i] == 0.0:
                    held_back[k, IS_OVER] += 1
                    notes[HELD_BACK] += 1
                else:
                    done[wanted] = 0
                    wanted += 1
            for n in range(wanted):
                held = restraint(
                    whole, table, k, registers, i, now,
                    zone_codes, zone_ends, zone_starts, zone_offsets, notes,
                )  # fmt: skip
                settle(whole, table, k, held, now, held_back, done[n], fires, i, notes)
        if is_timer != 0:
            _set_due(whole, table, steps)
    return count
