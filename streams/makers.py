"""The makers of metrics: what all metrics of a process have in common.

Promise   Each is in the registry, and its name begins with `rapport_`.
Not here  Which metrics there are (metrics.py).
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from streams.tally import TallyCounter, TallyHistogram


class Makers:
    """For one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"rapport_{name}", documentation, labels, registry=self._registry)

    def gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(f"rapport_{name}", documentation, labels, registry=self._registry)

    def tally(
        self,
        name: str,
        documentation: str,
        label: str,
        known: Sequence[str] = (),
        *,
        unit: float = 1.0,
    ) -> TallyCounter:
        tally = TallyCounter(f"rapport_{name}", documentation, label, known, unit=unit)
        self._registry.register(tally)
        return tally

    def histogram(self, name: str, documentation: str, bounds: Sequence[float]) -> TallyHistogram:
        histogram = TallyHistogram(f"rapport_{name}", documentation, bounds)
        self._registry.register(histogram)
        return histogram
