"""What is counted of a commit is what people read off a dashboard: it must mean what it says."""

from types import SimpleNamespace
from typing import cast

import msgspec

from streams.accounting import count
from streams.metrics import Metrics
from streams.work import Work
from tests.actions import action


def test_a_rule_with_two_targets_has_fired_once() -> None:
    """Fires are compared with those that a cooldown held back, and those have no targets."""
    first = action()
    other = msgspec.structs.replace(first, cause="another event", id="act_3")
    outcome = SimpleNamespace(
        admitted=2,
        duplicates=0,
        late=0,
        suppressed=0,
        stage_ns=(0, 0, 0, 0, 0),
        changed_ids=[first.customer_id],
        actions=[first, msgspec.structs.replace(first, id="act_2"), other],
    )
    metrics = Metrics("1")
    count(
        metrics,
        cast("Work", SimpleNamespace(times_ms=[0, 0], dead=[], outcome=outcome, fired_ms=[])),
        1,
        1.0,
    )

    assert f'rapport_fires_total{{rule="{first.rule}"}} 2.0'.encode() in metrics.text("")[1]


def test_timers_are_late_by_the_clock_and_stale_ones_are_told() -> None:
    """Whoever is called at 3 a.m. wants to know whether reminders went out in time."""
    actions = [msgspec.structs.replace(action(), is_stale=True), action()]
    outcome = SimpleNamespace(
        admitted=0, duplicates=0, late=0, suppressed=0, stage_ns=(0, 0, 0, 0, 0), changed_ids=["c"],
        actions=actions,
    )  # fmt: skip
    metrics = Metrics("1")
    for by_clock in (True, False):
        work = SimpleNamespace(
            times_ms=[], dead=[], outcome=outcome, fired_ms=[1_000, 4_000], by_clock=by_clock
        )
        count(metrics, cast("Work", work), 1, 4_004.0)
    told = metrics.text("")[1]

    assert b"rapport_timers_fired_total 4.0" in told
    assert b"rapport_timers_stale_total 1.0" in told
    assert b'rapport_timer_lateness_seconds_bucket{le="0.005"} 1.0' in told
    assert b"rapport_timer_lateness_seconds_count 2.0" in told
    assert b"rapport_batch_records_count 0.0" in told
