"""Seeds: good texts for each target, from which the search starts, and the words of the language."""

from collections.abc import Mapping
from typing import Final

from rules.vocabulary import ACTIONS, FIELDS, FUNCTIONS

WORDS: Final = (
    *("and", "or", "not", "in", "where", "within", "no", "exact", "half_life", "before"),
    *("starts_with", "matches", "(", ")", ",", ".", "*", "+", "-", "/", "<", "<=", "=", "!=", ">"),
    *("30d", "1.5h", "500ms", "10%", "1e308", "5", '"web"', "'web'", '"', "'", "{", "}", "{{"),
    *(":.0f", ":+,.2%", "\n", "\\", "§", "\x00", "\ud7ff", "'''", "#", "=", "[", "]"),
    *(
        "attribute.tier",
        "consent.phone",
        "health",
        "health.band",
        '"red"',
        *ACTIONS,
        *FIELDS,
        *FUNCTIONS,
    ),
)
CONDITIONS: Final = (
    "health < 40 and trend(health, 7d) <= -10 and count(order.placed, 365d) >= 3",
    'health.band in ("red", "amber") and not health.confidence < 50%',
    "count(order.paid where amount < 5 and channel = 'web', 10m, exact 256) >= 5",
    'count(click."page viewed" where page matches "^/pricing", 1d) > 2',
    "greatest(anomaly.amount, 0) * 2 - 1 > abs(trend(anomaly.amount, 1d)) / 3",
    "since(order.placed) / 1d > 60 or not has(amount)",
    "approximate(count(click.*, 30d)) and mean(service.csat.score, half_life 60d) < 3",
    "attribute.tier in ('gold', \"vip\") and attribute.seats > 5 and has(attribute.x) or consent.phone",
    "max(order.placed.amount, before) < 100 and distinct(order.paid.terminal, 1d) >= 4",
)
RULE: Final = """
[rule.churn]
version  = 3
stage    = "canary 10%"
describe = "Call them"
when     = "health < 40"
for      = "10m"
unless   = "orders_count > 3"
consent  = "phone"
holdout  = "10%"
quiet    = { from = "21:00", to = "09:00", zone = "customer", then = "wait" }
cap      = { per_customer = "3 per 30d", channel = "phone" }
cooldown = "14d"
reason   = "Health fell to {health:.0f}"
then     = [{ webhook = "crm", type = "churn.risk" }, { alert = "ops", severity = "page" }]
"""
SEQUENCE: Final = '''
[rule."cart"]
sequence = [
  "click.add_to_cart",  # a comment
  """no order.placed \\
     within 30m""",
]
key      = 'session_id'
then     = [{ topic = "nurture" }]
'''
SEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "condition": CONDITIONS,
    "selector": ("order.paid", "order.* where amount > 5 and channel != 'x'", 'click."a b"'),
    "step": (
        "click.add_to_cart",
        "order.paid where amount > 100 within 1h",
        "no service.first_response where priority = 'high' or has(score) within 1.5h",
    ),
    "reason": ("Health fell to {health:.0f}, {sum(order.placed.amount):,.2f} {{x}} {channel}",),
    "keys": (
        "10m\n3 per 30d\n10%\ncanary 5%\n14d\nphone\nmarketing\nhealth > 90",
        "1h\n1 per 1m\n0%\nshadow\n0s\nemail\nrisk\nhas(anomaly.amount)",
    ),
    "file": (RULE, SEQUENCE),
}
