"""The breaker: when to leave an endpoint alone, and how much it gets at once.

Promise   An endpoint that fails is asked less and less, one that recovers is used again within
          OPEN_MS_MAX, and none is asked more than its concurrency allows. Never loses anything: it
          only says when.
How       Closed: attempts run side by side. FAILURES_ROW_MAX failures in a row, or half of the last
          OUTCOMES_KEPT, open it: nothing is sent for a while. Then half-open: one attempt decides, and
          when it fails the while is twice as long. How long it was is remembered until it has stayed
          closed for OUTCOMES_KEPT. A receiver that asks to slow down halves what runs side by side
          (each success gives some back), and its Retry-After keeps the whole endpoint waiting.
          An endpoint that has only failed for FAILING_MS_MAX is disabled.
          A pure state machine: the time is handed in.
Source    Nygard, "Release It!" (circuit breaker); Chiu and Jain 1989 (additive increase,
          multiplicative decrease); Standard Webhooks (disabling).
Limits    The constants below.
Not here  When one action is tried again (retry.py). Queues (streams/lane.py).
"""

from collections import deque
from typing import Final, Literal

CONCURRENCY_MAX: Final = 16
FAILURES_ROW_MAX: Final = 10  # at 30 % failures, one chance in 170,000 of bad luck
OUTCOMES_KEPT: Final = 50
FAILURES_SHARE: Final = 0.5
OPEN_MS_MIN: Final = 1_000
OPEN_MS_MAX: Final = 60_000
PAUSE_MS_MAX: Final = 3_600_000  # of a Retry-After: one careless header must not stop a day
FAILING_MS_MAX: Final = 5 * 86_400_000

assert FAILURES_ROW_MAX <= CONCURRENCY_MAX, "one round of hanging attempts must open it"


class Breaker:
    """The state of one endpoint. `failing_since_ms` and `disabled` are worth keeping over a restart."""

    def __init__(self, concurrency_max: int = CONCURRENCY_MAX) -> None:
        self.failing_since_ms: int | None = None
        self.disabled: str = ""  # why nothing is sent any more, or ""
        self._concurrency_max = concurrency_max
        self._allowed = float(concurrency_max)
        self._outcomes: deque[bool] = deque(maxlen=OUTCOMES_KEPT)
        self._failures_row = 0
        self._open_until_ms: int | None = None  # None: closed
        self._open_ms = 0  # how long it was last left alone; 0 once it has been well for a while

    @property
    def is_closed(self) -> bool:
        return self._open_until_ms is None and not self.disabled

    @property
    def state(self) -> Literal["closed", "open", "disabled"]:
        if self.disabled:
            return "disabled"
        return "closed" if self._open_until_ms is None else "open"

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to remember."""
        return self.failing_since_ms is None and not self.disabled

    def wakes_ms(self) -> int | None:
        """When an attempt will be allowed again; None when time alone changes nothing."""
        return None if self.disabled else self._open_until_ms

    def allows(self, now_ms: int, in_flight_count: int) -> int:
        """How many more attempts may start now."""
        if self.disabled:
            return 0
        if self._open_until_ms is not None:
            probing = now_ms >= self._open_until_ms and in_flight_count == 0
            return 1 if probing else 0
        return max(0, int(self._allowed) - in_flight_count)

    def succeeded(self, now_ms: int) -> None:
        self.failing_since_ms = None
        if self._open_until_ms is not None:
            if now_ms < self._open_until_ms:
                return  # began before it opened, and says nothing about now
            self._close()
        self._failures_row = 0
        self._outcomes.append(True)
        if len(self._outcomes) == OUTCOMES_KEPT:  # so many since it closed, and it stayed so
            self._open_ms = 0
        self._allowed = min(self._concurrency_max, self._allowed + 1 / self._allowed)

    def failed(self, now_ms: int, *, slows: bool = False, asked_ms: int | None = None) -> None:
        """Count a failure that ended at `now_ms`; `slows` and `asked_ms` as in RetryAfter."""
        if self.failing_since_ms is None:
            self.failing_since_ms = now_ms
        elif now_ms - self.failing_since_ms >= FAILING_MS_MAX:
            self.disabled = f"only failures since {self.failing_since_ms} ms, for five days"
        if slows:
            self._allowed = max(1.0, self._allowed / 2)
        if self._open_until_ms is None:
            self._failures_row += 1
            self._outcomes.append(False)
            half = OUTCOMES_KEPT * FAILURES_SHARE
            if self._failures_row >= FAILURES_ROW_MAX or self._failures_count() >= half:
                self._open(now_ms, self._open_ms)
        elif now_ms >= self._open_until_ms:
            self._open(now_ms, 2 * self._open_ms)  # the one attempt of the half-open state
        if asked_ms:
            until_ms = now_ms + min(asked_ms, PAUSE_MS_MAX)
            self._open_until_ms = max(self._open_until_ms or 0, until_ms)

    def disable(self, reason: str) -> None:
        self.disabled = reason

    def _failures_count(self) -> int:
        return self._outcomes.count(False)

    def _open(self, now_ms: int, open_ms: int) -> None:
        self._open_ms = min(max(open_ms, OPEN_MS_MIN), OPEN_MS_MAX)
        self._open_until_ms = now_ms + self._open_ms

    def _close(self) -> None:
        self._open_until_ms = None
        self._outcomes.clear()
        self._allowed = 1.0
