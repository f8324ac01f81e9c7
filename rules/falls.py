"""Falls: the borders of health at which silence may make a rule's condition true, or end it.

Promise   Every number that `health` is compared with in the conditions of a rule without `on` and `sequence`
          is a border, and so is every border of the bands where the rule asks for the band.
Limits    Where health stands within a calculation, in `trend`, or beside another number that moves, and for
          the levels of its components, the rule is judged at the customer's next event or timer.
Not here  When health will be there (processors/health_ahead.py). Readings of events (looks.py).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rules.expression import MIRRORED, Constant, Expression, Operation, Score, children, leaves
from rules.rule import Rule

LEVEL: Final = "health"
BAND: Final = "health.band"


@dataclass(frozen=True, slots=True)
class Borders:
    """What the rules look at: levels of health, and the band."""

    levels: tuple[float, ...] = ()
    is_band: bool = False

    def __bool__(self) -> bool:
        return bool(self.levels) or self.is_band


NOWHERE: Final = Borders()


def borders_of(rules: Iterable[Rule]) -> Borders:
    """The borders of all of these rules, in order."""
    levels: set[float] = set()
    is_band = False
    for rule in rules:
        if rule.on is not None or rule.sequence is not None:
            continue
        for condition in (rule.when, rule.unless):
            if condition is not None:
                levels.update(_levels(condition))
                is_band |= any(
                    isinstance(each, Score) and each.name == BAND for each in leaves(condition)
                )
    return Borders(tuple(sorted(levels)), is_band)


def _levels(condition: Expression) -> Iterator[float]:
    if isinstance(condition, Operation) and condition.sign in MIRRORED:
        for one, other in (condition.operands, condition.operands[::-1]):
            if isinstance(one, Score) and one.name == LEVEL and isinstance(other, Constant):
                yield other.value
    for each in children(condition):
        yield from _levels(each)
