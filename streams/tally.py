"""Tallies: counters and a histogram that take a whole batch at once.

Promise   A batch costs less than a microsecond and, when it is counted, a few nanoseconds an event; a
          scrape sees all batches so far.
How       Collectors of our own: the client library would take a lock for each number. What is told
          waits in a queue until there is much of it, or a scrape; then numpy counts all of it.
Limits    The buckets given. WAITING_MAX batches wait. Values below zero, which clocks that disagree
          make, count as zero.
Not here  Which metrics there are: metrics.py.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

WAITING_MAX: Final = 256

Values: TypeAlias = Sequence[float] | npt.NDArray[np.float64]
Item = TypeVar("Item")


def taken(waiting: deque[Item]) -> list[Item]:
    """Take out what is there by now, while others go on putting in."""
    return [waiting.popleft() for _ in range(len(waiting))]


class TallyCounter(Collector):
    """A counter with one label, whose values are added together."""

    def __init__(
        self,
        name: str,
        documentation: str,
        label: str,
        known: Sequence[str],
        *,
        unit: float = 1.0,
    ) -> None:
        """Start at zero for the `known` values of the label; others may follow.

        `unit` is what a one counts for.
        """
        self._name = name
        self._documentation = documentation
        self._label = label
        self._unit = unit
        self._totals = dict.fromkeys(known, 0.0)
        self._waiting: deque[Mapping[str, float]] = deque()
        self._lock = Lock()

    def add(self, values: Mapping[str, float]) -> None:
        """Add these to the values of the label; the mapping stays as it is."""
        self._waiting.append(values)
        if len(self._waiting) >= WAITING_MAX:
            self._sum_up()

    def _sum_up(self) -> None:
        """Add what waits."""
        with self._lock:
            for values in taken(self._waiting):
                for key, value in values.items():
                    self._totals[key] = self._totals.get(key, 0.0) + value * self._unit

    def collect(self) -> Iterator[CounterMetricFamily]:
        self._sum_up()
        with self._lock:
            totals = self._totals.copy()
        family = CounterMetricFamily(self._name, self._documentation, labels=[self._label])
        for key, value in totals.items():
            family.add_metric([key], value)
        yield family


class TallyHistogram(Collector):
    """A histogram without labels."""

    def __init__(self, name: str, documentation: str, bounds: Sequence[float]) -> None:
        """Start empty, with the upper bounds of the buckets, ascending; the last is added."""
        assert list(bounds) == sorted(set(bounds)), "bounds ascend"
        self._name = name
        self._documentation = documentation
        self._bounds = list(bounds)
        self._array = np.asarray(bounds, dtype=np.float64)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._waiting: deque[Values] = deque()  # observed, and not yet in the buckets
        self._lock = Lock()

    def observe(self, values: Values) -> None:
        """Count the values of one batch; they stay as they are."""
        self._waiting.append(values)
        if len(self._waiting) >= WAITING_MAX or len(values) >= WAITING_MAX:
            self._sort_in()

    def _sort_in(self) -> None:
        """Put what waits into its buckets."""
        with self._lock:
            waiting = taken(self._waiting)
            if not waiting:
                return
            column = np.maximum(np.concatenate(waiting, dtype=np.float64), 0.0)
            found = np.bincount(np.searchsorted(self._array, column), minlength=len(self._counts))
            self._sum += float(column.sum())
            self._counts = [
                old + new for old, new in zip(self._counts, found.tolist(), strict=True)
            ]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        self._sort_in()
        with self._lock:
            counts, total = self._counts.copy(), self._sum
        buckets, below = [], 0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], counts, strict=True):
            below += count
            buckets.append((bound, float(below)))
        yield HistogramMetricFamily(self._name, self._documentation, buckets, total)
