"""The workload of the engine's benchmarks: seeded events of a shop, and fifty rules over them.

Workload  60 % clicks, 25 % orders, 12 % service, 3 % customer events of 5,000 customers, about 230 bytes
          each, in time order, one event in a thousand a duplicate; customers are chosen by a skewed law
          (a tenth of them does half of everything).
Rules     Fifty of the kinds that the packs use: windows from ten minutes to a year, decayed counts, sums,
          means, extremes, distinct counts, z-scores, health, trend, anomalies, comparisons of texts.
Caveats   Synthetic: real shops have longer tails and more texts.
"""

import random
from collections.abc import Sequence
from typing import Final

import orjson

from processors.batch import Origin, Records

SEED: Final = 7
START_MS: Final = 1_700_000_000_000
CUSTOMERS: Final = 5_000

_CLICKS: Final = ("view", "view", "view", "search", "add_to_cart", "remove_from_cart", "checkout")
_ORDERS: Final = ("placed", "paid", "shipped", "delivered", "returned", "refunded")
_SERVICE: Final = ("ticket_opened", "first_response", "resolved", "complaint", "csat", "nps")
_CATEGORIES: Final = ("shoes", "books", "toys", "garden", "music")
_CHANNELS: Final = ("web", "app", "store", "phone")


def _event(rng: random.Random, number: int, customers: int) -> dict[str, object]:
    share = rng.random()
    customer = int(customers * rng.random() ** 2.2)
    event: dict[str, object] = {
        "id": f"evt-{number:012d}",
        "customer_id": f"customer-{customer:07d}",
        "at_ms": START_MS + number * 40 + rng.randrange(40),
        "channel": rng.choice(_CHANNELS),
    }
    if share < 0.60:
        event |= {"type": "click", "action": rng.choice(_CLICKS), "session_id": f"s{number // 9}"}
        event |= {"page": f"/p/{rng.randrange(400)}", "category": rng.choice(_CATEGORIES)}
    elif share < 0.85:
        event |= {"type": "order", "action": rng.choice(_ORDERS), "order_id": f"o{number}"}
        event |= {"amount": round(rng.lognormvariate(3.5, 0.8), 2), "currency": "EUR"}
        event |= {"items_count": rng.randrange(1, 9), "terminal": f"t{rng.randrange(200)}"}
        event |= {"category": rng.choice(_CATEGORIES)}
    elif share < 0.97:
        action = rng.choice(_SERVICE)
        event |= {"type": "service", "action": action, "ticket_id": f"k{number}"}
        event |= {"priority": rng.choice(("low", "normal", "high"))}
        event |= {"sentiment": round(rng.uniform(-1, 1), 2)}
        if action in {"csat", "nps"}:
            event |= {"score": rng.randrange(1, 6)}
    else:
        event |= {"type": "customer", "action": "identify"}
    return event


def values(count: int, seed: int = SEED, customers: int = CUSTOMERS) -> list[bytes]:
    """So many records, the same for the same seed."""
    rng = random.Random(seed)
    made: list[bytes] = []
    for number in range(count):
        again = number > 100 and rng.random() < 0.001
        made.append(
            made[number - rng.randrange(1, 100)]
            if again
            else orjson.dumps(_event(rng, number, customers))
        )
    return made


def _origin(index: int) -> Origin:
    return Origin("benchmark", 0, str(index), None, (), START_MS)


def batches(made: Sequence[bytes], size: int) -> list[Records]:
    """The records cut into batches."""
    return [
        Records(
            list(made[start : start + size]), [2**52] * len(made[start : start + size]), _origin
        )
        for start in range(0, len(made), size)
    ]


_TEMPLATES: Final = (
    "health < {n} and trend(health, 7d) <= -10 and count(order.placed, 365d) >= 3",
    "count(click.add_to_cart, {d}d) >= {n} and count(order.placed, {d}d) = 0",
    "sum(order.paid.amount, {d}d) > 25 * mean(order.paid.amount, half_life 60d) + {n}",
    "count(service.complaint, {d}d) >= 2 and health.band in ('red', 'amber')",
    "count(order.paid where amount < 5, {n}m) >= 5",
    "distinct(order.paid.terminal, {d}d) >= {n}",
    "zscore(order.placed.amount) > 4 and orders_count >= 5 and {n} < 1000",
    "since(order.placed) > {d}d and orders_amount > {n} and health.confidence > 50%",
    "count(order.returned, {d}d) > 40% * count(order.placed, {d}d) and orders_count > {n}",
    "max(order.paid.amount, {d}d) > {n} * 10 and last(service.csat.score) <= 2",
)


def rules(count: int = 50) -> bytes:
    """A rule file of so many rules; numbers vary, so that not everything is shared."""
    tables = []
    for number in range(count):
        template = _TEMPLATES[number % len(_TEMPLATES)]
        when = template.format(n=20 + number, d=(1, 7, 30, 90, 365)[number // 10 % 5])
        tables.append(
            f"[rule.rule-{number}]\nversion = 1\nwhen = {when!r}\ncooldown = '7d'\n"
            f'then = [{{ log = "bench" }}]\n'.replace(repr(when), f'"""{when}"""')
        )
    return "\n".join(tables).encode()
