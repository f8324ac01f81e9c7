"""A token bucket: so many events a second on average, and no more than a burst at once.

Promise   Over any span of t seconds at most burst + rate × t tokens are taken.
How       The bucket is filled by the time that has passed; who takes more than is there owes it, and
          is told until when to wait; who only asks is told when the next token will be there.
Not here  Waiting, and reading a clock.
"""

from dataclasses import dataclass, field
from math import ceil
from typing import Final

_SLACK_MS: Final = 1e-6  # what adding up fractions may come short by


@dataclass(slots=True)
class TokenBucket:
    """Made full."""

    rate: float  # tokens a second
    burst: float
    _tokens: float = field(init=False)
    _at_ms: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Fill the bucket."""
        if not (self.rate > 0 and self.burst > 0):
            raise ValueError(f"rate and burst must be positive: {self.rate}, {self.burst}")
        self._tokens = self.burst

    def take(self, tokens: float, now_ms: int) -> int:
        """Take tokens; the result is the time at which they may be used.

        >>> bucket = TokenBucket(rate=100.0, burst=50.0)
        >>> bucket.take(50, now_ms=0), bucket.take(100, now_ms=0), bucket.take(10, now_ms=2000)
        (0, 1000, 2000)
        """
        self._fill(now_ms)
        self._tokens -= tokens
        return now_ms + ceil(max(0.0, -self._tokens * 1000 / self.rate))

    def ready_ms(self, now_ms: int) -> int:
        """When one token will be there, if nobody takes any meanwhile; takes none.

        >>> bucket = TokenBucket(rate=10.0, burst=1.0)
        >>> bucket.take(1, now_ms=0), bucket.ready_ms(now_ms=30), bucket.ready_ms(now_ms=500)
        (0, 100, 500)
        """
        self._fill(now_ms)
        return now_ms + ceil(max(0.0, (1 - self._tokens) * 1000 / self.rate - _SLACK_MS))

    def _fill(self, now_ms: int) -> None:
        if self._at_ms is not None:
            passed_ms = max(0, now_ms - self._at_ms)  # a wall clock may be set back
            self._tokens = min(self.burst, self._tokens + passed_ms * self.rate / 1000)
        self._at_ms = now_ms
