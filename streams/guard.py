"""The guard: whether a rule does far more than was expected when it was promoted.

Promise   A decision is a pure function of what was expected, what was found and the limits.
How       Two bounds. Fires: in an hour, `times` as many as in the busiest hour that was expected, and
          never fewer than FIRES_MIN. Customers: within a day, `share` of them; where more was expected
          than that, `times` as many as expected; and never fewer than CUSTOMERS_MIN.
Limits    An hour and a day are those of the clock, in UTC, by the times of the causes: what was late
          belongs where it happened, so that catching up after an outage is no surprise.
Not here  Counting (guard_counts.py). Pausing (guard_watch.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from streams.controls import Expected

FIRES_MIN: Final = 20
CUSTOMERS_MIN: Final = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much more than expected is too much; 0: never."""

    times: float = 5.0
    share: float = 0.1


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule has done."""

    fires: int  # in the hour
    customers: int  # for how many, in the day
    all_customers: int  # how many there are


@dataclass(frozen=True, slots=True)
class Trip:
    """Why a rule is to be paused."""

    what: str  # "fires an hour" or "customers a day"
    expected: float
    bound: float
    found: float

    def __str__(self) -> str:
        """In a sentence."""
        return (
            f"{self.found:,.0f} {self.what}, where {self.expected:,.0f} were expected and"
            f" {self.bound:,.0f} are the bound"
        )


@dataclass(frozen=True, slots=True)
class Hour:
    """What a rule did in an hour of the past."""

    acted: int
    would: int  # what it did not act on, in shadow or outside of a canary


def fires_bound(expected: Expected, limits: Limits) -> float:
    """More fires in an hour are too many; infinite where the guard is off.

    >>> fires_bound(Expected(an_hour=30.0, share=0.0), Limits(times=5.0))
    150.0
    """
    return max(FIRES_MIN, limits.times * expected.an_hour) if limits.times else float("inf")


def customers_bound(expected: Expected, limits: Limits, all_customers: int) -> float:
    """More customers in a day are too many; infinite where the guard is off.

    >>> customers_bound(Expected(an_hour=0.0, share=0.02), Limits(share=0.1), 10_000)
    1000.0
    >>> customers_bound(Expected(an_hour=0.0, share=0.15), Limits(times=5.0, share=0.1), 10_000)
    7500.0
    """
    if not limits.share:
        return float("inf")
    share = limits.share
    if expected.share > limits.share:
        share = min(1.0, max(1.0, limits.times) * expected.share)
    return float("inf") if share >= 1.0 else max(CUSTOMERS_MIN, round(share * all_customers, 6))


def judged(expected: Expected, found: Found, limits: Limits) -> Trip | None:
    """Why the rule is to be paused; None: it is not."""
    bound = fires_bound(expected, limits)
    if found.fires > bound:
        return Trip("fires an hour", expected.an_hour, bound, found.fires)
    bound = customers_bound(expected, limits, found.all_customers)
    if found.customers > bound:
        share = expected.share * found.all_customers
        return Trip("customers a day", share, bound, found.customers)
    return None


def expectation(
    hours: Iterable[Hour], touched: int, all_customers: int, acts_for: float
) -> Expected:
    """What a rule is to be expected to do, by what it did or would have done.

    Args:
        hours: of the past days. The busiest counts: what waits for the end of quiet hours comes at once.
        touched: customers within the busiest day, acted for or not.
        all_customers: how many there are.
        acts_for: share of the customers for whom it will act.

    >>> expectation([Hour(0, 120), Hour(0, 80)], 300, 10_000, acts_for=0.1)
    Expected(an_hour=12.0, share=0.003)
    """
    busiest = max((each.acted + each.would for each in hours), default=0)
    share = min(1.0, touched / all_customers) if all_customers else 0.0
    return Expected(round(busiest * acts_for, 3), round(share * acts_for, 6))
