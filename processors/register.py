"""Registers: the named values of an event, and the asks that define them.

Promise   Plain values; equal asks have equal names, and a name is a register.
How       A register is a row of the matrix `registers[register, event]`; its stage says when it is known.
Not here  Asking (plan.py), compiling the asks to tables (tables.py), running them (machine.py, fold.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final

from processors.aggregate import Aggregate, Reading
from processors.machine import Op

ACTION: Final = "kind.action"  # the pseudo-field that holds the event's kind and action
WHOLE: Final = 0  # the constant register of value 1.0 is always number 0


class Stage(IntEnum):
    """When a register is known."""

    EVENT = 0
    FEATURE = 1
    SCORE = 2


class Told(Enum):
    """What an event may tell of its customer (attributes.py); the values begin names of registers."""

    NUMBER = "attribute_number"
    TEXT = "attribute_hash"
    CONSENT = "consent"


@dataclass(frozen=True, slots=True)
class Register:
    """One row of the register matrix, and when it is known."""

    number: int
    stage: Stage
    name: str  # canonical text


@dataclass(frozen=True, slots=True)
class TextTest:
    """A question about one text field; asked once for each distinct text. Equal names are equal tests."""

    name: str
    passes: Callable[[str | None], bool] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Named:
    """What rules may call by name; `texts` are the strings that the register's numbers stand for."""

    register: Register
    texts: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """One reading of one aggregate."""

    aggregate: Aggregate
    reading: Reading
    window_ms: int
    before: bool
    target: Register


@dataclass(frozen=True, slots=True)
class TimeAverage:
    """`source` minus its time-weighted average with this half-life, into `target`."""

    source: Register
    half_life_ms: int
    target: Register


@dataclass(frozen=True, slots=True)
class Asked:
    """All that was asked of a builder, for tables.py to compile; numbers are register numbers."""

    constants: dict[int, float]
    numbers: dict[str, int]
    tests: dict[
        str, list[tuple[Callable[[str | None], bool], int]]
    ]  # by field; ACTION for kind.action
    hashes: dict[str, int]
    operations: dict[Stage, list[tuple[Op, int, int, int]]]
    aggregates: list[Aggregate]
    reads: list[Read]
    averages: list[TimeAverage]
    states: list[tuple[str, int]]
    features: list[Register]
    told: dict[tuple[Told, str], int] = field(default_factory=dict)  # by attribute or channel
