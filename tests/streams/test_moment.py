"""What rules would see of a customer at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.layout import Layout
from rules import rule_table as at
from rules.clauses import clause, condition_of
from rules.fires import DATA_VALUES_MAX
from streams.moment import is_of_event, known_of, moment_at
from streams.replay import Watchers, replay
from streams.step import Observed
from tests.replaying import engine_of
from tests.streams.explained import DAY_MS, happened, moment_after, orders, row_after
from tests.streams.replay_rows import HOUR_MS, START_MS, ListSource

RULES = """
[rule.windows]
when = "count(order.placed, 2d) >= 2 and not sum(order.placed.amount, 1d) > 40"
then = [{ log = "x" }]
[rule.scores]
when = "health < 60 or health.band = 'red' or trend(health, 7d) < -1"
then = [{ log = "x" }]
[rule.life]
when = "since(order.placed) > 12h and max(order.placed.amount) > 5 and count(click.*, half_life 1d) < 3"
unless = "mean(order.placed.amount, before) > 20 or rate(order.placed, half_life 2d) > 2"
then = [{ log = "x" }]
[rule.few]
when = "distinct(order.placed.channel, 1d) in (0, 1) and not has(first(service.csat.score))"
then = [{ log = "x" }]
[rule.gone]
when = "coalesce(last(service.csat.score), 5) <= 2 or floor(since(click.view) / 1h) = 3"
then = [{ log = "x" }]
"""
ENGINE = engine_of(RULES)
NO_LAYOUTS: dict[bytes, Layout] = {}  # but the engine's own

events = st.lists(
    st.one_of(
        st.builds(
            lambda hours, amount, channel: happened(
                "order.placed", hours, amount=amount, channel=channel
            ),
            st.integers(0, 96),
            st.integers(1, 30),
            st.sampled_from(("web", "app")),
        ),
        st.integers(0, 96).map(lambda hours: happened("click.view", hours)),
        st.builds(
            lambda hours, score: happened("service.csat", hours, score=score),
            st.integers(0, 96),
            st.integers(1, 5),
        ),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@given(events, st.integers(0, 300))
def test_the_tree_says_what_the_step_itself_says_of_a_real_row(
    history: list[bytes], hours: int
) -> None:
    """The whole way: packed row, table, timer, registers, leaves, tree; and the kernel's register."""
    moment = moment_after(ENGINE, history, hours)

    for number, bound in enumerate(ENGINE.rule_plan.bound):
        condition = condition_of(bound.rule)
        assert condition is not None
        register = int(ENGINE.rule_plan.table[number, at.CONDITION])
        told = clause(condition, known_of(bound, moment, condition))
        assert told.holds == (moment.registers[register, 0] != 0.0)


def test_right_after_an_event_the_values_are_those_of_the_event() -> None:
    """No time has passed, so nothing is other than what rules saw."""
    history = [*orders(0, 5, 30), happened("click.view", 31)]
    seen: list[float] = []
    numbers = [
        each.register
        for bound in ENGINE.rule_plan.bound
        for each in bound.data
        if not each.name.endswith("before)")
    ]

    def observe(batch: Observed) -> None:
        seen[:] = batch.registers[numbers, len(batch.events) - 1].tolist()

    replay(ListSource(history), ENGINE, START_MS + DAY_MS, Watchers(observe=observe))
    moment = moment_after(ENGINE, history, 0)

    assert len(numbers) > 10
    assert moment.at_ms == START_MS + 31 * HOUR_MS
    np.testing.assert_allclose(moment.registers[numbers, 0], seen, rtol=1e-12)


def test_time_passes_without_events() -> None:
    """A rule may start to hold in silence; whoever asks then must be told so."""
    texts = ("count(order.placed, 2d)", "since(order.placed)")
    bound = {each.name: each for rule in ENGINE.rule_plan.bound for each in rule.data}
    registers = [bound[text].register for text in texts]

    soon, late = (moment_after(ENGINE, orders(0, 1), hours) for hours in (2, 72))

    assert soon.registers[registers, 0].tolist() == [2.0, HOUR_MS]
    assert late.registers[registers, 0].tolist() == [0.0, 71 * HOUR_MS]


def test_what_was_before_the_newest_event_is_not_kept() -> None:
    """An answer about an earlier time would be made up."""
    moment = moment_after(ENGINE, orders(0, 48), 5)

    assert moment.at_ms == moment.newest_ms == START_MS + 48 * HOUR_MS


def test_asking_changes_nothing() -> None:
    """Neither the row nor the next answer: explanations are for looking."""
    row = row_after(ENGINE, orders(0, 1, 2))
    found = [
        moment_at(ENGINE, "ann", row, NO_LAYOUTS.__getitem__, START_MS + DAY_MS) for _ in range(2)
    ]

    assert found[0].registers.tobytes() == found[1].registers.tobytes()
    assert found[0].row.tobytes() == found[1].row.tobytes()


def test_a_row_of_other_rules_is_read_too() -> None:
    """A reload may be a minute old, and the customer's newest event a month."""
    other = engine_of(RULES.partition("[rule.life]")[0])
    row = row_after(other, orders(0, 1))
    layouts = {other.plan.layout.fingerprint: other.plan.layout}

    moment = moment_at(ENGINE, "ann", row, layouts.__getitem__, START_MS + 2 * HOUR_MS)

    assert moment.stored is other.plan.layout
    bound = ENGINE.rule_plan.bound[0]
    assert bound.data[0].value(moment.registers, 0, moment.event) == 2.0


def test_what_only_an_event_can_tell_is_not_known_between_events() -> None:
    """A rule with `on` is judged at its event; its fields would be missing now, and that says nothing."""
    engine = engine_of('''
[rule.at]
on = "order.placed where amount > 3"
when = """
channel = 'web' and zscore(order.placed.amount) > 2 and anomaly.amount > 1
and trend(anomaly.amount, 1d) > 0 and health < 90"""
then = [{ log = "x" }]
[rule.always]
when = "zscore(order.placed.amount) > 2 and health < 90"
then = [{ log = "x" }]
''')
    moment = moment_after(engine, orders(0, 1), 3)
    at_event, always = engine.rule_plan.bound
    conditions = [condition_of(each.rule) for each in (at_event, always)]
    assert conditions[0] is not None
    assert conditions[1] is not None

    assert [leaf for leaf in known_of(at_event, moment, conditions[0]) if is_of_event(leaf)] == []
    assert len(known_of(at_event, moment, conditions[0])) == 1
    assert None in known_of(always, moment, conditions[1]).values()


def test_values_beyond_those_that_a_rule_carries_are_not_known() -> None:
    """The tree then says that it cannot tell, and does not guess."""
    many = " and ".join(f"count(order.placed, {minutes}m) >= 0" for minutes in range(1, 71))
    engine = engine_of(f'[rule.many]\nwhen = "{many}"\nthen = [{{ log = "x" }}]\n')
    moment = moment_after(engine, orders(0), 1)
    (bound,) = engine.rule_plan.bound
    condition = condition_of(bound.rule)
    assert condition is not None

    known = known_of(bound, moment, condition)

    assert len(known) == DATA_VALUES_MAX
    assert clause(condition, known).holds is None
