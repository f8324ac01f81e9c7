"""What a row still knows of the events behind a value."""

import pytest

from streams.behind import Behind, behind
from streams.moment import Moment, moment_at
from streams.step import Engine
from tests.replaying import engine_of
from tests.streams.explained import DAY_MS, happened, moment_after, orders, row_after
from tests.streams.replay_rows import HOUR_MS, START_MS


def engine_for(value: str) -> Engine:
    nothing = "0s" if value.startswith("since") else "0"
    return engine_of(f'[rule.r]\nwhen = "{value} > {nothing}"\nthen = [{{ log = "x" }}]\n')


def found(engine: Engine, moment: Moment) -> Behind | None:
    (bound,) = engine.rule_plan.bound
    return behind(engine.plan, bound.data[0].register, moment)


def at(hours: float) -> int:
    return START_MS + round(hours * HOUR_MS)


HISTORY = [
    *orders(0, 5, amount=20.0),
    *orders(40, amount=3.0),
    *orders(50, amount=8.0),
    happened("click.view", 60),
]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("count(order.placed, 1d)", Behind(2.0, True, at(40), at(50), at(36), at(60))),
        ("rate(order.placed, 1d)", Behind(2.0, True, at(40), at(50), at(36), at(60))),
        ("sum(order.placed.amount, 1d)", Behind(2.0, True, at(40), at(50), at(36), at(60))),
        ("count(order.placed, 1h)", Behind(0.0, True, None, None, at(59), at(60))),
        ("count(order.returned, 1h)", Behind(0.0, True, None, None, at(59), at(60))),
        ("count(order.placed)", Behind(4.0)),
        ("sum(order.placed.amount)", Behind(4.0)),
        ("count(order.returned)", Behind(0.0)),
        ("since(order.placed)", Behind(last_ms=at(50))),
        ("last(order.placed.amount)", Behind(last_ms=at(50))),
        ("first(order.placed.amount)", Behind(first_ms=at(0))),
        ("max(order.placed.amount)", Behind(first_ms=at(5), last_ms=at(5))),
        ("min(order.placed.amount, before)", Behind(first_ms=at(40), last_ms=at(40))),
        ("last(order.returned.amount)", Behind()),
        ("count(order.placed, half_life 1d)", Behind(last_ms=at(50), half_life_ms=DAY_MS)),
        ("rate(order.placed, half_life 1d)", Behind(last_ms=at(50), half_life_ms=DAY_MS)),
        ("mean(order.placed.amount, half_life 1d)", Behind(last_ms=at(50), half_life_ms=DAY_MS)),
        ("health", None),
    ],
)
def test_of_each_value_is_told_what_the_row_keeps_and_no_more(
    value: str, expected: Behind | None
) -> None:
    """`count is 2` is believed when it says which two."""
    engine = engine_for(value)

    assert found(engine, moment_after(engine, HISTORY, 60)) == expected


def test_different_values_are_told_by_the_newest_event() -> None:
    """Buckets know times, and no more."""
    engine = engine_for("distinct(order.placed.channel, 1d)")
    history = [happened("order.placed", each, amount=1.0, channel="web") for each in (1, 2)]

    assert found(engine, moment_after(engine, history, 3)) == Behind(
        last_ms=at(2), from_ms=at(3) - DAY_MS, to_ms=at(3)
    )


def test_a_window_that_had_to_forget_single_events_says_that_it_estimates() -> None:
    """Its first event lies in a tile, which has no times."""
    engine = engine_for("count(order.placed, 2d)")
    moment = moment_after(engine, orders(*range(40)), 60)

    told = found(engine, moment)

    assert told is not None
    assert (told.first_ms, told.last_ms) == (None, at(39))
    assert told.count == pytest.approx(27.0, abs=4.0)


def test_what_the_rules_of_before_did_not_ask_for_is_counted_from_now_on() -> None:
    """A count of 0 means little where nobody had counted."""
    old, new = engine_of(), engine_for("count(order.placed, 90d, exact 20)")
    row = row_after(old, orders(0, 1))
    layouts = {old.plan.layout.fingerprint: old.plan.layout}

    told = found(new, moment_at(new, "ann", row, layouts.__getitem__, at(2)))

    assert told is not None
    assert (told.count, told.is_kept) == (0.0, False)
