"""The vector machine: small programs over registers, run operation by operation over a batch.

Promise   A program gives an event the same result whatever batch it stands in. NaN means missing, and
          every comparison with something missing is false.
How       `registers[register, event]` is one float64 matrix; an operation is a row of four integers
          (operation, target, first, second), and one kernel runs all programs: a new rule set is new
          data, never a new compilation. The inner loop goes over events, so it vectorises.
Limits    Booleans are 0.0 and 1.0 and never NaN. Logic is two-valued: `not (amount < 5)` holds where
          there is no amount.
Not here  Which operations there are to run (plan.py). What users may write (rules/).
"""

import math
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled


class Op(IntEnum):
    """What the machine can do; operands are registers. Comparisons and logic give 0.0 or 1.0."""

    ADD = 0
    SUB = 1
    MUL = 2
    DIV = 3  # by zero: missing
    NEG = 4
    ABS = 5
    MIN = 6  # missing if either is
    MAX = 7
    LT = 8
    LE = 9
    GT = 10
    GE = 11
    EQ = 12
    NE = 13  # both present and different
    AND = 14
    OR = 15
    NOT = 16
    FLOOR = 17
    HAS = 18  # 1.0 where present
    COALESCE = 19  # the first, or the second where the first is missing
    FILL = 20  # the first wherever the second holds, else missing


UNARY = frozenset({Op.NEG, Op.ABS, Op.NOT, Op.FLOOR, Op.HAS})
COMMUTATIVE = frozenset({Op.ADD, Op.MUL, Op.MIN, Op.MAX, Op.EQ, Op.NE, Op.AND, Op.OR})

_ADD, _SUB, _MUL, _DIV, _NEG, _ABS, _MIN, _MAX = range(8)
_LT, _LE, _GT, _GE, _EQ, _NE, _AND, _OR, _NOT, _FLOOR, _HAS, _COALESCE, _FILL = range(8, 21)

assert len(Op) == _FILL + 1, "the kernel's numbers are the enumeration's"


@compiled("void(f8[::1], i8, f8[::1], f8[::1], i8)")
def _arithmetic(
    target: npt.NDArray[np.float64],
    operation: int,
    first: npt.NDArray[np.float64],
    second: npt.NDArray[np.float64],
    count: int,
) -> None:
    if operation == _ADD:
        for i in range(count):
            target[i] = first[i] + second[i]
    elif operation == _SUB:
        for i in range(count):
            target[i] = first[i] - second[i]
    elif operation == _MUL:
        for i in range(count):
            target[i] = first[i] * second[i]
    elif operation == _DIV:
        for i in range(count):
            target[i] = first[i] / second[i] if second[i] != 0.0 else math.nan
    elif operation == _NEG:
        for i in range(count):
            target[i] = -first[i]
    elif operation == _ABS:
        for i in range(count):
            target[i] = abs(first[i])
    elif operation == _FLOOR:
        for i in range(count):
            target[i] = np.floor(first[i])
    elif operation == _MIN:
        for i in range(count):
            target[i] = np.minimum(first[i], second[i])
    elif operation == _MAX:
        for i in range(count):
            target[i] = np.maximum(first[i], second[i])
    elif operation == _COALESCE:
        for i in range(count):
            target[i] = second[i] if math.isnan(first[i]) else first[i]
    elif operation == _FILL:
        for i in range(count):
            target[i] = first[i] if second[i] != 0.0 else math.nan


@compiled("void(f8[::1], i8, f8[::1], f8[::1], i8)")
def _logic(
    target: npt.NDArray[np.float64],
    operation: int,
    first: npt.NDArray[np.float64],
    second: npt.NDArray[np.float64],
    count: int,
) -> None:
    if operation == _LT:
        for i in range(count):
            target[i] = first[i] < second[i]
    elif operation == _LE:
        for i in range(count):
            target[i] = first[i] <= second[i]
    elif operation == _GT:
        for i in range(count):
            target[i] = first[i] > second[i]
    elif operation == _GE:
        for i in range(count):
            target[i] = first[i] >= second[i]
    elif operation == _EQ:
        for i in range(count):
            target[i] = first[i] == second[i]
    elif operation == _NE:
        for i in range(count):
            target[i] = first[i] < second[i] or first[i] > second[i]
    elif operation == _AND:
        for i in range(count):
            target[i] = (first[i] != 0.0) & (second[i] != 0.0)
    elif operation == _OR:
        for i in range(count):
            target[i] = (first[i] != 0.0) | (second[i] != 0.0)
    elif operation == _NOT:
        for i in range(count):
            target[i] = first[i] == 0.0
    elif operation == _HAS:
        for i in range(count):
            target[i] = not math.isnan(first[i])


@compiled("void(i4[:, ::1], f8[:, ::1], i8)")
def run(program: npt.NDArray[np.int32], registers: npt.NDArray[np.float64], count: int) -> None:
    """Run the program over the first `count` events of the registers.

    Args:
        program: shape (operations, 4): operation, target, first, second; unary ones ignore the last.
        registers: shape (registers, at least `count`); targets are overwritten.
        count: how many events.
    """
    for step in range(program.shape[0]):
        operation = program[step, 0]
        target = registers[program[step, 1]]
        first = registers[program[step, 2]]
        second = registers[program[step, 3]]
        if _LT <= operation <= _NOT or operation == _HAS:
            _logic(target, operation, first, second, count)
        else:
            _arithmetic(target, operation, first, second, count)
