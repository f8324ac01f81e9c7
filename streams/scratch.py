"""The scratch space in which batches are stepped: the registers of their events, and the kernels' columns.

Promise   Space for a batch is made once and used again; constants stand in their registers.
Limits    REGISTERS_BYTES_MAX for the registers of a large batch, which `events_max` leads to: with many
          rules a large batch would take hundreds of megabytes. LARGE events are always taken at once,
          in fewer the rules would cost too much; so from some 4,000 registers on it is more: 8 bytes
          for each register and each of LARGE events and PADDING.
Not here  What is written into it (step.py). Cutting batches (rounds.py).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.batch import RECORDS_MAX
from processors.tables import Plan

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SMALL: Final = (1, 16, 256)  # sizes that are kept
LARGE: Final = 2_048  # all larger batches share one buffer, of a multiple of this
PADDING: Final = 9  # an odd stride: rows a power of two apart would share one set of the cache
REGISTERS_BYTES_MAX: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Buffers:
    """Space for batches up to one size."""

    registers: Floats  # shape (registers, at least the events)
    slots: Integers
    times_ms: Integers
    id_hashes: Integers
    codes: Integers
    status: Integers
    now_ms: Integers

    @property
    def judged(self) -> tuple[Integers, Integers, Integers, Integers, Integers]:
        """What the rules are told of each event."""
        return self.slots, self.times_ms, self.now_ms, self.id_hashes, self.status


class Scratch:
    """The buffers for one plan."""

    def __init__(self, plan: Plan) -> None:
        """Begin with none.

        `events_max` is how many events may be stepped at once: a multiple of LARGE, as buffers are, whose
        registers take at most REGISTERS_BYTES_MAX, and LARGE where no multiple does.
        """
        self.kept: dict[int, Buffers] = {}
        self._plan = plan
        fit = REGISTERS_BYTES_MAX // (8 * max(plan.registers, 1)) - PADDING
        self.events_max = max(1, min(RECORDS_MAX, fit) // LARGE) * LARGE

    def buffers(self, count: int) -> Buffers:
        """Space for so many events; within the bound for up to `events_max`, to which rounds cut batches."""
        size = next((size for size in SMALL if count <= size), LARGE)
        known = self.kept.get(size)
        if known is None or len(known.slots) < count:
            known = None
            self.kept.pop(size, None)  # nobody holds it any more when there is a larger one
            known = self.kept[size] = self._made(-(-count // size) * size)
        return known

    def _made(self, size: int) -> Buffers:
        stride = size if size == 1 else size + PADDING
        registers = np.full((self._plan.registers, stride), np.nan)
        for number, value in self._plan.asked.constants.items():
            registers[number] = value
        return Buffers(registers, *(np.zeros(stride, dtype=np.int64) for _ in range(6)))
