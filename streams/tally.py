"""Tallies: counters and a histogram that take a whole batch at once.

Promise   A batch of one event costs a microsecond or two, a batch of thousands a few nanoseconds an
          event; a scrape sees all of a batch or nothing of it.
How       Collectors of our own: the client library would take a lock for each number. numpy finds the
          buckets of a batch.
Limits    The buckets given. Values below zero, which clocks that disagree make, count as zero.
Not here  Which metrics there are: metrics.py.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

FEW: Final = 16  # from here on numpy is faster than a loop


class TallyCounter(Collector):
    """A counter with one label, whose values are added together."""

    def __init__(self, name: str, documentation: str, label: str, known: Sequence[str]) -> None:
        """Start at zero for the `known` values of the label; others may follow."""
        self._name = name
        self._documentation = documentation
        self._label = label
        self._totals = dict.fromkeys(known, 0.0)
        self._lock = Lock()

    def add(self, values: Mapping[str, float]) -> None:
        totals = self._totals
        with self._lock:
            for key, value in values.items():
                totals[key] = totals.get(key, 0.0) + value

    def collect(self) -> Iterator[CounterMetricFamily]:
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
        self._lock = Lock()

    def observe(self, values: Sequence[float] | npt.NDArray[np.float64]) -> None:
        """Count the values of one batch."""
        if len(values) < FEW:
            kept = [max(0.0, float(value)) for value in values]
            places = [bisect_left(self._bounds, value) for value in kept]
            with self._lock:
                self._sum += sum(kept)
                for place in places:
                    self._counts[place] += 1
            return
        column = np.maximum(np.asarray(values, dtype=np.float64), 0.0)
        found = np.bincount(np.searchsorted(self._array, column), minlength=len(self._counts))
        with self._lock:
            self._sum += float(column.sum())
            self._counts = [
                old + new for old, new in zip(self._counts, found.tolist(), strict=True)
            ]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        with self._lock:
            counts, total = self._counts.copy(), self._sum
        buckets, below = [], 0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], counts, strict=True):
            below += count
            buckets.append((bound, float(below)))
        yield HistogramMetricFamily(self._name, self._documentation, buckets, total)
