"""A replay is what people trust: for history, for training data, and for the question "what if"."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.action import Action
from streams.replay import DEAD_KEPT_MAX, ActionTotal, Watchers, replay
from streams.source import SourceError
from tests.replaying import differences, disordered, engine_of
from tests.streams.replay_rows import (
    HOUR_MS,
    NOW_MS,
    START_MS,
    THIRD_ORDER,
    BrokenSource,
    ListSource,
    click,
    order,
)


def test_the_summary_says_what_happened_to_every_row() -> None:
    """Each row is admitted, a duplicate or a dead letter; the numbers must add up."""
    old = order(99, at_ms=-30 * 24 * HOUR_MS)
    future = order(98, at_ms=NOW_MS - START_MS + 25 * HOUR_MS)
    values = [order(1), order(2), order(2), b"{", old, future, click(1, "bob"), order(3, "bob")]

    summary = replay(ListSource(values), engine_of(THIRD_ORDER), NOW_MS).summary

    assert summary.events_read == 8
    assert summary.events_admitted == 4
    assert summary.duplicates == 1
    assert summary.dead_letters == {"in_the_future": 1, "malformed": 1, "too_late": 1}
    assert summary.customers == 2
    assert summary.by_action == {
        "click.view": ActionTotal(1, 0.0),
        "order.placed": ActionTotal(3, 0.3),
    }
    assert sum(summary.bands.values()) == 2
    assert summary.fires == {"third-order": 0, "never": 0}


def test_money_is_summed_exactly() -> None:
    """A total that is off by a cent is a total that nobody believes."""
    values = [order(number, amount=0.07, at_ms=number + 1) for number in range(20_000)]

    summary = replay(ListSource(values), engine_of(), NOW_MS).summary

    assert summary.by_action["order.placed"] == ActionTotal(20_000, 1_400.0)


def test_a_rule_fires_once_whatever_the_number_of_its_targets() -> None:
    """`fires` is about decisions; actions are what follows from them."""
    actions: list[Action] = []
    values = [order(number, amount=5.0) for number in range(1, 6)]

    summary = replay(
        ListSource(values), engine_of(THIRD_ORDER), NOW_MS, Watchers(actions=actions.extend)
    ).summary

    assert summary.fires == {"third-order": 1, "never": 0}
    assert [(action.cause, action.target.name) for action in actions] == [
        ("o3", "orders"),
        ("o3", "again"),
    ]
    assert actions[0].reason == "15.00 in 3 orders"


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 300), max_size=20))
def test_where_the_source_is_cut_changes_nothing(seed: int, cuts: list[int]) -> None:
    """A chunk is an accident of reading; a profile is not."""
    random = Random(seed)
    values = [
        order(number, f"c{random.randrange(5)}", random.randrange(1, 99)) for number in range(300)
    ]
    engine = engine_of(THIRD_ORDER)

    whole = replay(ListSource(values), engine, NOW_MS, keep=True)
    cut = replay(ListSource(values, [each for each in cuts if each]), engine, NOW_MS, keep=True)

    assert cut.rows == whole.rows
    assert cut.views == whole.views
    assert cut.summary.fires == whole.summary.fires


@pytest.mark.slow
@settings(max_examples=10)
@given(st.integers(0, 2**32))
def test_disorder_and_duplicates_end_in_the_same_state(seed: int) -> None:
    """Phones are offline, brokers repeat; a customer's profile must not depend on it."""
    random = Random(seed)
    values = [
        order(number, f"c{random.randrange(9)}", random.randrange(1, 9999) / 100)
        for number in range(1_500)
    ]
    shuffled, duplicates = disordered(values, seed)
    engine = engine_of(THIRD_ORDER)

    sorted_ = replay(ListSource(values), engine, NOW_MS, keep=True)
    arrived = replay(ListSource(shuffled), engine, NOW_MS, keep=True)

    assert arrived.summary.duplicates == duplicates
    assert arrived.summary.by_action == sorted_.summary.by_action
    assert differences(engine, sorted_, arrived) == {}


@pytest.mark.slow
def test_a_table_too_small_for_all_customers_changes_nothing() -> None:
    """Memory is bounded by dropping rows, so dropped rows must come back as they were."""
    random = Random(7)
    values = [order(number, f"c{random.randrange(12_000)}") for number in range(40_000)]
    engine = engine_of(THIRD_ORDER)

    small = replay(ListSource(values), engine, NOW_MS, keep=True, table_bytes_max=1)
    large = replay(ListSource(values), engine, NOW_MS, keep=True)

    assert len(engine.table(1)) < len(small.rows)
    assert small.rows == large.rows
    assert small.summary.fires == large.summary.fires


def test_dead_letters_are_all_counted_and_the_first_are_kept() -> None:
    """A file in the wrong format must not fill the memory with copies of itself."""
    replayed = replay(ListSource([b"{"] * (DEAD_KEPT_MAX + 50)), engine_of(), NOW_MS)

    assert replayed.summary.dead_letters == {"malformed": DEAD_KEPT_MAX + 50}
    assert [letter.origin.position for letter in replayed.dead[-2:]] == ["99", "100"]


def test_an_engine_can_replay_again() -> None:
    """The console replays rules while the user edits them; nothing may be carried over."""
    engine = engine_of(THIRD_ORDER)
    values = [order(number) for number in range(1, 6)]

    first, second = (replay(ListSource(values), engine, NOW_MS, keep=True) for _ in range(2))

    assert first.rows == second.rows
    assert first.summary.fires == second.summary.fires
    assert first.summary.suppressed == second.summary.suppressed


def test_a_source_that_breaks_off_is_no_replay() -> None:
    """Half a history gives wrong profiles that look right."""
    with pytest.raises(SourceError, match="broken off"):
        replay(BrokenSource([order(1)]), engine_of(), NOW_MS)


def test_how_late_an_event_was_does_not_depend_on_what_came_after_it() -> None:
    """A dead letter that names a delay of weeks, because the batch went on, sends people the wrong way."""
    days = 24 * HOUR_MS
    values = [order(1, at_ms=20 * days), order(2, at_ms=days), order(3, at_ms=40 * days)]
    letters = [
        replay(ListSource(values, cuts), engine_of(), NOW_MS).dead[0].detail for cuts in ([], [2])
    ]

    assert letters[0] == letters[1]
    assert f"{19 * days} ms older" in letters[0]
