"""What is said when the condition of a rule with an alert is over."""

import numpy as np
import pytest

from rules.action import Action, action_id
from rules.endings import endings_of, in_order
from tests.rules.bench import Bench, Judged
from tests.rules.loading import problems

WHEN = '[rule.low]\nversion = 3\ndescribe = "Health is low"\nwhen = "health < 40"\n'
THEN = (
    'then = [{ webhook = "crm" }, { alert = "oncall", type = "health.low", severity = "page" }]\n'
)


def ended(text: str, *events: Judged) -> list[Action]:
    bench = Bench(text)
    registers = np.full((bench.plan.registers, len(events)), 55.0)
    falls = [(number, 0) for number in range(len(events))]
    return endings_of(bench.rules.bound, falls, registers, [each.event for each in events], 7)[0]


def test_an_end_names_the_same_alert_as_its_beginning() -> None:
    """Alertmanager knows an alert by its labels; one that differs never ends."""
    (_, began) = Bench(WHEN + THEN).act([Judged(0, 31.0, id="e-1")])
    (over,) = ended(WHEN + THEN, Judged(9, id="e-2"))

    assert over.resolves
    assert not began.resolves
    for name in ("rule", "customer_id", "shard", "target", "withheld"):
        assert getattr(over, name) == getattr(began, name)
    assert over.id == action_id("low", 3, "c0", "e-2", 1)
    assert over.at_ms - began.at_ms == 9 * 60_000
    assert over.reason == "It is over: Health is low"


@pytest.mark.parametrize(
    "head",
    [
        '[rule.low]\non = "order.placed"\n',
        '[rule.low]\nsequence = ["order.placed", "no order.paid within 1h"]\n',
        '[rule.low]\non = "order.placed"\nwhen = "health < 40"\n',
    ],
)
def test_what_is_a_moment_has_no_end(head: str) -> None:
    """Its alert ends by time alone."""
    assert ended(head + THEN, Judged(0)) == []


def test_only_alerts_are_told() -> None:
    """A CRM was asked to call; there is nothing to take back."""
    assert ended(WHEN + 'then = [{ webhook = "crm" }, { topic = "x" }]\n', Judged(0)) == []


def test_who_was_not_told_of_the_beginning_is_not_told_of_the_end() -> None:
    """In shadow nobody is."""
    (over,) = ended(f'{WHEN}stage = "shadow"\n{THEN}', Judged(0))

    assert over.withheld == "shadow"


def test_an_alert_that_falls_and_rises_in_one_batch_is_told_in_this_order() -> None:
    """The other way round it would be over for whoever is on call."""
    bench = Bench(WHEN + THEN)
    fires = bench.act(
        [Judged(0, 31.0, id="e-1"), Judged(1, 50.0, id="e-2"), Judged(2, 31.0, id="e-3")]
    )
    endings = ended(WHEN + THEN, Judged(1, id="e-2"))
    both, causes = in_order(fires, [0, 0, 2, 2], endings, [1])

    assert causes == [0, 0, 1, 2, 2]
    assert [each.cause for each in both] == ["e-1", "e-1", "e-2", "e-3", "e-3"]
    assert [each.resolves for each in both] == [False, False, True, False, False]


def test_an_alert_may_say_when_it_is_over_at_the_latest() -> None:
    """For moments, and for what somebody forgets."""
    then = 'then = [{ log = "x" }, { alert = "oncall", resolve_after = "1h" }]\n'
    first, second = Bench(f'[rule.a]\non = "order.placed"\n{then}').act(
        [Judged(0, action="order.placed")]
    )

    assert (first.ends_ms, second.ends_ms) == (0, second.at_ms + 3_600_000)


@pytest.mark.parametrize(
    ("target", "at", "said"),
    [
        ("alert = 'x', resolve_after = 5", "5", "`resolve_after` takes a text"),
        ("alert = 'x', resolve_after = '1 hour'", "'1 hour'", ""),
        ("alert = 'x', resolve_after = '367d'", "'367d'", "an alert lasts at least a second, at most 366d"),
        ("alert = 'x', resolve_after = '0s'", "'0s'", "an alert lasts at least a second, at most 366d"),
        ("webhook = 'x', resolve_after = '1h'", "resolve_after", "`resolve_after` is no key of webhook"),
    ],
)  # fmt: skip
def test_a_time_that_means_nothing_is_refused_at_its_place(target: str, at: str, said: str) -> None:
    """An alert that never ends, or at once, is found by who is on call."""
    (found,) = problems(f"[rule.a]\nwhen = 'health < 40'\nthen = [{{ {target} }}]\n")

    assert said in found.message
    assert found.excerpt[found.excerpt_at :].startswith(at) or not said
