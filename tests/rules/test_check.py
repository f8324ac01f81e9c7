"""Checking: what does not make sense is told at its place, with the nearest right thing."""

import pytest

from rules.check import Checker
from rules.operation import LISTED_MAX, PATTERN_CHARS_MAX
from rules.parse import parse
from tests.rules.expressions import SCORES


def mistakes(text: str, *, fields: bool = False) -> list[tuple[str, str, str]]:
    """What is said about the text: the piece at fault, what is wrong, what to do."""
    checker = Checker(SCORES, fields=fields)
    checked = checker.condition(parse(text))
    assert (checked is None) == bool(checker.mistakes)
    return [
        (text[each.span.start : each.span.end], each.message, each.mend)
        for each in checker.mistakes
    ]


MISTAKES = [
    ("helth < 40", "helth", "`helth` is not known", "did you mean `health`?"),
    ("health.band < 5", "5", "`health.band` is a text", 'such as "red", or use the number `health`'),
    ("health.band = 3", "3", "cannot be compared with a number", '"red"'),
    ('health.band = "read"', '"read"', "is never", 'did you mean "red"?'),
    ('health.band < "red"', 'health.band < "red"', "no order", "use `=` or `in`"),
    ('health = "red"', '"red"', "a number cannot be compared with a text", "without quotes"),
    ('"red" = health.band', '"red"', "right of a comparison", "the field first"),
    ("health.band = health.band", "health.band = health.band", "two texts", ""),
    ("health = red", "red", "`red` is not known", 'as in health.band = "red"'),
    ("channel != app", "app", "`app` is not known", 'quotes, as in channel = "app"'),
    ("health.band in (red, amber)", "red", "`red` is not known", 'band in ("red", "amber")'),
    ("channel in ('web', app)", "app", "`app` is not known", 'in channel in ("app")'),
    ("health = helth", "helth", "`helth` is not known", "did you mean `health`?"),
    ("health", "health", "a condition is needed", "health < 40"),
    ("health < 40 and 5", "5", "a condition is needed", ""),
    ("not 5", "5", "a condition is needed", ""),
    ("since(order.placed) > 30", "30", "together with a duration", "30d"),
    ("health < 3d", "health", "together with a duration", "/ 1d"),
    ("distinct(order.paid.terminal) > 267", "267", "more than about 266", "266 or less"),
    ("1000 < distinct(order.paid.terminal, 1d)", "1000", "more than about 266", "266 or less"),
    ("least(health, 3d) > 1d", "health", "together with a duration", ""),
    ("30d * 2d > 1d", "30d * 2d", "two durations", ""),
    ("5 / 2d > 1", "5 / 2d", "divided by a duration", ""),
    ("(health < 3) < 4", "health < 3", "a number is needed", ""),
    ("-health.band < 4", "health.band", "a number is needed", ""),
    ("amount < 5", "amount", "is a field of an event", 'add `on = "order.placed"`'),
    ("order.placed > 3", "order.placed", "names events", "count(order.placed, 30d)"),
    ("coun(order.placed) > 1", "coun", "no function `coun`", "did you mean `count`?"),
    ("count(ordr.placed) > 1", "ordr.placed", "`ordr` is no kind", "did you mean `order`?"),
    ("count(order.place) > 1", "order.place", "not known", "did you mean `order.placed`?"),
    ("count(order.zzz) > 1", "order.zzz", "not known", 'quote it: order."zzz"'),
    ("count(order) > 1", "order", "needs an action", "order.placed"),
    ("count(order.placed.amount) > 1", "order.placed.amount", "too many parts", ""),
    ('count(order."") > 1', 'order.""', "1 to 64 characters", ""),
    ("count(order.placed, 10) > 1", "10", "does not take this", "needs a unit"),
    ("count(order.placed, 10s) > 1", "10s", "between 1m and 366d", ""),
    ("count(order.placed, 400d) > 1", "400d", "between 1m and 366d", ""),
    ("count(order.placed, 1d, 2d) > 1", "2d", "only once", ""),
    ("count(order.placed, order.paid) > 1", "order.paid", "only once", ""),
    ("count(1d) > 1", "count(1d)", "needs events", "count(order.placed, 30d)"),
    ("count() > 1", "count()", "needs events", ""),
    ("count(order.placed, 1d, half_life 2d) > 1", "half_life 2d", "not both", ""),
    ("count(order.placed, half_life 0d) > 1", "half_life 0d", "longer than nothing", ""),
    ("count(order.placed, 1d, exact 0) > 1", "exact 0", "from 1 to 4096", ""),
    ("count(order.placed, 1d, exact 1.5) > 1", "exact 1.5", "from 1 to 4096", ""),
    ("count(order.placed, 1d, exact 9999) > 1", "exact 9999", "from 1 to 4096", ""),
    ("count(order.placed, exact 9) > 1", "exact 9", "in a window", ""),
    ("rate(order.placed) > 1", "rate(order.placed)", "takes a window", ""),
    ("zscore(order.placed.amount, 30d) > 1", "30d", "takes no window", ""),
    ("since(order.placed, half_life 3d) > 1d", "half_life 3d", "no half-life", ""),
    ("sum(order.placed, 30d) > 1", "order.placed", "number field needed", "amount"),
    ("sum(order.placed.amout, 30d) > 1", "order.placed.amout", "no number field", "`amount`"),
    ("sum(order.placed.channel, 30d) > 1", "order.placed.channel", "no number field", ""),
    ("distinct(order.placed.amount, 30d) > 1", "order.placed.amount", "no text field", ""),
    ("distinct(order.placed.action, 30d) > 1", "order.placed.action", "no text field", ""),
    ("count(order.placed where health < 5) > 1", "health", "sees only the event itself", ""),
    ("count(order.placed where count(click.*) > 1) > 1", "count(click.*)", "sees only", ""),
    ("count(order.placed where amout < 5) > 1", "amout", "is no field", "`amount`"),
    ("count(order.placed where amount) > 1", "amount", "a condition is needed", ""),
    ("approximate(health)", "approximate(health)", "one function over a window", ""),
    ("approximate(count(order.placed))", "count(order.placed)", "ever approximate", ""),
    ("trend(health) < 1", "trend(health)", "a score and a half-life", "trend(health, 7d)"),
    ("trend(health.band, 7d) < 1", "trend(health.band, 7d)", "that is a number", ""),
    ("trend(helth, 7d) < 1", "helth", "not known", "`health`"),
    ("abs(health, 3) < 1", "abs(health, 3)", "takes 1 values, not 2", ""),
    ("abs(before) < 1", "abs(before)", "plain values", ""),
    ("has(5)", "has(5)", "always there", ""),
    ("has(consent.phone)", "has(consent.phone)", "always there", ""),
    ("attribute.vip = true", "true", "no word `true`", "is 1"),
    ("attribute.seats", "attribute.seats", "a condition is needed", ""),
    ("attribute = 5", "attribute", "needs a name", "attribute.tier"),
    ("consent", "consent", "needs a name", "consent.phone"),
    ("attribute.a.b = 5", "attribute.a.b", "needs a name", ""),
    ('attribute."a b" = 5', 'attribute."a b"', "needs a name", ""),
    ("attribute._x = 5", "attribute._x", "needs a name", ""),
    (f"attribute.{'x' * 65} = 5", f"attribute.{'x' * 65}", "up to 64 letters", ""),
    ("atribute.tier = 'gold'", "atribute.tier", "not known", "did you mean `attribute.tier`?"),
    ("cosent.phone", "cosent.phone", "not known", "did you mean `consent.phone`?"),
    ("attribute.tier < 'gold'", "attribute.tier < 'gold'", "which one it is", "`=` or `in`"),
    ("attribute.tier matches 'g'", "attribute.tier matches 'g'", "which one it is", "`=` or `in`"),
    ("attribute.tier in ('gold', 5)", "'gold'", "right of a comparison", ""),
    ("attribute.seats > 3d", "attribute.seats", "together with a duration", ""),
    ("consent.phone = 1", "consent.phone", "a number is needed", ""),
    ("trend(attribute.seats, 7d) < 1", "trend(attribute.seats, 7d)", "a score that is", ""),
    ("count(order.placed where attribute.vip = 1) > 1", "attribute.vip", "only the event itself", ""),
    ("health in (1, health)", "health", "literals only", ""),
    ('health.band in ("red", 5)', '"red"', "right of a comparison", ""),
    ("health.band in (1, 2)", "1", "is a text", ""),
    ("health in (1, 2d)", "health", "together with a duration", ""),
    ('health.band matches "(red"', '"(red"', "no pattern that RE2 takes", "look-arounds"),
    (r'health.band matches "(?=red)"', r'"(?=red)"', "no pattern that RE2 takes", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "piece", "said", "mend"), MISTAKES)
