"""Health ahead against its definition: where it will be, and when it passes a border, if nothing happens."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.event import Event
from processors.health_ahead import (
    FINENESS,
    LOOK_MS,
    SOON_MS,
    STEP_MS,
    HealthAhead,
    crossing_in_ms,
    level_after,
)
from processors.model import Points, Shape
from processors.profiles import Table
from processors.tables import DUE
from tests.processors.health_oracle import judge
from tests.processors.scoring import START_MS, event
from tests.processors.stream import Folded, fold_batch
from tests.processors.test_health import histories, scorer

BORDERS = st.floats(1.0, 99.0, allow_nan=False)


def folded(events: list[Event]) -> tuple[Folded, Table]:
    """After the scores of all these events of one customer."""
    made = scorer()
    table = Table(made.plan.layout, memos_count=made.plan.memos)
    done = fold_batch(made.plan, table, made.columns, events)
    place = (done.registers, table.rows, table.whole_rows, done.slots, done.now_ms, done.status)
    made.scores.run(*place, len(events))
    return done, table


def level_at(events: list[Event], after_ms: int) -> float | None:
    """By the definition, when nothing more has happened by then."""
    newest_ms = max(each.at_ms for each in events)
    return judge(
        scorer().scores.model.health, [*events, event("customer.identify", newest_ms + after_ms)]
    ).level


def ahead_of(*borders: float, is_band: bool = False) -> HealthAhead:
    made = scorer()
    return HealthAhead.of(made.scores.health, made.plan.registers, borders, is_band=is_band)


def due_ms_of(events: list[Event], ahead: HealthAhead, *, are_timers: bool = True) -> int:
    """When the customer is due after all these events, by the row; 0: nothing waits."""
    done, table = folded(events)
    latest = np.array([len(events) - 1], dtype=np.int64)
    ahead.run(
        *(done.registers, table.whole_rows, done.slots, done.now_ms, latest), are_timers=are_timers
    )
    return int(table.whole_rows[done.slots[0], DUE])


def crossing(events: list[Event], *borders: float) -> int:
    done, _ = folded(events)
    ahead = ahead_of(*borders)
    place = (*ahead.tables, done.registers, len(events) - 1)
    return crossing_in_ms(*place, *ahead.scratch, ahead.borders, ahead.steepest)


@given(histories(), st.lists(st.integers(0, LOOK_MS), min_size=1, max_size=16))
def test_health_will_be_what_its_definition_says(events: list[Event], times: list[int]) -> None:
    """Else a timer would come when there is nothing to find, or not come when there is."""
    done, _ = folded(events)
    ahead = ahead_of(50.0)
    place = (*ahead.tables, done.registers, len(events) - 1, *ahead.scratch)
    for after_ms in times:
        found = level_after(*place, float(after_ms))
        assert found == pytest.approx(level_at(events, after_ms) or 0.0, abs=1e-6)


@given(histories(), st.floats(0.05, 20.0), st.booleans())
def test_a_border_is_passed_at_the_millisecond_and_not_before(
    events: list[Event], distance: float, is_below: bool
) -> None:
    """No rule fires early, and none a moment late."""
    now = level_at(events, 0)
    if now is None:
        return
    border = now - distance if is_below else now + distance
    found = crossing(events, border)

    def depth(after_ms: int) -> float:
        level = level_at(events, after_ms)
        assert level is not None
        return border - level if is_below else level - border

    # What is past the border for a moment only may be stepped over.
    steepest = ahead_of(border).steepest
    looks = np.geomspace(SOON_MS, LOOK_MS, 40).astype(int).tolist()
    passed = [ms for ms in looks if depth(ms) > steepest * max(STEP_MS, ms / FINENESS) / 2]
    if not found:
        assert not passed
    else:
        assert depth(found + 1) > 0
        assert depth(found - 1) <= 0 or found == SOON_MS
        assert not [ms for ms in passed if ms < found - 1]


@given(histories(), st.lists(BORDERS, min_size=1, max_size=3))
def test_at_an_event_nobody_is_due_too_late(events: list[Event], borders: list[float]) -> None:
    """The steepest way that the model has is the steepest that anybody goes."""
    due_ms = due_ms_of(events, ahead_of(*borders), are_timers=False)
    now = level_at(events, 0)
    if now is None:
        assert due_ms == 0
        return
    wait_ms = due_ms - max(each.at_ms for each in events) if due_ms else LOOK_MS
    assert wait_ms >= SOON_MS
    sides = [now < each for each in borders]
    for after_ms in {SOON_MS, *np.geomspace(SOON_MS, wait_ms, 30).astype(int).tolist()}:
        level = level_at(events, after_ms)
        if SOON_MS < after_ms < wait_ms and level is not None:
            near = [abs(level - each) < 1e-9 for each in borders]
            passed = [(level < each) != side for each, side in zip(borders, sides, strict=True)]
            assert not [one for one, other in zip(passed, near, strict=True) if one and not other]


def test_nothing_is_due_where_nothing_is_known_or_nothing_will_change() -> None:
    """A customer without a score has no border to pass."""
    assert due_ms_of([event("customer.identify", START_MS)], ahead_of(50.0)) == 0
    assert crossing([event("order.placed", START_MS)], 0.5) == 0


def test_a_model_whose_points_are_all_nothing_has_nobody_due() -> None:
    """Its level never moves; a worker must not end by it."""
    made = scorer()
    health = made.scores.health
    flat = replace(
        health.model,
        components=tuple(
            replace(
                each, signals=tuple(replace(one, points=Points(Shape.LINE)) for one in each.signals)
            )
            for each in health.model.components
        ),
    )
    ahead = HealthAhead.of(replace(health, model=flat), made.plan.registers, (50.0,), is_band=False)
    assert ahead.steepest > 0.0
    assert (
        due_ms_of([event("order.placed", START_MS)], ahead, are_timers=False) == START_MS + LOOK_MS
    )


def test_the_end_of_the_dwell_time_is_looked_at() -> None:
    """The band could not follow the level before."""
    events = [event("order.placed", START_MS), event("service.complaint", START_MS + 60_000)]
    dwell_ms = scorer().scores.model.health.bands.dwell_ms
    due_ms = due_ms_of(events, ahead_of(is_band=True))
    assert START_MS + 60_000 + SOON_MS <= due_ms <= START_MS + 60_000 + dwell_ms
    assert scorer().scores.health.borders == (48.0, 52.0, 73.0, 77.0)
