"""Cost: what is shared is paid once, bytes are the row's, and every piece has its price."""

from typing import Final

import pytest

from benchmarks import rule_workload
from processors.model_file import default_model
from processors.plan import PlanBuilder
from processors.scores import Scores
from rules.cost import BUDGET_BYTES, BUDGET_NS, NS, Costing, share_of
from rules.load import load
from rules.ruleset import RuleSet
from streams.loader import Sources
from streams.step import Engine

MODEL: Final = default_model()
THEN: Final = 'then = [{ log = "x" }]\n'
EVERYTHING: Final = """
[rule.edge]
when = '''count(click.*, 1d) + count(order.*, half_life 3d) + count(order.paid) + last(service.csat.score)
  + first(order.paid.amount) + min(order.paid.amount) + max(order.paid.amount)
  + mean(order.paid.amount, half_life 9d) + distinct(order.paid.terminal, 5d) + trend(health, 8d) > 5'''
then = [{ log = "x" }]

[rule.on]
on = "click.view where page = '/x'"
when = "items_count > 5 and attribute.seats > 5"
then = [{ log = "x" }]

[rule.sequence]
sequence = ["click.add_to_cart", "no order.placed within 1h"]
key = "session_id"
then = [{ log = "x" }]
"""


def rules(text: str | dict[str, bytes]) -> RuleSet:
    builder = PlanBuilder()
    Scores.compile(builder, MODEL)
    return load(text if isinstance(text, dict) else {"a.toml": text.encode()}, builder.names)


def table(name: str, when: str) -> str:
    return f'[rule.{name}]\nwhen = "{when}"\n{THEN}'


def test_what_rules_share_is_paid_once() -> None:
    """Else nobody dares to ask the same twice."""
    dear, other = "count(click.*, 9d) > 5", "count(click.*, 9d) > 6"
    alone = Costing(MODEL).costs(rules(table("a", dear)).rules)
    both = Costing(MODEL).costs(rules(table("a", dear) + table("b", other)).rules)

    assert alone.rules["a"] == alone.total
    assert both.rules["a"].ns < alone.total.ns / 2
    assert both.total.ns == pytest.approx(alone.total.ns + both.rules["b"].ns)
    assert both.rules["a"].bytes == 8  # its own word: whether the condition held


@pytest.mark.parametrize("many", [0, 50])
def test_bytes_are_those_of_the_row(many: int) -> None:
    """The layout rounds up to whole cache lines."""
    loaded = rules(rule_workload.rules(many)) if many else Sources().read().rules
    found = Costing(MODEL).costs(loaded.rules).total.bytes
    words = Engine(MODEL, loaded).plan.layout.words - Engine(MODEL, RuleSet()).plan.layout.words

    assert found > 1_000
    assert abs(found - 8 * words) < 64


def test_every_kind_of_piece_has_its_price() -> None:
    """A piece without one is a mistake here, and not in front of a user."""
    costing = Costing(MODEL)
    used = {
        name
        for rule in rules(EVERYTHING).rules
        for piece in costing.pieces(rule).values()
        for name in piece.amounts
    }

    assert used == {*NS}
    assert all(price >= 0 for price in NS.values())


def test_a_draft_costs_nothing() -> None:
    """It is not judged."""
    text = table("a", "count(click.*, 9d) > 5") + 'stage = "draft"\n'
    found = Costing(MODEL).costs(rules(text).rules)

    assert (found.total.ns, found.total.bytes) == (0, 0)


def test_what_is_counted_of_clicks_costs_more_than_of_consents() -> None:
    """Most events are clicks."""
    clicks, consents = (
        Costing(MODEL).costs(rules(table("a", f"count({kind}, 9d) > 5")).rules).total.ns
        for kind in ("click.*", "customer.consent")
    )

    assert clicks > consents
    assert share_of("without any action") == 1.0


def test_the_packs_are_within_the_budgets_and_without_remarks() -> None:
    """What we ship is checked as we ask others to check."""
    total = Costing(MODEL).costs(Sources().read().rules.rules).total

    assert total.ns < BUDGET_NS / 3
    assert total.bytes < BUDGET_BYTES / 3


def test_the_benchmarks_rules_are_as_many_and_as_different_as_it_says() -> None:
    """200 rules with 300 readings, scores and averages of their own."""
    loaded = rules(rule_workload.rules(200))
    plan, none = Engine(MODEL, loaded).plan, Engine(MODEL, RuleSet()).plan

    assert len(loaded.rules) == 200
    asked = len(plan.features) + len(plan.averages)
    assert asked - len(none.features) - len(none.averages) >= 300
