"""Lift: what acting is worth, by who was acted for and who was held out.

Promise   Pure functions over who was exposed, and who had the outcome afterwards. By intention to treat:
          whoever the rule fired for belongs to a group from the first time on, whatever came of the
          action.
How       Of each customer the first exposure counts, if the time for the outcome is over by the end of
          the history, and an outcome after it and within that time.
Not here  Where exposures come from (lift_replay.py).

The interval of a difference of proportions is Newcombe's hybrid score interval (R. G. Newcombe, Interval
estimation for the difference between independent proportions, Statistics in Medicine 17, 1998, 873-890,
method 10): with the Wilson limits l, u of each proportion p,

    lower = (p1 - p2) - sqrt((p1 - l1)^2 + (u2 - p2)^2)
    upper = (p1 - p2) + sqrt((u1 - p1)^2 + (p2 - l2)^2)

and that of their ratio follows from the same limits in a like way (A. Donner, G. Y. Zou, Closed-form
confidence intervals for functions of the normal mean and standard deviation, Statistical Methods in Medical
Research 21, 2012, 347-359). Both assume that customers are independent of each other.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, sqrt
from typing import Final

import msgspec

Z_95: Final = 1.959963984540054  # two-sided 95%
Z_POWER: Final = 0.8416212335729143  # four times out of five


@dataclass(frozen=True, slots=True)
class Exposure:
    """A fire of the rule."""

    customer_id: str
    at_ms: int
    is_held_out: bool


class Group(msgspec.Struct, frozen=True):
    """Customers, and how many of them had the outcome."""

    customers: int
    converted: int

    @property
    def conversion(self) -> float:
        """The share that had it; 0 of nobody."""
        return self.converted / self.customers if self.customers else 0.0


class Interval(msgspec.Struct, frozen=True):
    """Both ends belong to it."""

    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Groups:
    """Who was acted for, who was held out, and of how many it is not known yet."""

    acted: Group
    held_out: Group
    undecided: int


def groups(
    exposures: Iterable[Exposure],
    outcomes: Mapping[str, Sequence[int]],
    within_ms: int,
    end_ms: int,
) -> Groups:
    """Put each customer into a group, by the first exposure.

    Args:
        exposures: in any order.
        outcomes: the times of each customer, ascending.
        within_ms: how long after the exposure an outcome counts; one at the very same time does not.
        end_ms: the end of what is known.
    """
    first: dict[str, Exposure] = {}
    for each in exposures:
        known = first.get(each.customer_id)
        if known is None or each.at_ms < known.at_ms:
            first[each.customer_id] = each
    counts = {False: [0, 0], True: [0, 0]}
    undecided = 0
    for customer_id, exposure in first.items():
        if exposure.at_ms + within_ms > end_ms:
            undecided += 1
            continue
        times_ms = outcomes.get(customer_id, ())
        place = bisect_right(times_ms, exposure.at_ms)
        is_converted = place < len(times_ms) and times_ms[place] <= exposure.at_ms + within_ms
        count = counts[exposure.is_held_out]
        count[0] += 1
        count[1] += is_converted
    return Groups(Group(*counts[False]), Group(*counts[True]), undecided)


def wilson(group: Group, z: float = Z_95) -> Interval:
    """The score interval of a proportion (E. B. Wilson, 1927).

    >>> found = wilson(Group(263, 81))
    >>> round(found.lower, 4), round(found.upper, 4)
    (0.2553, 0.3662)
    """
    count, share = group.customers, group.conversion
    assert count > 0, "nobody has no proportion"
    middle = share + z * z / (2 * count)
    half = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return Interval(max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale))


def difference(one: Group, other: Group, z: float = Z_95) -> Interval:
    """Of the conversion of one group less that of the other.

    >>> found = difference(Group(70, 56), Group(80, 48))
    >>> round(found.lower, 4), round(found.upper, 4)
    (0.0524, 0.3339)
    """
    (p1, p2), (w1, w2) = (one.conversion, other.conversion), (wilson(one, z), wilson(other, z))
    return Interval(
        p1 - p2 - sqrt((p1 - w1.lower) ** 2 + (w2.upper - p2) ** 2),
        p1 - p2 + sqrt((w1.upper - p1) ** 2 + (p2 - w2.lower) ** 2),
    )


def ratio(one: Group, other: Group, z: float = Z_95) -> Interval:
    """Of the conversion of one group divided by that of the other; it may have no upper end."""
    (p1, p2), (w1, w2) = (one.conversion, other.conversion), (wilson(one, z), wilson(other, z))
    both = p1 * p2
    near, far = w1.lower * (2 * p1 - w1.lower), w2.upper * (2 * p2 - w2.upper)
    below = both + sqrt(
        max(0.0, both * both - near * far)
    )  # multiplied out: `far` may be 0 or less
    lower = near / below if below > 0 else 0.0
    near, far = w1.upper * (2 * p1 - w1.upper), w2.lower * (2 * p2 - w2.lower)
    above = both + sqrt(max(0.0, both * both - near * far))
    return Interval(max(0.0, lower), above / far if far > 0 else inf)


def needed(one: Group, other: Group) -> int | None:
    """How many customers both groups need, as they are divided now, to tell a difference as large as this.

    In four of five trials, at 95%; None where there is no difference to tell, or a group is empty.

        n2 = (z_a sqrt((1 + 1/k) p q) + z_b sqrt(p1 q1 / k + p2 q2))^2 / (p1 - p2)^2, n1 = k n2,
        p = (k p1 + p2) / (k + 1)   (J. L. Fleiss, Statistical Methods for Rates and Proportions, 3.2)
    """
    p1, p2 = one.conversion, other.conversion
    if p1 == p2 or not one.customers or not other.customers:
        return None
    k = one.customers / other.customers
    p = (k * p1 + p2) / (k + 1)
    by_chance = Z_95 * sqrt((1 + 1 / k) * p * (1 - p))
    by_power = Z_POWER * sqrt(p1 * (1 - p1) / k + p2 * (1 - p2))
    n2 = ((by_chance + by_power) / (p1 - p2)) ** 2
    return ceil(n2) + ceil(k * n2)


class Lift(msgspec.Struct):
    """What is printed. Scripts depend on these names."""

    acted: dict[str, float]
    held_out: dict[str, float]
    undecided: int  # customers whose time for the outcome is not over
    absolute: float | None = None  # difference of the conversions; None where a group is empty
    absolute_interval: Interval | None = None
    relative: float | None = None  # by how much of the held-out group's; None where that is nothing
    relative_interval: Interval | None = None
    is_seen: bool = False  # 0 lies outside of the interval
    customers_needed: int | None = None  # more of them, to see a difference as large as this


def lift(found: Groups) -> Lift:
    """What the groups say."""
    one, other = found.acted, found.held_out
    told = Lift(_shown(one), _shown(other), found.undecided)
    if not one.customers or not other.customers:
        return told
    interval = difference(one, other)
    told.absolute = one.conversion - other.conversion
    told.absolute_interval = interval
    told.is_seen = not interval.lower <= 0.0 <= interval.upper
    if other.converted:
        times = ratio(one, other)
        told.relative = one.conversion / other.conversion - 1
        told.relative_interval = Interval(times.lower - 1, times.upper - 1)
    enough = needed(one, other)
    if not told.is_seen and enough is not None:
        told.customers_needed = max(0, enough - one.customers - other.customers)
    return told


def _shown(group: Group) -> dict[str, float]:
    return {
        "customers": group.customers,
        "converted": group.converted,
        "conversion": group.conversion,
    }
