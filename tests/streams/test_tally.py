"""A batch is counted at once, and as if each event had been counted."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.tally import FEW, TallyCounter, TallyHistogram

BOUNDS = (0.001, 0.01, 0.1, 1.0)
SECONDS = st.floats(-1, 2) | st.sampled_from(BOUNDS)


def buckets(histogram: TallyHistogram) -> dict[str, float]:
    (family,) = histogram.collect()
    return {sample.labels["le"]: sample.value for sample in family.samples if "le" in sample.labels}


def total(histogram: TallyHistogram) -> float:
    (family,) = histogram.collect()
    return float(next(sample.value for sample in family.samples if sample.name.endswith("_sum")))


@given(st.lists(st.lists(SECONDS, max_size=3 * FEW), max_size=5))
def test_a_histogram_counts_batches_as_their_values_one_by_one(batches: list[list[float]]) -> None:
    """Small batches take another way than large ones; dashboards must not see which."""
    histogram = TallyHistogram("h", "h", BOUNDS)
    for batch in batches:
        histogram.observe(batch)
    values = [max(0.0, value) for batch in batches for value in batch]

    assert buckets(histogram) == {
        **{str(bound): sum(value <= bound for value in values) for bound in BOUNDS},
        "+Inf": len(values),
    }
    assert total(histogram) == pytest.approx(sum(values))


def test_a_value_on_a_bound_belongs_below_it_as_prometheus_says() -> None:
    """Buckets are "less or equal"; off by one here shifts every percentile."""
    histogram = TallyHistogram("h", "h", BOUNDS)
    histogram.observe([BOUNDS[1]])

    assert bisect_left(BOUNDS, BOUNDS[1]) == 1
    assert buckets(histogram)["0.01"] == 1
    assert buckets(histogram)["0.001"] == 0


def test_a_counter_adds_what_a_batch_brings_and_shows_zeros_before() -> None:
    """A series that appears with its first error cannot be alerted on by its rate."""
    counter = TallyCounter("c_total", "c", "reason", ["known"])
    (before,) = counter.collect()
    counter.add({"known": 2, "new": 1})
    counter.add({"known": 1})
    (after,) = counter.collect()

    assert {sample.labels["reason"]: sample.value for sample in before.samples} == {"known": 0}
    assert {sample.labels["reason"]: sample.value for sample in after.samples} == {
        "known": 3,
        "new": 1,
    }
