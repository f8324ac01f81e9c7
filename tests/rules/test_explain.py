"""Explaining: rules as plain sentences."""

import pytest
from hypothesis import given

from rules.check import Checker
from rules.explain import phrase, sentence
from rules.expression import Expression
from rules.parse import parse
from rules.spell import spell
from tests.rules.expressions import CONDITIONS, SCORES
from tests.rules.loading import loaded, rule


def test_a_rule_is_told_whole() -> None:
    """`rapport rules list` is read by people who did not write the rule."""
    (only,) = loaded("""
[rule.churn]
version = 3
describe = "Call good customers."
when = "health < 40 and count(order.placed, 365d) >= 3"
cooldown = "14d"
then = [{ webhook = "crm", type = "churn.risk" }, { alert = "ops" }, { topic = "t" }, { log = "l" }]
""").rules

    assert sentence(only) == (
        "churn (version 3): Call good customers. As soon as health is below 40 and the number of"
        " order.placed in the last 365 days is at least 3: send churn.risk to the webhook crm and"
        " raise the alert churn (warning) with ops and write churn to the topic t and log churn as"
        " l, at most once in 14 days for each customer."
    )


def test_a_rule_about_one_event_says_so() -> None:
    """With `on`, each such event counts; the sentence must not promise less."""
    (only,) = loaded("""
[rule.paid]
on = "order.paid where amount < 5"
when = "count(order.*, 10m) >= 5"
then = [{ log = "l" }]
""").rules

    assert sentence(only) == (
        "paid (version 1): At each order.paid where amount is below 5 when the number of order"
        " events in the last 10 minutes is at least 5: log paid as l."
    )


MOMENTS = [
    (
        'when = "health < 40"\nfor = "10m"',
        "a (version 1): As soon as it has held for 10 minutes that health is below 40: log a as x.",
    ),
    (
        'when = "health < 40 or health > 90"\nunless = "orders_count = 0"',
        (
            "a (version 1): As soon as (health is below 40 or health is above 90) and it is not so that"
            " orders_count is 0: log a as x."
        ),
    ),
    (
        'on = "order.paid"\nunless = "amount < 5"',
        "a (version 1): At each order.paid unless amount is below 5: log a as x.",
    ),
    (
        'sequence = ["order.*", "click.view within 1h", "no order.paid within 2d"]',
        (
            "a (version 1): After order event, then click.view within 1 hour, then no order.paid within"
            " 2 days: log a as x."
        ),
    ),
    (
        (
            'sequence = ["order.placed", "order.paid"]\nkey = "order_id"\n'
            'when = "health < 4"\nunless = "orders_count > 9"'
        ),
        (
            "a (version 1): After order.placed, then order.paid, each order_id by itself, when health is"
            " below 4, unless orders_count is above 9: log a as x."
        ),
    ),
]


@pytest.mark.parametrize(("lines", "expected"), MOMENTS)
def test_the_moment_at_which_a_rule_fires_is_told(lines: str, expected: str) -> None:
    """A sentence without its `unless` would be about another rule."""
    assert sentence(rule(lines)) == expected


def test_what_holds_a_rule_back_is_told_in_the_order_of_precedence() -> None:
    """Who asks why nobody was called must find the reason in the order in which it is asked."""
    lines = """
when     = "health < 40"
cooldown = "14d"
cap      = { per_customer = "3 per 30d", channel = "phone" }
quiet    = { from = "21:00", to = "09:05", zone = "customer" }
consent  = "phone"
holdout  = "12.5%"
"""

    assert sentence(rule(lines)) == (
        "a (version 1, for marketing): As soon as health is below 40: log a as x. Held back, in this"
        " order: for 12.5% of the customers, to see what acting is worth; without the customer's"
        " consent for phone; from 21:00 to 09:05 in the customer's time zone, waiting until they end;"
        " more than 3 times in 30 days for a customer, counting all rules with a cap on phone; within"
        " 14 days of the last time for a customer."
    )


