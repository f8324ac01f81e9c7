"""The grounds: which clauses made a rule fire, and by which values, in a few words for its actions.

Promise   Each clause that is named held when the rule fired, and together they made its condition hold:
          of `and` all, of `or` those that held, of `not` the opposite. In the order of the rule's text.
How       Prepared once a rule: the condition without `and`, `or` and `not`, down to what compares a value.
          A clause and its value are registers that the machine has filled in already.
Limits    GROUNDS_MAX clauses an action.
Not here  The whole tree, also of what did not hold: clauses.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from processors.event import Event
from rules.action import Because
from rules.clauses import condition_of, is_logic, subject_of
from rules.expression import Expression, Operation, Type
from rules.rule import Rule
from rules.spell import spell

GROUNDS_MAX: Final = 8

Floats = npt.NDArray[np.float64]


class Readable(Protocol):
    """How to get the value of an expression when a rule fires."""

    def value(self, registers: Floats, index: int, event: Event) -> float | str | None:
        """The value at this event; None where it is missing."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One clause that compares a value; it is a ground where the condition is what is `wanted`."""

    text: str
    condition: Readable
    subject: Readable
    wanted: bool

    def holds(self, registers: Floats, index: int, event: Event) -> bool:
        """Whether it does at this event."""
        return bool(self.condition.value(registers, index, event)) == self.wanted

    def because(self, registers: Floats, index: int, event: Event) -> Iterator[Because]:
        """The clause with its value."""
        yield Because(self.text, self.subject.value(registers, index, event))


@dataclass(frozen=True, slots=True)
class Grounds:
    """Clauses of which all are needed, or one is enough."""

    are_all_needed: bool
    inside: tuple["Grounds | Comparison", ...]

    def holds(self, registers: Floats, index: int, event: Event) -> bool:
        """Whether they do at this event."""
        each_holds = (each.holds(registers, index, event) for each in self.inside)
        return all(each_holds) if self.are_all_needed else any(each_holds)

    def because(self, registers: Floats, index: int, event: Event) -> Iterator[Because]:
        """Those that hold, with their values; of a condition that does."""
        for each in self.inside:
            if self.are_all_needed or each.holds(registers, index, event):
                yield from each.because(registers, index, event)


def grounds_of(rule: Rule, bind: Callable[[Expression], Readable]) -> Grounds:
    """The clauses of all that must hold when the rule fires: `where`, `when` and not `unless`."""
    conditions = [] if rule.on is None or rule.on.where is None else [rule.on.where]
    condition = condition_of(rule)
    if condition is not None:
        conditions.append(condition)
    return Grounds(are_all_needed=True, inside=tuple(_grounds(each, bind) for each in conditions))


def why(grounds: Grounds, registers: Floats, index: int, event: Event) -> tuple[Because, ...]:
    """Why the rule fired at this event."""
    return tuple(islice(grounds.because(registers, index, event), GROUNDS_MAX))


def _grounds(
    condition: Expression, bind: Callable[[Expression], Readable], *, wanted: bool = True
) -> Grounds | Comparison:
    if not is_logic(condition):
        text = spell(condition if wanted else _opposite(condition))
        return Comparison(text, bind(condition), bind(subject_of(condition)), wanted)
    assert isinstance(condition, Operation), "logic is an operation"
    if condition.sign == "not":
        return _grounds(condition.operands[0], bind, wanted=not wanted)
    inside = tuple(_grounds(each, bind, wanted=wanted) for each in condition.operands)
    return Grounds(are_all_needed=(condition.sign == "and") == wanted, inside=inside)


def _opposite(condition: Expression) -> Operation:
    return Operation("not", (condition,), Type.CONDITION, condition.span)
