"""The breaker, on times handed in."""

import random

from hypothesis import given
from hypothesis import strategies as st

from sinks.breaker import (
    CONCURRENCY_MAX,
    FAILING_MS_MAX,
    FAILURES_ROW_MAX,
    OPEN_MS_MAX,
    OPEN_MS_MIN,
    OUTCOMES_KEPT,
    PAUSE_MS_MAX,
    Breaker,
)


def opened(now_ms: int = 0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_ROW_MAX):
        breaker.failed(now_ms)
    return breaker


def test_failures_in_a_row_open_it_and_nothing_is_sent_for_a_while() -> None:
    """A receiver that is down is not helped by more requests."""
    breaker = opened()

    assert not breaker.is_closed
    assert breaker.wakes_ms() == OPEN_MS_MIN
    assert breaker.allows(OPEN_MS_MIN - 1, 0) == 0


def test_after_a_while_one_attempt_decides() -> None:
    """Half-open: one probe, not a thundering herd."""
    breaker = opened()

    assert breaker.allows(OPEN_MS_MIN, 0) == 1
    assert breaker.allows(OPEN_MS_MIN, 1) == 0
    breaker.succeeded(OPEN_MS_MIN + 1)
    assert breaker.is_closed
    assert breaker.allows(OPEN_MS_MIN + 1, 0) == 2


def test_a_failed_probe_doubles_the_pause_up_to_a_bound() -> None:
    """Bounded, so that a receiver that is back is noticed within a minute."""
    breaker, now_ms, pauses = opened(), 0, []
    for _ in range(12):
        wakes_ms = breaker.wakes_ms()
        assert wakes_ms is not None
        pauses.append(wakes_ms - now_ms)
        now_ms = wakes_ms
        breaker.failed(now_ms)

    assert pauses[:4] == [OPEN_MS_MIN, 2 * OPEN_MS_MIN, 4 * OPEN_MS_MIN, 8 * OPEN_MS_MIN]
    assert max(pauses) == OPEN_MS_MAX


def test_an_endpoint_that_fails_every_other_time_is_opened() -> None:
    """It never fails ten times in a row, and yet half of what it gets is lost work."""
    breaker = Breaker()
    for number in range(OUTCOMES_KEPT):
        if not breaker.is_closed:
            break
        breaker.succeeded(number) if number % 2 else breaker.failed(number)

    assert not breaker.is_closed


def test_three_failures_in_ten_do_not_open_it() -> None:
    """Retries make up for these; leaving the endpoint alone would cost more."""
    rng = random.Random(17)
    breaker = Breaker()
    opens = 0
    for number in range(20_000):
        if not breaker.is_closed:
            opens += 1
            breaker = Breaker()
        breaker.failed(number) if rng.random() < 0.3 else breaker.succeeded(number)

    assert opens <= 5


def test_after_a_while_of_being_well_enough_the_pauses_begin_anew() -> None:
    """An endpoint that fails three times in ten opens it now and then; it must not add up to minutes."""
    breaker, now_ms = Breaker(), 0
    for _ in range(6):
        for _ in range(FAILURES_ROW_MAX):
            breaker.failed(now_ms)
        assert breaker.wakes_ms() == now_ms + OPEN_MS_MIN
        now_ms += OPEN_MS_MIN
        breaker.succeeded(now_ms)
        for number in range(OUTCOMES_KEPT):
            breaker.succeeded(now_ms) if number % 10 > 2 else breaker.failed(now_ms)

    assert breaker.is_closed


