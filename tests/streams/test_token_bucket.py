"""A rate limit that lets a little more through each time is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.token_bucket import TokenBucket


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(-500, 3_000)), min_size=1, max_size=60),
    st.floats(1, 10_000),
    st.floats(1, 1_000),
)
def test_no_span_of_time_gets_more_than_burst_and_rate(
    takes: list[tuple[int, int]], rate: float, burst: float
) -> None:
    """Whatever the pattern of asking, also when the wall clock is set back meanwhile."""
    bucket = TokenBucket(rate, burst)
    clock_ms, passed_ms, taken = 0, 0, 0

    for tokens, step_ms in takes:
        clock_ms += step_ms
        passed_ms += max(0, step_ms)
        waited_ms = bucket.take(tokens, clock_ms) - clock_ms
        clock_ms += waited_ms
        passed_ms += waited_ms
        taken += tokens

        assert waited_ms >= 0
        assert taken <= burst + rate * passed_ms / 1000 + 1e-6 * taken


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0), (float("nan"), 1)])
def test_a_bucket_that_never_fills_is_refused(rate: float, burst: float) -> None:
    """It would wait for ever."""
    with pytest.raises(ValueError, match="positive"):
        TokenBucket(rate, burst)


@given(st.floats(0.001, 500), st.integers(1, 50), st.integers(1, 200))
def test_who_takes_when_it_is_said_to_be_ready_keeps_to_the_rate_and_wastes_none_of_it(
    rate: float, burst: int, count: int
) -> None:
    """A lane asks, waits and takes; it must neither overtake the rate nor fall behind it."""
    bucket, now_ms = TokenBucket(rate, burst), 0
    for _ in range(count):
        now_ms = bucket.ready_ms(now_ms)
        bucket.take(1, now_ms)
    needed_ms = max(0.0, (count - burst) * 1000 / rate)

    wasted_ms = (
        count if burst == 1 else 1 + count / burst
    )  # a full bucket loses what a moment brings
    assert needed_ms - 1e-3 * count <= now_ms <= needed_ms + wasted_ms


def test_a_clock_that_is_set_back_holds_up_nothing() -> None:
    """An hour is set back by daylight's friends and by careless machines."""
    bucket = TokenBucket(10.0, 1.0)
    bucket.take(1, 3_600_000)

    assert bucket.ready_ms(0) == 100
    bucket.take(1, 100)
    assert bucket.ready_ms(100) == 200
