"""The lane: one endpoint's queue in memory, so that a slow endpoint holds up nobody else.

Promise   At most `queue_max` deliveries wait here and at most the breaker's concurrency are under
          way; what does not fit is kept in Redis by the relay, and fetched when there is room. Where
          an endpoint has a rate, over any span no more attempts begin than its burst and its rate
          allow; what has no token waits like what has no room, and nothing is dropped.
How       A queue, a breaker, a token bucket, and for each shard the time at which something in Redis is
          due.
Limits    QUEUE_MAX. While the breaker is open the queue stays empty. The bucket is this process's, and
          full at its start: a restart allows one burst more, and each further process that delivers
          has a bucket of its own.
Not here  Who fills and empties it (relay.py).
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from sinks.breaker import CONCURRENCY_MAX, Breaker
from sinks.retry import Policy
from sinks.sink import Sink
from streams.overtaken import is_same_alert
from streams.owned import Parcel
from streams.receipts import LaneState
from streams.token_bucket import TokenBucket

QUEUE_MAX: Final = 1_000  # about 1.5 MB; one second of a receiver that takes a thousand a second


@dataclass(frozen=True, slots=True)
class Destination:
    """What a target's name stands for."""

    sink: Sink
    about: str  # tells one address from another, without showing it
    policy: Policy = field(default_factory=Policy)
    concurrency_max: int = CONCURRENCY_MAX
    queue_max: int = QUEUE_MAX
    bucket: TokenBucket | None = None  # shared by all that goes to the endpoint; None: no rate


class Lane:
    def __init__(self, name: str, destination: Destination) -> None:
        self.name = name
        self.sink = destination.sink
        self.about = destination.about
        self.policy = destination.policy
        self.breaker = Breaker(destination.concurrency_max)
        self.queue: deque[Parcel] = deque()
        self.flying: dict[str, Parcel] = {}
        self.due_ms: dict[int, int] = {}  # by shard: no later than the first that waits in Redis
        self.used_ms = 0  # when something last came
        self._queue_max = destination.queue_max
        self._bucket = destination.bucket
        self._concurrency_max = destination.concurrency_max

    @property
    def room(self) -> int:
        return self._queue_max - len(self.queue) if self.breaker.is_closed else 0

    @property
    def state(self) -> LaneState:
        return LaneState(self.about, self.breaker.failing_since_ms, self.breaker.disabled)

    def restore(self, state: LaneState) -> None:
        """Take over what another relay, or one before a restart, has learnt about this address."""
        if state.about != self.about:
            return
        since_ms = [
            each
            for each in (state.failing_since_ms, self.breaker.failing_since_ms)
            if each is not None
        ]
        self.breaker.failing_since_ms = min(since_ms, default=None)
        if state.disabled:
            self.breaker.disable(state.disabled)

    def next(self, now_ms: int) -> Parcel | None:
        """The parcel to attempt now. It counts as under way from here on."""
        if not self.queue or not self.breaker.allows(now_ms, len(self.flying)):
            return None
        if self.ready_ms(now_ms) > now_ms:
            return None
        if any(
            is_same_alert(each.delivery, self.queue[0].delivery) for each in self.flying.values()
        ):
            return None  # its end must not arrive before its beginning
        if self._bucket is not None:
            self._bucket.take(1, now_ms)
        parcel = self.queue.popleft()
        self.flying[parcel.delivery.id] = parcel
        return parcel

    def ready_ms(self, now_ms: int) -> int:
        """When the endpoint's rate allows the next attempt."""
        return now_ms if self._bucket is None else self._bucket.ready_ms(now_ms)

    def paced_count(self, now_ms: int) -> int:
        """How many wait here for the endpoint's rate."""
        return len(self.queue) if self.ready_ms(now_ms) > now_ms else 0

    def fetches(self, now_ms: int) -> int:
        """How many deliveries to fetch from Redis now."""
        if self.breaker.disabled:
            return self._queue_max if self.due_ms else 0  # to be told so, not to be tried
        if min(self.due_ms.values(), default=now_ms + 1) > now_ms:
            return 0
        if self.breaker.is_closed:
            return self.room if len(self.queue) <= self._queue_max // 2 else 0
        return 1 if self.may_probe(now_ms) else 0

    def may_probe(self, now_ms: int) -> bool:
        """Whether the breaker is half open, and nothing is on its way to decide."""
        is_idle = not self.breaker.is_closed and not self.queue
        return is_idle and self.breaker.allows(now_ms, len(self.flying)) > 0

    def wakes_ms(self, now_ms: int) -> int | None:
        """When something is due; in the past when it already waits for room or for an answer."""
        if not self.queue and not self.due_ms:
            return None
        due_ms = min(self.due_ms.values(), default=None)
        ready_ms = self.ready_ms(now_ms) if self.queue else now_ms
        if not self.breaker.is_closed:
            first_ms = ready_ms if self.queue else due_ms or 0
            return max(first_ms, self.breaker.wakes_ms() or 0)
        if ready_ms <= now_ms:
            return due_ms
        # What is due by now waits for room, and so for the rate.
        return ready_ms if due_ms is None or due_ms <= now_ms else min(ready_ms, due_ms)

    def is_idle(self, since_ms: int) -> bool:
        """Whether nothing has come since then, nothing is to be done, and nothing to be remembered."""
        is_empty = not (self.queue or self.flying or self.due_ms)
        is_fresh = self.breaker.is_closed and self.breaker.is_well
        return is_empty and is_fresh and self.used_ms < since_ms

    def enable(self) -> None:
        self.breaker = Breaker(self._concurrency_max)

    def awaits(self, number: int, due_ms: int) -> None:
        """Something of this shard waits in Redis."""
        self.due_ms[number] = min(due_ms, self.due_ms.get(number, due_ms))
