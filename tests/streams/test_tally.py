"""A batch is counted at once, and as if each event had been counted."""

from bisect import bisect_left
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.tally import WAITING_MAX, TallyCounter, TallyHistogram

BOUNDS = (0.001, 0.01, 0.1, 1.0)
SECONDS = st.floats(-1, 2) | st.sampled_from(BOUNDS)


def buckets(histogram: TallyHistogram) -> dict[str, float]:
    (family,) = histogram.collect()
    return {sample.labels["le"]: sample.value for sample in family.samples if "le" in sample.labels}


def total(histogram: TallyHistogram) -> float:
    (family,) = histogram.collect()
    return float(next(sample.value for sample in family.samples if sample.name.endswith("_sum")))


@given(st.lists(st.lists(SECONDS, max_size=50), max_size=5), st.sampled_from([1, WAITING_MAX]))
def test_a_histogram_counts_batches_as_their_values_one_by_one(
    some: list[list[float]], times: int
) -> None:
    """Few batches wait for a scrape, many do not; dashboards must not see which."""
    batches = some * times
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


def test_what_is_counted_during_a_scrape_is_in_it_or_in_the_next_one() -> None:
    """The thread that folds counts while the web server's thread scrapes; a lost batch is never found."""
    counter, histogram = (
        TallyCounter("c_total", "c", "outcome", ["known"]),
        TallyHistogram("h", "h", BOUNDS),
    )
    batches = 20 * WAITING_MAX

    def count() -> None:
        for _ in range(batches):
            counter.add({"known": 1})
            histogram.observe([0.05])

    threads = [Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        list(counter.collect())
        buckets(histogram)

    (family,) = counter.collect()
    assert [sample.value for sample in family.samples] == [2 * batches]
    assert buckets(histogram)["+Inf"] == 2 * batches
