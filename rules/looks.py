"""Looks: when silence alone makes a condition true.

Promise   A comparison of `since(…)` with a duration, and of a count within a window with nothing, is judged
          at the very time at which it becomes true, with no event coming. A look that finds nothing
          new does no harm.
How       Found in the rule's condition, below its `not`s; the newest event that counts and a delay say when.
          One kernel answers when the first of them is due for a customer.
Limits    Whatever else falls with time (sums, decayed counts, trends, counts above nothing) is judged at the
          customer's next event or timer.
Not here  Health (falls.py). Timers (streams/rounds.py). What the rule then does (decide.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled
from processors.earlier import earlier
from rules.expression import MIRRORED, Constant, Expression, Operation, Reading
from rules.rule import Rule

Integers = npt.NDArray[np.int64]

# Columns of the table of looks. A body is -1 where the head itself is the time.
HEAD, BODY, DELAY_MS = 0, 1, 2
COLUMNS: Final = 3

_OPPOSITE: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "!=", "!=": "="}


@dataclass(frozen=True, slots=True)
class Look:
    """So long after the newest event that the reading looks at, a comparison becomes true."""

    reading: Reading
    delay_ms: int


def looks_of(rule: Rule) -> list[Look]:
    """The looks of a rule that fires when its condition becomes true."""
    if rule.on is not None or rule.sequence is not None:
        return []
    found = [] if rule.when is None else list(_looks(rule.when, wanted=True))
    return found + ([] if rule.unless is None else list(_looks(rule.unless, wanted=False)))


def _looks(condition: Expression, *, wanted: bool) -> Iterator[Look]:
    """Of what makes the condition become what is wanted."""
    if not isinstance(condition, Operation):
        return
    if condition.sign == "not":
        yield from _looks(condition.operands[0], wanted=not wanted)
    elif condition.sign in ("and", "or"):
        for each in condition.operands:
            yield from _looks(each, wanted=wanted)
    elif condition.sign in _OPPOSITE:
        left, right = condition.operands
        sign = str(condition.sign) if wanted else _OPPOSITE[condition.sign]
        if isinstance(left, Constant):
            left, right, sign = right, left, MIRRORED[sign]
        if isinstance(right, Constant):
            yield from _look(*_unscaled(left, right.value), sign)


def _unscaled(left: Expression, value: float) -> tuple[Expression, float]:
    """`reading / 1d` compared with 30 is `reading` compared with 30 days."""
    if isinstance(left, Operation) and left.sign in ("/", "*"):
        reading, by = left.operands
        if isinstance(by, Constant) and by.value > 0:
            return reading, value * by.value if left.sign == "/" else value / by.value
    return left, value


def _look(reading: Expression, value: float, sign: str) -> Iterator[Look]:
    if not isinstance(reading, Reading) or reading.before:
        return
    if reading.function == "since" and sign in (">", ">=") and value >= 0:
        whole = int(value) + 1 if sign == ">" or value != int(value) else int(value)
        yield Look(reading, whole)
    is_none = (sign == "<" and 0 < value <= 1) or (sign in ("<=", "=") and 0 <= value < 1)
    if (
        reading.function == "count"
        and reading.window_ms
        and is_none
        and (sign != "=" or value == 0)
    ):
        yield Look(reading, reading.window_ms)


@compiled("i8(i8[::1], i8[:, ::1], i8)")
def next_look(whole: Integers, looks: Integers, now_ms: int) -> int:
    """When the first look of a customer is due after now; 0: there is none."""
    earliest_ms = 0
    for k in range(looks.shape[0]):
        newest_ms = whole[looks[k, HEAD]]
        if newest_ms == 0:
            continue
        if looks[k, BODY] >= 0:  # the head counts the exact events, which are sorted by time
            newest_ms = whole[looks[k, BODY] + newest_ms - 1]
        due_ms = newest_ms + looks[k, DELAY_MS]
        if due_ms > now_ms:
            earliest_ms = earlier(earliest_ms, due_ms)
    return earliest_ms
