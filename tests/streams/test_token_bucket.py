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
