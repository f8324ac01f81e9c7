"""Retries: when an action that was not delivered is tried again, and when it is given up.

Promise   A pure function of the action, its attempts and the times handed in: a restart, another
          worker or a simulation come to the same due time.
How       Attempt n+1 is due DELAYS_MS[n] after attempt n failed, ±20 % by a hash of the action's id
          and n, so that what failed together does not come back together. What the receiver asked
          for (Retry-After) is honoured where it is longer.
Source    The delays are those that Standard Webhooks recommends, and add up to 75.6 hours.
Limits    ATTEMPTS_MAX attempts; then the action is given up, which is a state, not a loss.
Not here  Leaving a whole endpoint alone (breaker.py). The bounds of Retry-After (answer.py).
"""

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_SECOND, _MINUTE, _HOUR = 1_000, 60_000, 3_600_000
DELAYS_MS: Final = (
    0,
    5 * _SECOND,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
ATTEMPTS_MAX: Final = len(DELAYS_MS)
JITTER: Final = 0.2

assert all(one < other for one, other in pairwise(DELAYS_MS)), "each pause is longer than the last"


@dataclass(frozen=True, slots=True)
class Policy:
    """The schedule of one endpoint. `delays_ms[n]` comes before attempt n, counted from 0."""

    delays_ms: tuple[int, ...] = DELAYS_MS
    jitter: float = JITTER

    def __post_init__(self) -> None:
        if not self.delays_ms or min(self.delays_ms) < 0:
            raise ValueError(f"delays_ms must be one or more, none negative: {self.delays_ms}")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter must be at least 0 and below 1, got {self.jitter}")


def due_ms(
    policy: Policy, action_id: str, attempts_count: int, failed_at_ms: int, asked_ms: int | None
) -> int | None:
    """When to try again after `attempts_count` failed attempts; None: give up.

    >>> due_ms(Policy(jitter=0), "a", 1, failed_at_ms=1_000, asked_ms=None)
    6000
    >>> due_ms(Policy(jitter=0), "a", 1, failed_at_ms=1_000, asked_ms=60_000)
    61000
    >>> due_ms(Policy(), "a", 10, failed_at_ms=1_000, asked_ms=60_000) is None
    True
    """
    if attempts_count >= len(policy.delays_ms):
        return None
    delay_ms = policy.delays_ms[attempts_count]
    factor = 1 + policy.jitter * (2 * _fraction(action_id, attempts_count) - 1)
    return failed_at_ms + max(round(delay_ms * factor), asked_ms or 0)


def _fraction(action_id: str, attempts_count: int) -> float:
    """A number in [0, 1) that only id and count decide."""
    seed = f"{attempts_count}:{action_id}".encode()
    return int.from_bytes(hashlib.blake2b(seed, digest_size=7).digest()) / 2**56
