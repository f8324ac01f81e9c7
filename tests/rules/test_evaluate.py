"""Evaluating: when rules fire, against the definition written slowly."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.fold import ADMITTED, DUPLICATE
from rules.action import Action, Because, Target, action_id
from rules.decide import FIRES_AT_ONCE
from rules.errors import RulesError
from rules.evaluate import evaluate
from rules.fires import DATA_VALUES_MAX, actions_of
from rules.load import RULES_MAX
from rules.sequence import RUNS_MAX
from tests.rules.bench import MINUTE_MS, START_MS, THEN, Bench, Judged, healths
from tests.rules.loading import builder, loaded

LOW: Final = f'[rule.low]\nwhen = "health < 40"\n{THEN}'


def test_a_rule_fires_when_its_condition_becomes_true() -> None:
    """A customer who stays unhappy is called once, not at every click."""
    assert Bench(LOW).judge(healths(50, 30, 20, 50, 39)) == [(1, "low"), (4, "low")]


def test_a_condition_that_holds_at_the_first_event_fires() -> None:
    """Nothing was known before: that is the moment it becomes true."""
    assert Bench(LOW).judge(healths(10, 10)) == [(0, "low")]


def test_customers_have_edges_of_their_own() -> None:
    """One customer's state must not silence another's."""
    batch = [Judged(0, 10), Judged(1, 10, customer=1), Judged(2, 10), Judged(3, 10, customer=1)]

    assert Bench(LOW).judge(batch) == [(0, "low"), (1, "low")]


def test_an_edge_within_the_cooldown_is_used_up_and_counted() -> None:
    """Suppressed means suppressed: nobody is called late for something that was dropped."""
    bench = Bench(LOW + 'cooldown = "5m"\n')

    assert bench.judge(healths(10, 50, 10, 10, 10, 10, 10, 50, 10)) == [(0, "low"), (8, "low")]
    assert bench.suppressed == 1
    assert bench.rules.suppressed == {"low": 1}


def test_a_cooldown_ends_after_exactly_its_length() -> None:
    """`1m` means that a minute later is allowed."""
    bench = Bench(LOW + 'cooldown = "2m"\n')

    assert bench.judge(healths(10, 50, 10)) == [(0, "low"), (2, "low")]


def test_with_on_each_such_event_fires() -> None:
    """Each bad payment counts; there is no edge between two of them."""
    bench = Bench(f'[rule.paid]\non = "order.paid"\nwhen = "amount < 5"\n{THEN}')
    batch = [
        Judged(0, action="order.paid", amount=1.0),
        Judged(1, action="order.paid", amount=2.0),
        Judged(2, action="order.paid", amount=9.0),
        Judged(3, action="order.placed", amount=1.0),
        Judged(4, action="order.paid"),
    ]

    assert bench.judge(batch) == [(0, "paid"), (1, "paid")]


def test_with_on_and_a_cooldown_one_fires_and_the_rest_are_counted() -> None:
    """A burst of a hundred payments is one page."""
    bench = Bench(f'[rule.paid]\non = "order.*"\ncooldown = "1h"\n{THEN}')
    batch = [Judged(minute, action="order.paid") for minute in range(0, 90, 10)]

    assert bench.judge(batch) == [(0, "paid"), (60, "paid")]
    assert bench.suppressed == 7


def test_events_that_were_not_admitted_are_not_judged() -> None:
    """A duplicate must not fire, nor end what holds."""
    batch = healths(10, 50, 10)
    batch[1] = replace(batch[1], status=DUPLICATE)

    assert Bench(LOW).judge(batch) == [(0, "low")]


def test_state_is_kept_by_name_over_a_reload() -> None:
    """Whoever edits one rule must not make all others fire again."""
    before = Bench(LOW)
    before.judge(healths(10))
    other = f'[rule.another]\nwhen = "health < 20"\n{THEN}'
    after = Bench(other + LOW)
    for name, (start, words) in before.plan.layout.columns.items():
        if name in after.plan.layout.columns:
            place = after.plan.layout.columns[name][0]
            after.rows[:, place : place + words] = before.rows[:, start : start + words]

    assert after.judge(healths(10)) == [(0, "another")]


RULES: Final = f"""
[rule.low]
when = "health < 40"
cooldown = "3m"
{THEN}
[rule.band]
when = "health.band = 'red' and health < 60"
{THEN}
[rule.paid]
on = "order.paid where amount < 5"
cooldown = "2m"
{THEN}
[rule.each]
on = "order.*"
when = "health >= 40"
{THEN}
"""
EVENTS = st.builds(
    Judged,
    minute=st.integers(0, 3),  # after the event before
    health=st.sampled_from((10.0, 39.0, 40.0, 59.0, 80.0)),
    customer=st.integers(0, 2),
    action=st.sampled_from(("click.view", "order.paid", "order.placed")),
    status=st.sampled_from((ADMITTED, ADMITTED, ADMITTED, DUPLICATE)),
    amount=st.sampled_from((None, 1.0, 5.0)),
    band=st.sampled_from(("red", "green")),
)


def defined(batch: Sequence[Judged]) -> list[tuple[int, str]]:
    """What RULES mean, written out."""
    held: dict[tuple[int, str], bool] = {}
    last: dict[tuple[int, str], int] = {}
    fires = []
    for each in batch:
        if each.status != ADMITTED:
            continue
        small = each.action == "order.paid" and each.amount is not None and each.amount < 5
        order = each.action.startswith("order.")
        verdicts = (
            ("low", each.health < 40, False, 3),
            ("band", each.band == "red" and each.health < 60, False, 0),
            ("paid", small, True, 2),
            ("each", order and each.health >= 40, True, 0),
        )
        for rule, holds, at_each, cooldown in verdicts:
            key = (each.customer, rule)
            edge = holds and (at_each or not held.get(key, False))
            held[key] = holds
            if edge and (key not in last or each.minute - last[key] >= cooldown):
                last[key] = each.minute
                fires.append((each.minute, rule))
    return fires


@pytest.mark.slow
@given(st.lists(EVENTS, max_size=30), st.lists(st.integers(0, 30), max_size=3))
def test_fires_are_those_defined_wherever_batches_are_cut(
    drawn: list[Judged], cuts: list[int]
) -> None:
    """A rule that depends on how the log was read cannot be replayed or explained."""
    minute = 0
    batch = []
    for each in drawn:
        minute += each.minute
        batch.append(replace(each, minute=minute))
    bench = Bench(RULES)
    edges = [0, *sorted(min(cut, len(batch)) for cut in cuts), len(batch)]
    parts = [batch[a:b] for a, b in pairwise(edges) if b > a]

    assert [fire for part in parts for fire in bench.judge(part)] == defined(batch)


def test_the_buffer_holds_the_fires_of_one_event() -> None:
    """An event whose fires never fit would be judged again for ever."""
    assert FIRES_AT_ONCE >= 2 * RULES_MAX + RUNS_MAX


@pytest.mark.slow
def test_more_fires_than_the_buffer_holds_all_come_out() -> None:
    """The buffer is a bound on memory, not on what is decided."""
    text = "".join(f'[rule.r{number}]\non = "click.*"\n{THEN}' for number in range(1_000))
    count = 2 * FIRES_AT_ONCE // 1_000 + 1

    assert len(Bench(text).judge(healths(*[50.0] * count))) == 1_000 * count


def test_no_rules_decide_nothing() -> None:
    """A fresh installation has no rules."""
    assert Bench("").judge(healths(10, 50)) == []


def test_an_action_says_what_why_and_with_which_values() -> None:
    """The receiver and the person who asks later see the same facts."""
    text = """
