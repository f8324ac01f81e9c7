"""The board: gathers what happens into a snapshot for people.

Promise   A snapshot is cheap, and as of one moment. Telling costs about a microsecond a customer.
How       Threads tell commits, deliveries and notes; counts are kept by second, latencies in a ring.
Limits    RECENT_MS; LATENCIES_MAX, SHOWN_MAX of each list, CUSTOMERS_MAX whose band is known: further
          ones are not counted.
Not here  Drawing: live_view.py. Metrics for machines: metrics.py.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from sinks.payload import kind
from streams.delivery import DEAD, Delivery
from streams.shard_status import ShardStatus
from streams.snapshot import Part, ShownAction, ShownAnomaly, Snapshot
from streams.work import Work

RECENT_MS: Final = 10_000
SECONDS_MAX: Final = 60
LATENCIES_MAX: Final = 4_096
SHOWN_MAX: Final = 32
CUSTOMERS_MAX: Final = 200_000
FRESH_MS: Final = 60_000  # an older anomaly is no news: a history is being folded


class _Anomaly(msgspec.Struct):
    detector: str
    at_ms: int
    value: float
    usual: float


class _View(msgspec.Struct):
    customer_id: str
    band: str
    anomalies: list[_Anomaly]


_VIEWS: Final = msgspec.json.Decoder(_View)


class Board:
    """All methods may be called by any thread."""

    def __init__(self, now_ms: Callable[[], float]) -> None:
        """Begin at zero; `now_ms` is the wall clock, with its fractions."""
        self._now_ms = now_ms
        self._started_ms = now_ms()
        self._lock = threading.Lock()
        self._phase = ""
        self._events = self._dead = self._delivered = self._failed = 0
        self._by_second: Counter[int] = Counter()
        self._latencies: deque[tuple[float, float]] = deque(maxlen=LATENCIES_MAX)
        self._bands: dict[str, str] = {}
        self._anomalies: deque[ShownAnomaly] = deque(maxlen=SHOWN_MAX)
        self._actions: deque[ShownAction] = deque(maxlen=SHOWN_MAX)

    def phase(self, words: str) -> None:
        """Say what is going on; nothing: what always goes on, and figures "of late" begin anew."""
        with self._lock:
            if self._phase and not words:
                self._latencies.clear()
                self._by_second.clear()
            self._phase = words

    def stored(self, work: Work, took_ns: int) -> None:  # noqa: ARG002  as shard.Stored has it
        """A commit."""
        now_ms = self._now_ms()
        views = [_VIEWS.decode(view) for view in work.outcome.views]
        with self._lock:
            count = len(work.times_ms)
            self._events += count
            self._dead += len(work.dead)
            second = int(now_ms // 1000)
            self._by_second[second] += count
            for old in [each for each in self._by_second if each <= second - SECONDS_MAX]:
                del self._by_second[old]
            self._latencies.extend(
                (now_ms, max(0.0, now_ms - time_ms)) for time_ms in work.times_ms[-LATENCIES_MAX:]
            )
            for view in views:
                self._look_at(view, now_ms)

    def _look_at(self, view: _View, now_ms: float) -> None:
        if view.customer_id in self._bands or len(self._bands) < CUSTOMERS_MAX:
            self._bands[view.customer_id] = view.band
        if not view.anomalies:
            return
        newest = view.anomalies[0]
        if newest.at_ms < now_ms - FRESH_MS:
            return
        shown = ShownAnomaly(
            newest.at_ms, view.customer_id, newest.detector, newest.value, newest.usual
        )
        if shown not in self._anomalies:
            self._anomalies.appendleft(shown)

    def changed(self, delivery: Delivery) -> None:
        """A delivery has come further; `delivery` is as it is now."""
        if delivery.status != "delivered" and delivery.status not in DEAD:
            return
        with self._lock:
            if delivery.status == "delivered":
                self._delivered += 1
            else:
                self._failed += 1
            self._actions.appendleft(
                ShownAction(
                    at_ms=int(self._now_ms()),
                    rule=delivery.rule,
                    type=kind(delivery),
                    target=f"{delivery.target.kind} {delivery.target.name}",
                    customer_id=delivery.customer_id,
                    reason=delivery.reason,
                    status=delivery.status,
                    note="" if delivery.status == "delivered" else delivery.note,
                )
            )

    def snapshot(
        self, statuses: Sequence[ShardStatus], parts: Sequence[Part] = (), title: str = "Rapport"
    ) -> Snapshot:
        """This moment.

        Args:
            statuses: of all shards; they become a part of their own.
            parts: what else there is to know, such as Redis.
            title: the heading.
        """
        now_ms = self._now_ms()
        with self._lock:
            late = sorted(each for at_ms, each in self._latencies if now_ms - at_ms <= RECENT_MS)
            second = int(now_ms // 1000)
            seconds = tuple(
                self._by_second[each] for each in range(second - SECONDS_MAX + 1, second)
            )
            recent = seconds[-(RECENT_MS // 1000) :]
            return Snapshot(
                now_ms=int(now_ms),
                up_ms=int(now_ms - self._started_ms),
                title=title,
                phase=self._phase,
                events_count=self._events,
                events_a_second=sum(recent) / len(recent),
                by_second=seconds,
                latency_p50_ms=_quantile(late, 0.5),
                latency_p99_ms=_quantile(late, 0.99),
                lag_records=sum(each.lag_records for each in statuses),
                lag_ms=max((each.lag_ms for each in statuses), default=0),
                customers_count=len(self._bands),
                bands=Counter(self._bands.values()),
                dead_letters_count=self._dead,
                anomalies=tuple(self._anomalies),
                actions=tuple(self._actions),
                delivered_count=self._delivered,
                failed_count=self._failed,
                parts=(*parts, _shards(statuses)),
            )


def _quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which this share of the sorted values lies.

    >>> _quantile([1.0, 2.0, 3.0, 4.0], 0.5)
    3.0
    """
    return values[min(len(values) - 1, int(len(values) * share))] if values else None


def _shards(statuses: Sequence[ShardStatus]) -> Part:
    counts = Counter(each.state for each in statuses)
    ok = bool(statuses) and counts["running"] == len(statuses)
    words = ", ".join(f"{many} {state}" for state, many in sorted(counts.items()))
    trouble = next((each.detail for each in statuses if each.detail), "")
    return Part("shards", ok, f"{words or 'none yet'}{': ' if trouble else ''}{trouble}")
