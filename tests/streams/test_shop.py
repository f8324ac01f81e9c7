"""The shop is a pure function of its seed and its times; the demo stands on that."""

from collections import Counter
from itertools import islice, takewhile

import msgspec
import pytest

from processors.event import Event
from streams.demo import silent
from streams.loader import Sources
from streams.scenes import LIVED
from streams.shop import CAST, SEED, cast, history, life
from streams.step import Engine
from streams.stories import HISTORY_DAYS
from tests.streams.feeding import Feeding

END_MS = 1_750_000_000_000
DECODER = msgspec.json.Decoder(Event)


@pytest.fixture(scope="module")
def whole() -> list[bytes]:
    return list(history(SEED, END_MS))


@pytest.mark.slow
def test_the_history_is_sorted_whole_and_of_the_size_that_was_promised(whole: list[bytes]) -> None:
    """It goes in at the start of each new demo: larger would be late, smaller would be dull."""
    events = [DECODER.decode(value) for value in whole]
    times_ms = [each.at_ms for each in events]

    assert 100_000 <= len(events) <= 150_000
    assert times_ms == sorted(times_ms)
    assert END_MS - HISTORY_DAYS * LIVED.day_ms <= times_ms[0]
    assert times_ms[-1] <= END_MS
    assert len({each.id for each in events}) == len(events)
    assert {each.customer_id for each in events} == {person.id for person in cast(SEED)}
    assert {each.type for each in events} == {"click", "order", "service", "customer"}


@pytest.mark.slow
def test_the_same_seed_and_end_give_the_same_bytes(whole: list[bytes]) -> None:
    """A demo that was interrupted generates it again, and leaves out what is there."""
    assert list(islice(history(SEED, END_MS), 1_000)) == whole[:1_000]
    assert list(islice(history(SEED + 1, END_MS), 1_000)) != whole[:1_000]


def test_the_cast_is_as_large_as_it_says() -> None:
    """About two thousand customers."""
    assert Counter(person.story for person in cast(SEED)) == CAST
    assert 1_900 <= sum(CAST.values()) <= 2_100


def test_life_is_due_in_order_at_the_pace_that_was_asked_for() -> None:
    """Who watches is to see things move, and to be able to follow."""
    for pace in (1.0, 4.0):
        due_ms = [due for due, _ in islice(life(SEED, END_MS, pace=pace), 3_000)]
        a_second = 1_000 * len(due_ms) / (due_ms[-1] - due_ms[0])

        assert due_ms == sorted(due_ms)
        assert due_ms[0] >= END_MS
        assert 15 * pace <= a_second <= 40 * pace


def test_no_two_lives_share_an_id_and_each_event_happens_when_it_is_due() -> None:
    """An id that comes again is a duplicate, and would be passed over."""
    lives = [
        list(islice(life(SEED, from_ms, run), 1_000)) for run, from_ms in ((1, END_MS), (2, END_MS))
    ]
    events = [DECODER.decode(value) for each in lives for _, value in each]

    assert len({each.id for each in events}) == 2_000
    assert [each.at_ms for each in events] == [due_ms for each in lives for due_ms, _ in each]
    assert list(islice(life(SEED, END_MS, 1), 1_000)) == lives[0]


@pytest.mark.slow
def test_the_history_sets_off_nothing_and_life_sets_off_a_handful_a_minute(
    whole: list[bytes],
) -> None:
    """The first call to a customer within ten seconds; no flood of what has held since long ago."""
    minutes = 5
    engine = Sources().engine()
    feeding = Feeding(Engine(engine.model, silent(engine.rules)))
    feeding.feed(whole, END_MS)
    assert feeding.actions == []

    feeding.engine = engine
    end_ms = END_MS + minutes * 60_000
    events = [value for _, value in takewhile(lambda e: e[0] < end_ms, life(SEED, END_MS))]
    feeding.feed(events, end_ms)

    calls = [each.at_ms for each in feeding.actions if each.rule == "churn-risk-callback"]
    assert calls[0] - END_MS <= 10_000
    assert 5 * minutes <= len(feeding.actions) <= 25 * minutes
    assert {each.rule for each in feeding.actions} == {
        "angry-customer",
        "churn-risk-callback",
        "cart-reminder",
        "card-testing",
        "bulk-buyer",
        "order-anomaly",
        "frequent-returns",
    }
