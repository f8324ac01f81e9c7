"""Restraint: what keeps a rule from acting although it would fire.

Promise   Caps and quiet hours are values that have passed every check.
Limits    CAP_COUNT_MAX fires in a window of CAP_WINDOW_MS_MAX.
Not here  Reading them from a rule's table (held_keys.py). Judging (evaluate.py).
"""

from dataclasses import dataclass
from typing import Final

CAP_COUNT_MAX: Final = 64  # the times of so many fires are kept in the row
CAP_WINDOW_MS_MAX: Final = 366 * 86_400_000
DAY_MINUTES: Final = 24 * 60
CUSTOMER_ZONE: Final = "customer"  # the time zone that the customer's profile names


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `count` fires for a customer in `window_ms`."""

    count: int
    window_ms: int
    channel: str | None  # what is counted: all rules whose cap names this channel; None: this rule


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of the day in which a rule does not act; `from_minute` is inside, `to_minute` is not."""

    from_minute: int  # of the day, below DAY_MINUTES; above `to_minute` where midnight lies between
    to_minute: int
    zone: str  # an IANA name, or CUSTOMER_ZONE
    waits: bool  # acts when the hours end; else not at all
