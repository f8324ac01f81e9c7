"""Bands: rules that split one value between them, with gaps or overlaps.

Promise   What is remarked is a number at which none of the rules holds, or two do.
How       Rules that differ in the range of one value alone, and by their ranges seem to be meant to split it:
          two meet at a number, or together they leave nothing out, or they are three or more of which
          one has two ends. A range inside another one is a step of its own, as alarms have them.
Not here  Ranges (possible.py).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Final

from rules.alternatives import Compared, plain_test
from rules.bounds import Bounds, bounds_of
from rules.clauses import condition_of
from rules.duration import spell_duration
from rules.expression import Expression, Operation, Type
from rules.possible import Interval
from rules.remark import Remark
from rules.rule import Rule
from rules.spell import spell
from rules.template import number_text

_ORDERED: Final = ("<", "<=", ">", ">=")
_MANY: Final = 3


@dataclass(frozen=True, slots=True)
class _Band:
    """The range of one value in which a rule holds."""

    rule: Rule
    value: Expression
    bounds: Bounds
    range: Interval

    def meets(self, above: "_Band") -> bool:
        """Whether one ends at the number at which the other begins."""
        return self.range.high == above.range.low

    def gap(self, above: "_Band") -> Interval:
        """What lies between the two."""
        one, other = self.range, above.range
        is_whole = self.bounds.is_whole
        return Interval(one.high, other.low, not one.high_is_out, not other.low_is_out, is_whole)

    def overlap(self, above: "_Band") -> Interval:
        """What lies in both."""
        one, other = self.range, above.range
        is_whole = self.bounds.is_whole
        return Interval(other.low, one.high, other.low_is_out, one.high_is_out, is_whole)

    def reaches(self, other: "_Band") -> bool:
        """Whether it ends where the other ends, or further up."""
        mine, its = self.range, other.range
        return (mine.high, not mine.high_is_out) >= (its.high, not its.high_is_out)


def band_remarks(rules: Sequence[Rule]) -> Iterator[Remark]:
    """Remarks on gaps and overlaps."""
    groups: dict[object, list[_Band]] = defaultdict(list)
    for rule in rules:
        if rule.sequence is None and rule.stage != "draft":
            for rest, band in _bands(rule):
                groups[rule.on, rule.for_ms, band.value, rest].append(band)
    for group in groups.values():
        yield from _of_group(group)


def _bands(rule: Rule) -> Iterator[tuple[frozenset[Expression], _Band]]:
    condition = condition_of(rule)
    is_all = isinstance(condition, Operation) and condition.sign == "and"
    parts = condition.operands if isinstance(condition, Operation) and is_all else (condition,)
    tests: dict[Expression, Compared] = {}
    for part in parts:
        test = None if part is None else plain_test(part)
        if part is not None and test is not None and test.sign in _ORDERED and test.beside is None:
            tests[part] = test
    for value in dict.fromkeys(each.value for each in tests.values()):
        bounds = bounds_of(value, rule.on)
        found = Interval.of(bounds)
        mine = [part for part, test in tests.items() if test.value == value]
        for part in mine:
            found.cut(tests[part].sign, tests[part].with_)
        rest = frozenset(part for part in parts if part is not None and part not in mine)
        if not found.is_empty:
            yield rest, _Band(rule, value, bounds, found)


def _of_group(group: list[_Band]) -> Iterator[Remark]:
    bands = sorted(group, key=lambda each: (each.range.low, each.range.low_is_out))
    steps: list[_Band] = []  # without those inside another one
    for each in bands:
        if not steps or not steps[-1].reaches(each):
            if steps and steps[-1].range.low == each.range.low:
                steps.pop()
            steps.append(each)
    if not _is_split(steps):
        return
    for below, above in pairwise(steps):
        gap, overlap = below.gap(above), below.overlap(above)
        value, other = spell(above.value), below.rule
        place = f"{other.name} ({other.file}:{other.line})"
        if not gap.is_empty:
            message = f"at {value} {_said(gap, above.value)} neither this rule holds nor {place}"
            yield Remark.of(above.rule, "gap", message, "let one begin where the other ends")
        elif not overlap.is_empty:
            message = f"at {value} {_said(overlap, above.value)} both this rule holds and {place}"
            yield Remark.of(above.rule, "overlap", message, "let one begin where the other ends")


def _is_split(bands: list[_Band]) -> bool:
    pairs = list(pairwise(bands))
    if not pairs:
        return False
    if any(below.meets(above) for below, above in pairs):
        return True
    first, last = bands[0], bands[-1]
    is_whole_line = first.range.low == first.bounds.low and last.range.high == last.bounds.high
    if is_whole_line and all(below.gap(above).is_empty for below, above in pairs):
        return True
    has_two_ends = any(
        each.range.low > each.bounds.low and each.range.high < each.bounds.high for each in bands
    )
    return len(bands) >= _MANY and has_two_ends


def _said(found: Interval, value: Expression) -> str:
    low, high = _number(found.low, value), _number(found.high, value)
    return low if low == high else f"from {low} to {high}"


def _number(number: float, value: Expression) -> str:
    if value.type == Type.DURATION and 0 <= number < inf:
        return spell_duration(round(number))
    return number_text(number)
