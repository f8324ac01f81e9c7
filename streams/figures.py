"""Figures of a judgement: what we reach, beside what others have published and what we must reach.

Promise   A figure with a bar is ok or not; one without is only told. What is no number misses its bar.
Not here  Where they come from (judge_*.py). How they are told (commands/figures.py).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a judgement; `ceiling` means that the bar is the most it may be, not the least.

    >>> Figure("auc", 0.79, published=0.77, bar=0.783).ok
    True
    >>> Figure("us_per_value", 11.0, bar=10.0, ceiling=True).ok
    False
    >>> Figure("rows", 12.0).ok is None
    True
    """

    name: str
    value: float
    published: float | None = None
    bar: float | None = None
    ceiling: bool = False

    @property
    def ok(self) -> bool | None:
        """Whether the bar is held; None without one."""
        if self.bar is None:
            return None
        if not math.isfinite(self.value):
            return False
        return self.value <= self.bar if self.ceiling else self.value >= self.bar


def as_values(figures: Iterable[Figure]) -> dict[str, dict[str, float | bool | None]]:
    """For JSON, by name; what is no number is null."""
    return {
        each.name: {
            "value": each.value if math.isfinite(each.value) else None,
            "published": each.published,
            "bar": each.bar,
            "ok": each.ok,
        }
        for each in figures
    }


def missed(figures: Iterable[Figure]) -> list[Figure]:
    """Those that do not hold their bar."""
    return [each for each in figures if each.ok is False]