def test_a_mistake_is_told_with_its_piece_and_its_mend(
    text: str, piece: str, said: str, mend: str
) -> None:
    """Types are checked when rules are loaded, so that no rule fails at three in the morning."""
    found = mistakes(text)

    assert len(found) == 1, found
    assert found[0][0] == piece
    assert said in found[0][1]
    assert mend in found[0][2]


def test_all_mistakes_of_a_condition_are_told_at_once() -> None:
    """Mending one to be told the next is how people lose patience."""
    found = mistakes("helth < 40 and count(ordr.placed where amout < 5) > 1 or trend(x, 5) > 1")

    assert {piece for piece, _, _ in found} == {"helth", "amout", "ordr.placed", "trend(x, 5)"}


def test_fields_may_be_used_at_one_event() -> None:
    """A rule with `on` is about one event, whose fields are at hand."""
    assert not mistakes("amount > 100 and channel != 'store' and has(campaign)", fields=True)


def test_lists_and_patterns_have_a_bound() -> None:
    """Whatever grows with what a user writes is bounded."""
    numbers = ", ".join(["1"] * (LISTED_MAX + 1))
    texts = ", ".join(['"red"'] * (LISTED_MAX + 1))

    assert "at most 256 items" in mistakes(f"health in ({numbers})")[0][1]
    assert "at most 256 items" in mistakes(f"health.band in ({texts})")[0][1]
    assert "at most 512" in mistakes(f'health.band matches "{"a" * (PATTERN_CHARS_MAX + 1)}"')[0][1]