[rule.low]
version = 3
when = "health < 40 and health.band = 'red' and orders_count != 7"
reason = "Health is {health:.1f} ({health.band}); {orders_count} orders"
then = [{ webhook = "crm", type = "low" }, { alert = "ops" }]
"""
    bench = Bench(text.replace(" and orders_count != 7", " and not orders_count = 7"))
    first, second = bench.act([Judged(2, 31.26, band="red", id="e9")])

    assert first == Action(
        id=action_id("low", 3, "c0", "e9", 0),
        rule="low",
        version=3,
        customer_id="c0",
        shard=7,
        cause="e9",
        at_ms=START_MS + 2 * MINUTE_MS,
        reason="Health is 31.3 (red); unknown orders",
        target=Target("webhook", "crm", "low"),
        data={"health": 31.26, "health.band": "red", "orders_count": None},
        why=(
            Because("health < 40", 31.26),
            Because('health.band = "red"', "red"),
            Because("not orders_count = 7", None),
        ),
    )
    assert second.target == Target("alert", "ops", "low", "warning")
    assert second.id == action_id("low", 3, "c0", "e9", 1)


def test_an_action_has_the_event_s_own_fields() -> None:
    """An analyst wants the amount and the channel of the payment itself."""
    text = f"""
[rule.paid]
on = "order.paid where amount < 5"
when = "channel = 'web'"
reason = "{{action}} of {{amount}} by {{channel}}, {{campaign}}"
{THEN}"""
    bench = Bench(text)
    registers = np.ones((bench.plan.registers, 1))
    event = Judged(0, action="order.paid", amount=1.5).event
    registers[bench.plan.asked.numbers["amount"]] = 1.5
    one = np.zeros(1, dtype=np.int64)
    whole_rows = bench.rows.view(np.int64)
    times_ms = one + START_MS
    events = (one, times_ms, times_ms, one + 1, one)
    verdicts = evaluate(bench.rules, registers, whole_rows, events, 1)
    (action,), causes = actions_of(bench.rules.bound, verdicts.fires, registers, [event], 0)
    assert causes == [0]

    assert action.reason == "paid of 1.5 by web, unknown"
    assert action.data == {"channel": "web", "amount": 1.5, "campaign": None, "action": "paid"}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ('describe = "Call them"\nwhen = "health < 40"', "Call them"),
        ('when = "health < 40"', "health is below 40"),
        ('on = "click.*"', "click.*"),
    ],
)
def test_a_rule_without_a_reason_gives_one(keys: str, expected: str) -> None:
    """An action without a reason is an action that nobody trusts."""
    (action,) = Bench(f"[rule.low]\n{keys}\n{THEN}").act(healths(10))

    assert action.reason == expected


def test_the_values_of_an_action_are_bounded() -> None:
    """A payload must not grow with a rule."""
    many = " or ".join(f"count(click.*, {number}m) > 1" for number in range(1, 100))
    bench = Bench(f'[rule.many]\non = "click.*"\nwhen = "health > 0 or {many}"\n{THEN}')
    (action,) = bench.act(healths(10))

    assert len(action.data) == DATA_VALUES_MAX


def test_rules_loaded_with_other_scores_are_refused() -> None:
    """Bands have changed their names: `red` may no longer be the first of them."""
    rules = loaded(f"[rule.red]\nwhen = \"health.band = 'red'\"\n{THEN}")
    changed = builder()
    changed.names["health.band"] = replace(changed.names["health.band"], texts=("bad", "good"))

    with pytest.raises(RulesError, match="not what it was"):
        rules.compile(changed)