@pytest.mark.parametrize(
    ("line", "head", "end"),
    [
        ('cap = "1 per 1d"', "", "more than 1 time in 1 day for a customer, counting this rule."),
        (
            'quiet = { from = "12:00", to = "13:00", zone = "Europe/Rome", then = "drop" }',
            "",
            "from 12:00 to 13:00 Europe/Rome, for good.",
        ),
        ('stage = "draft"', ", a draft that is not judged", "log a as x."),
        ('stage = "shadow"', ", in shadow, where it decides and does not act", "log a as x."),
        ('stage = "canary 2.5%"', ", a canary that acts for 2.5% of the customers", "log a as x."),
        ('purpose = "risk"', ", for risk", "log a as x."),
    ],
)
def test_each_restraint_and_stage_is_told(line: str, head: str, end: str) -> None:
    """`rapport rules list` is where people look whether a rule acts at all."""
    said = sentence(rule(f'when = "health < 4"\n{line}'))

    assert said.startswith(f"a (version 1{head}): ")
    assert said.endswith(end)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("health.band in ('red', 'amber')", 'health.band is "red" or "amber"'),
        ("not has(amount)", "it is not so that there is amount"),
        ("not (health < 1 or health > 2)", "it is not so that (health is below 1 or health is above 2)"),
        ("health in (1, 2)", "health is one of 1 or 2"),
        ("attribute.seats > 5", "the attribute seats is above 5"),
        ("attribute.tier in ('gold', 'silver')", 'the attribute tier is "gold" or "silver"'),
        ("attribute.tier != 'gold'", 'the attribute tier is not "gold"'),
        ("not has(attribute.tier)", "it is not so that the attribute tier is known"),
        ("consent.phone and health < 4", "there is consent for phone and health is below 4"),
        ("health + 1 > -health", "health + 1 is above -(health)"),
        ("trend(health, 7d) < 0", "the trend of health (half-life 7 days) is below 0"),
        ("since(order.placed) > 36h", "the time since the last order.placed is above 36 hours"),
        ("sum(order.placed.amount) > 1", "the sum of amount over order.placed so far is above 1"),
        (
            "max(order.placed.amount, before) < 1",
            "the highest amount of order.placed so far before this event is below 1",
        ),
        (
            "zscore(order.placed.amount) > 4",
            (
                "the deviations by which amount exceeds its usual value over order.placed"
                " (half-life 90 days) is above 4"
            ),
        ),
        (
            "approximate(count(click.*, 1d))",
            "the window over click events holds more than 16 events in the last day",
        ),
    ],
)  # fmt: skip
def test_conditions_read_as_english(text: str, expected: str) -> None:
    """The same thing in other words: whoever reads it notices what is wrong."""
    condition = Checker(SCORES, fields=True).condition(parse(text))
    assert condition is not None

    assert phrase(condition) == expected


@pytest.mark.slow
@given(CONDITIONS)
def test_every_condition_can_be_said(condition: Expression) -> None:
    """An explanation that fails explains nothing."""
    assert phrase(condition)


@pytest.mark.parametrize(
    "text",
    [
        'count(order."pre-ordered", 30d) > 1',
        "count(click.page_viewed) > 1",
        'count(click."page viewed" where page starts_with "/x") > 1',
        "channel = 'say \"hi\"'",
        "health < 90m / 1d",
        'attribute.tier = "gold" or attribute.tier not in ("a", \'"\') and has(attribute.x)',
        "coalesce(attribute.seats, 0) > 5 and not consent.phone",
    ],
)
def test_what_a_user_wrote_plainly_is_spelled_plainly(text: str) -> None:
    """Names of values in actions are what people search for."""
    condition = Checker(SCORES, fields=True).condition(parse(text))
    assert condition is not None

    assert spell(condition) == text
