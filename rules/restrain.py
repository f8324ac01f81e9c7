"""Restraining: the kernels that say what holds a rule back, and note a fire or what it came to instead.

Promise   The first restraint in the order of RESTRAINTS that applies is the one that is counted, and noted
          with the time from which the rule would be allowed. What is held back changes no cap and no
          cooldown.
Not here  When a rule would fire (decide.py). Hold-outs and stages, which change no state (fires.py).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled
from processors.earlier import earlier
from processors.tables import WAIT
from processors.zones import in_quiet
from rules.rule_table import (
    ALLOWED_MS,
    CAP_AT,
    CAP_COUNT,
    CAP_MS,
    CAP_SIZE,
    CONSENT,
    CONSENT_IS_MISSING,
    COOLDOWN_MS,
    FIRED,
    HELD_BACK,
    HELD_BACK_AT,
    IS_CAPPED,
    IS_COOLING,
    IS_QUIET,
    IS_SNOOZED,
    QUIET_AT,
    QUIET_FROM,
    QUIET_TO,
    QUIET_WAITS,
    QUIET_ZONE,
    SNOOZED_AT,
    SNOOZED_MS,
    STATE_AT,
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

ALLOWED: Final = -1


@compiled("i8(i8[::1], i8[:, ::1], i8, i8)")
def _capped_until(whole: Integers, table: Integers, rule: int, now_ms: int) -> int:
    """When the next fire would be within the cap; 0: now."""
    ring = table[rule, CAP_AT] + 1
    size = table[rule, CAP_SIZE]
    oldest_ms = whole[ring + (whole[ring - 1] - table[rule, CAP_COUNT]) % size]
    if oldest_ms == 0 or now_ms - oldest_ms >= table[rule, CAP_MS]:
        return 0
    return int(oldest_ms + table[rule, CAP_MS])


@compiled(
    "i8(i8[::1], i8[:, ::1], i8, f8[:, ::1], i8, i8, f8[::1], i8[::1], i8[::1], i8[::1], i8[::1])"
)
def restraint(  # noqa: PLR0913, PLR0917  a kernel's arrays
    whole: Integers,
    table: Integers,
    rule: int,
    registers: Floats,
    event: int,
    now_ms: int,
    zone_codes: Floats,
    zone_ends: Integers,
    zone_starts: Integers,
    zone_offsets: Integers,
    notes: Integers,
) -> int:
    """The first restraint that holds the rule back, with ALLOWED_MS; or ALLOWED."""
    notes[ALLOWED_MS] = 0
    if table[rule, CONSENT] >= 0 and registers[table[rule, CONSENT], event] != 1.0:
        return CONSENT_IS_MISSING
    until_ms = table[rule, SNOOZED_MS]
    if table[rule, SNOOZED_AT] >= 0:
        until_ms = max(until_ms, int(registers[table[rule, SNOOZED_AT], event]))
    if now_ms < until_ms:
        notes[ALLOWED_MS] = until_ms
        return IS_SNOOZED
    if table[rule, QUIET_ZONE] >= 0:
        code = registers[table[rule, QUIET_ZONE], event]
        zone = 0  # the first one is UTC, for who has none
        for k in range(zone_codes.shape[0]):
            if zone_codes[k] == code:
                zone = k
        first = 0 if zone == 0 else zone_ends[zone - 1]
        notes[ALLOWED_MS] = in_quiet(
            now_ms,
            zone_starts[first : zone_ends[zone]],
            zone_offsets[first : zone_ends[zone]],
            table[rule, QUIET_FROM],
            table[rule, QUIET_TO],
        )
        if notes[ALLOWED_MS] != 0:
            return IS_QUIET
    if table[rule, CAP_AT] >= 0:
        notes[ALLOWED_MS] = _capped_until(whole, table, rule, now_ms)
        if notes[ALLOWED_MS] != 0:
            return IS_CAPPED
    fired_ms = whole[table[rule, STATE_AT]] >> 1
    if fired_ms != 0 and now_ms - fired_ms < table[rule, COOLDOWN_MS]:
        notes[ALLOWED_MS] = fired_ms + table[rule, COOLDOWN_MS]
        return IS_COOLING
    return ALLOWED


@compiled("void(i8[::1], i8[:, ::1], i8, i8)")
def _note_fire(whole: Integers, table: Integers, rule: int, now_ms: int) -> None:
    at = table[rule, STATE_AT]
    whole[at] = 2 * now_ms + (whole[at] & 1)
    if table[rule, CAP_AT] >= 0:
        ring = table[rule, CAP_AT] + 1
        whole[ring + whole[ring - 1]] = now_ms
        whole[ring - 1] = (whole[ring - 1] + 1) % table[rule, CAP_SIZE]


@compiled("i8(i8[::1], i8[:, ::1], i8, i8, i8, i8[:, ::1], i8, i8[:, ::1], i8, i8[::1])")
def settle(
    whole: Integers,
    table: Integers,
    rule: int,
    held: int,
    now_ms: int,
    held_back: Integers,
    key: int,
    fires: Integers,
    event: int,
    notes: Integers,
) -> int:
    """Fire, wait, or be held back; whether it fires."""
    if held == ALLOWED:
        _note_fire(whole, table, rule, now_ms)
        place = notes[FIRED]
        fires[place, 0] = event
        fires[place, 1] = rule
        fires[place, 2] = key
        notes[FIRED] = place + 1
        return 1
    held_back[rule, held] += 1
    notes[HELD_BACK] += 1
    if held == IS_QUIET and table[rule, QUIET_WAITS] != 0:
        whole[table[rule, QUIET_AT]] = notes[ALLOWED_MS]
        whole[WAIT] = earlier(whole[WAIT], notes[ALLOWED_MS])
    if table[rule, HELD_BACK_AT] >= 0:
        whole[table[rule, HELD_BACK_AT]] = 8 * now_ms + held
        whole[table[rule, HELD_BACK_AT] + 1] = notes[ALLOWED_MS]
    return 0