def test_opened_again_before_that_it_is_left_alone_for_as_long_as_the_last_time() -> None:
    """One good answer is no recovery; but only attempts that fail when it should be well make it longer."""
    breaker = opened()
    breaker.failed(OPEN_MS_MIN)
    breaker.succeeded(3 * OPEN_MS_MIN)
    for _ in range(OUTCOMES_KEPT // 2 - 1):
        breaker.succeeded(3 * OPEN_MS_MIN)
    for _ in range(FAILURES_ROW_MAX):
        breaker.failed(3 * OPEN_MS_MIN)

    assert breaker.wakes_ms() == 3 * OPEN_MS_MIN + 2 * OPEN_MS_MIN


def test_bursts_of_failures_do_not_add_up_to_minutes() -> None:
    """A machine that stands still for a moment fails all that is under way, and is well again."""
    breaker, now_ms = Breaker(), 0
    for _ in range(20):
        for _ in range(FAILURES_ROW_MAX):
            breaker.failed(now_ms)
        assert breaker.wakes_ms() == now_ms + OPEN_MS_MIN
        now_ms += OPEN_MS_MIN
        for _ in range(5):
            breaker.succeeded(now_ms)

    assert breaker.is_closed


def test_its_state_is_told_in_one_word() -> None:
    """For metrics."""
    ended = opened()
    ended.disable("HTTP 410")

    assert [each.state for each in (Breaker(), opened(), ended)] == ["closed", "open", "disabled"]


def test_asked_to_slow_down_it_halves_what_runs_side_by_side_and_gives_it_back() -> None:
    """Additive increase, multiplicative decrease: both sides find the rate that works."""
    breaker = Breaker()
    for expected in (8, 4, 2, 1, 1):
        breaker.failed(0, slows=True)
        assert breaker.allows(0, 0) == expected
    for _ in range(200):
        breaker.succeeded(0)

    assert breaker.allows(0, 0) == CONCURRENCY_MAX


def test_retry_after_keeps_the_whole_endpoint_waiting_within_bounds() -> None:
    """It is the receiver that is busy, not one action of it; but one header must not stop a day."""
    breaker = Breaker()
    breaker.failed(1_000, slows=True, asked_ms=30_000)

    assert breaker.wakes_ms() == 31_000
    assert breaker.allows(30_999, 0) == 0
    breaker.failed(1_000, slows=True, asked_ms=PAUSE_MS_MAX * 20)
    assert breaker.wakes_ms() == 1_000 + PAUSE_MS_MAX


def test_answers_to_what_began_before_it_opened_do_not_close_it() -> None:
    """They say how the receiver was, not how it is."""
    breaker = opened()
    breaker.succeeded(OPEN_MS_MIN - 1)

    assert not breaker.is_closed


def test_five_days_of_nothing_but_failures_disable_the_endpoint_and_say_so() -> None:
    """Somebody has switched the receiver off and told nobody."""
    breaker = Breaker()
    breaker.failed(0)
    breaker.failed(FAILING_MS_MAX - 1)
    assert not breaker.disabled
    breaker.failed(FAILING_MS_MAX)

    assert "five days" in breaker.disabled
    assert breaker.allows(10 * FAILING_MS_MAX, 0) == 0
    assert breaker.wakes_ms() is None


def test_one_success_starts_the_five_days_afresh() -> None:
    """Only an endpoint that never answers well is beyond hope."""
    breaker = Breaker()
    breaker.failed(0)
    breaker.succeeded(FAILING_MS_MAX - 1)
    breaker.failed(FAILING_MS_MAX)

    assert not breaker.disabled


@given(
    st.lists(
        st.tuples(st.sampled_from(["ok", "bad", "slow", "asks"]), st.integers(0, 100_000)),
        max_size=200,
    )
)
def test_whatever_happens_it_allows_no_more_than_its_concurrency_and_wakes_in_time(
    story: list[tuple[str, int]],
) -> None:
    """An endpoint must never be left alone for ever while it is not disabled."""
    breaker, now_ms = Breaker(4), 0
    for what, later_ms in story:
        now_ms += later_ms
        if what == "ok":
            breaker.succeeded(now_ms)
        else:
            asked_ms = 10**9 if what == "asks" else None
            breaker.failed(now_ms, slows=what != "bad", asked_ms=asked_ms)

        assert 0 <= breaker.allows(now_ms, 0) <= 4
        wakes_ms = breaker.wakes_ms()
        if wakes_ms is None:
            assert breaker.disabled or breaker.allows(now_ms, 0) >= 1
        else:
            assert wakes_ms <= now_ms + PAUSE_MS_MAX
            assert breaker.disabled or breaker.allows(wakes_ms, 0) == 1
