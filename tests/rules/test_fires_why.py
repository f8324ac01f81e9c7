"""Actions say why their rule fired."""

from rules.action import Because
from tests.rules.bench import THEN, Bench, Judged, healths


def test_an_action_names_the_clauses_that_made_its_rule_fire() -> None:
    """Whoever gets it sees the reason without asking back."""
    bench = Bench(f"[rule.low]\nwhen = \"health < 40 or health.band = 'red'\"\n{THEN}")

    (first,) = bench.act(healths(50.0, 31.5))
    (other,) = Bench(bench.text).act([Judged(0, 50.0, band="red")])

    assert first.why == (Because("health < 40", 31.5),)
    assert other.why == (Because('health.band = "red"', "red"),)


def test_what_the_event_itself_had_to_be_is_among_them() -> None:
    """`where` is part of the rule's condition."""
    bench = Bench(f"[rule.small]\non = \"order.paid where amount < 5 and channel = 'web'\"\n{THEN}")

    (action,) = bench.act([Judged(0, action="order.paid", amount=3.0)])

    assert action.why == (Because("amount < 5", 3.0), Because('channel = "web"', "web"))
