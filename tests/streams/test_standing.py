"""What a row remembers of a rule, and what would hold the rule back."""

import numpy as np
import pytest

from processors.layout import Layout
from rules.rule_table import SNOOZED_MS
from streams.moment import Moment, moment_at
from streams.standing import HeldBack, Run, Standing, Suppression, standing, suppressions
from streams.step import Engine
from tests.replaying import engine_of
from tests.streams.explained import DAY_MS, happened, moment_after, orders, row_after
from tests.streams.replay_rows import HOUR_MS, START_MS

NO_LAYOUTS: dict[bytes, Layout] = {}  # but the engine's own
NINE_MS = 1_700_038_800_000  # of the next morning, UTC


def at(hours: float) -> int:
    return START_MS + round(hours * HOUR_MS)


def rule(keys: str) -> Engine:
    return engine_of(f'[rule.r]\n{keys}\nthen = [{{ log = "x" }}]\n')


def stands(keys: str, history: list[bytes], hours: float) -> Standing:
    engine = rule(keys)
    return standing(engine, 0, moment_after(engine, history, hours))


def test_a_rule_that_never_fired_has_nothing_to_remember() -> None:
    """All words of a row are zero at first."""
    found = stands('when = "count(order.placed) > 5"', orders(0), 1)

    assert found == Standing(None, False, None, None, None, (), ())


def test_a_fire_is_remembered_and_cools_down() -> None:
    """Until when is the first question of whoever expected a second call."""
    keys = 'when = "count(order.placed, 1d) >= 2"\ncooldown = "2d"'

    soon, late = (stands(keys, orders(0, 1), hours) for hours in (2, 50))

    assert (soon.fired_ms, soon.held) == (at(1), True)
    assert soon.suppressions == (Suppression("cooldown", at(1) + 2 * DAY_MS),)
    assert late.suppressions == ()


def test_all_restraints_are_told_in_the_order_of_precedence() -> None:
    """Who lifts the first must know of the second."""
    engine = rule(
        'on = "order.placed"\ncooldown = "2d"\nconsent = "phone"\nholdout = "99.9%"\n'
        'cap = { per_customer = "1 per 7d" }\n'
        'quiet = { from = "23:00", to = "09:00", zone = "UTC", then = "drop" }'
    )
    history = [
        happened("customer.consent", 0, consent={"phone": True}),
        *orders(0.1),  # at 22:19
        happened("customer.consent", 0.2, consent={"phone": False}),
    ]
    moment = moment_after(engine, history, 1)
    engine.rule_plan.table[0, SNOOZED_MS] = at(9)

    assert suppressions(engine, 0, moment) == [
        Suppression("holdout", None),
        Suppression("consent", None),
        Suppression("snooze", at(9)),
        Suppression("quiet", NINE_MS),
        Suppression("cap", at(0.1) + 7 * DAY_MS),
        Suppression("cooldown", at(0.1) + 2 * DAY_MS),
    ]


def test_a_cap_is_told_with_the_time_at_which_the_next_is_allowed() -> None:
    """That is when the oldest counted fire leaves the window."""
    keys = 'on = "order.placed"\ncap = { per_customer = "2 per 7d" }'

    found = stands(keys, orders(0, 10, 20), 30)

    assert found.suppressions == (Suppression("cap", at(0) + 7 * DAY_MS),)
    assert found.held_back == HeldBack(at(20), "cap", at(0) + 7 * DAY_MS)


def test_a_condition_that_must_hold_longer_says_when_it_will_have() -> None:
    """On the second, with no event coming."""
    found = stands('when = "count(order.placed) >= 1"\nfor = "3h"', orders(0), 1)

    assert (found.held, found.due_ms, found.fired_ms) == (True, at(3), None)


def test_a_sequence_tells_which_step_it_awaits() -> None:
    """An abandoned cart is under way for half an hour before anything is seen of it."""
    keys = 'sequence = ["click.add_to_cart", "no order.placed within 30m"]'

    found = stands(keys, [happened("click.add_to_cart", 1)], 1.25)

    awaited = "no order.placed within 30 minutes"
    assert found.runs == (Run(at(1), 2, awaited, at(1.5)),)


def test_looking_at_restraints_changes_neither_the_rules_nor_the_row() -> None:
    """They are taken out of a copy."""
    engine = rule('when = "count(order.placed, 1d) >= 2"\ncooldown = "2d"')
    row = row_after(engine, orders(0, 1))
    moment: Moment = moment_at(engine, "ann", row, NO_LAYOUTS.__getitem__, at(2))
    before = engine.rule_plan.table.copy(), moment.row.copy()

    found = [suppressions(engine, 0, moment) for _ in range(2)]

    assert found[0] == found[1] != []
    np.testing.assert_array_equal(engine.rule_plan.table, before[0])
    np.testing.assert_array_equal(moment.row, before[1])


@pytest.mark.parametrize(("stage", "expected"), [("shadow", ["shadow"]), ("live", [])])
def test_a_rule_that_does_not_act_for_the_customer_says_so(stage: str, expected: list[str]) -> None:
    """It decides all the same, so nothing else looks amiss."""
    found = stands(f'when = "health < 0"\nstage = "{stage}"', orders(0), 1)

    assert [each.restraint for each in found.suppressions] == expected
