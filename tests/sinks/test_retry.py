"""The schedule of attempts, on times handed in."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.answer import RETRY_AFTER_MS_MAX, judge
from sinks.retry import ATTEMPTS_MAX, DELAYS_MS, JITTER, Policy, due_ms
from sinks.sink import Delivered, Rejected, RetryAfter

HOUR_MS = 3_600_000


def test_the_schedule_is_the_recommended_one() -> None:
    """Receivers plan their outages by it."""
    seconds = [delay_ms / 1000 for delay_ms in DELAYS_MS]

    assert seconds == [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert ATTEMPTS_MAX == 10


@given(st.text(max_size=40), st.integers(1, ATTEMPTS_MAX - 1), st.integers(0, 2**42))
def test_each_pause_is_within_a_fifth_of_its_place_in_the_schedule(
    action_id: str, attempts: int, now_ms: int
) -> None:
    """Jitter spreads a thousand failures of one second; it must not make a new schedule."""
    due = due_ms(Policy(), action_id, attempts, now_ms, None)

    assert due is not None
    delay_ms = DELAYS_MS[attempts]
    assert delay_ms * (1 - JITTER) - 1 <= due - now_ms <= delay_ms * (1 + JITTER) + 1


def test_jitter_is_spread_over_its_whole_range_and_the_same_each_time() -> None:
    """A restart must not move what is due, and a hash that clusters would not spread a storm."""
    dues = [due_ms(Policy(), f"act_{n}", 1, 0, None) or 0 for n in range(2_000)]

    assert dues == [due_ms(Policy(), f"act_{n}", 1, 0, None) for n in range(2_000)]
    tenths = [sum(4_000 + 200 * n <= due < 4_200 + 200 * n for due in dues) for n in range(10)]
    assert min(tenths) > 130
    assert sum(tenths) >= 1_995


def test_the_tenth_failure_gives_up_whatever_the_receiver_asks() -> None:
    """Otherwise a receiver that always says `Retry-After` would keep an action for ever."""
    assert due_ms(Policy(), "a", ATTEMPTS_MAX, 0, 5_000) is None
    assert due_ms(Policy(), "a", ATTEMPTS_MAX - 1, 0, None) is not None


def test_what_the_receiver_asks_for_makes_a_pause_longer_and_never_shorter() -> None:
    """A receiver in trouble may ask for time, but `Retry-After: 0` is no order to hammer it."""
    policy = Policy(jitter=0)

    assert due_ms(policy, "a", 1, 0, 60_000) == 60_000
    assert due_ms(policy, "a", 2, 0, 0) == DELAYS_MS[2]


@pytest.mark.parametrize(
    ("delays_ms", "jitter"), [((), 0.2), ((0, -1), 0.2), ((0,), 1.0), ((0,), -0.1)]
)
def test_a_schedule_that_makes_no_sense_is_refused(
    delays_ms: tuple[int, ...], jitter: float
) -> None:
    """A jitter of one could put the next attempt before the last."""
    with pytest.raises(ValueError, match="must be"):
        Policy(delays_ms, jitter)


RETRY_AFTERS = {
    None: None,
    "0": 0,
    "7": 7_000,
    " 7 ": 7_000,
    "007": 7_000,
    "3600": HOUR_MS,
    "86400": RETRY_AFTER_MS_MAX,
    "86401": RETRY_AFTER_MS_MAX,
    "9" * 5_000: RETRY_AFTER_MS_MAX,
    "Thu, 01 Jan 1970 00:01:40 GMT": 90_000,
    "Thu, 01 Jan 1970 00:01:40": 90_000,
    "Thursday, 01-Jan-70 00:01:40 GMT": 90_000,
    "Thu, 01 Jan 1970 00:00:00 GMT": 0,
    "Fri, 31 Dec 9999 23:59:59 GMT": RETRY_AFTER_MS_MAX,
    "Fri, 31 Dec 9999 23:59:59 -2359": RETRY_AFTER_MS_MAX,
    "Fri, 99 Dec 2024 23:59:59 GMT": None,
    "-5": None,
    "1.5": None,
    "1e9": None,
    "٣": None,
    "soon": None,
    "": None,
    "\x00": None,
    ",": None,
}
NOW_MS = 10_000


@pytest.mark.parametrize("retry_after", RETRY_AFTERS)
def test_every_status_with_every_retry_after_has_one_receipt_and_a_bounded_due_time(
    retry_after: str | None,
) -> None:
    """The whole contract: 500 statuses, each with numbers, dates, garbage and the absurd."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    asked_ms = RETRY_AFTERS[retry_after]
    for status in range(100, 600):
        receipt = judge(status, headers, NOW_MS)

        if 200 <= status <= 299:
            assert receipt == Delivered(f"HTTP {status}")
        elif status == 410:
            assert receipt == Rejected("HTTP 410", disables=True)
        else:
            slows = status in {429, 502, 503, 504} or asked_ms is not None
            assert receipt == RetryAfter(f"HTTP {status}", asked_ms, slows)
            dues = [due_ms(Policy(), "a", n, NOW_MS, asked_ms) for n in range(1, ATTEMPTS_MAX)]
            assert all(due is not None for due in dues)
            assert max(due or 0 for due in dues) - NOW_MS <= RETRY_AFTER_MS_MAX * (1 + JITTER)


@given(st.text(), st.integers(0, 2**42))
def test_no_header_value_at_all_breaks_the_reading_of_an_answer(value: str, now_ms: int) -> None:
    """The value comes from somebody else's machine."""
    receipt = judge(503, {"Retry-After": value}, now_ms)

    assert isinstance(receipt, RetryAfter)
    assert receipt.delay_ms is None or 0 <= receipt.delay_ms <= RETRY_AFTER_MS_MAX


@pytest.mark.parametrize("status", range(100, 600, 7))
def test_the_header_disable_ends_an_endpoint_whatever_the_status(status: int) -> None:
    """A receiver that is switched off for good may still answer 200 to what it got."""
    receipt = judge(status, {"webhook-delivery": " Disable "}, NOW_MS)

    assert not isinstance(receipt, RetryAfter)
    assert receipt.disables
    assert isinstance(receipt, Delivered) == (200 <= status <= 299)


def test_pauses_grow() -> None:
    """A receiver that stays away is asked ever less."""
    policy = Policy()
    dues = [due_ms(policy, "a", n, 0, None) or 0 for n in range(1, ATTEMPTS_MAX)]

    assert all(two > 0.8 / 1.2 * one for one, two in pairwise(dues))
