"""The scenes: what a customer of the simulated shop does within minutes or days.

Promise   A scene is a list of steps (time, fields of an event) in order of time, made from a random
          generator, a person and a beginning; the same three give the same scene.
How       The tempo says how long a click, an hour and a day take: as in life for a history, or in
          seconds for people who watch.
Not here  Which scenes make a life (stories.py), and whose (shop.py). Ids (shop.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeAlias

Step: TypeAlias = tuple[int, dict[str, Any]]
"""When, and the fields of the event except its id and customer."""

CATEGORIES: Final = ("books", "garden", "kitchen", "outdoor", "sports", "toys")
CHANNELS: Final = ("web", "app", "store")
PAYMENTS: Final = ("card", "invoice", "wallet")
PRODUCTS_COUNT: Final = 240
BASKET_MAX: Final = 2  # of who means to buy; three products without an order look abandoned


@dataclass(frozen=True, slots=True)
class Tempo:
    """How long things take."""

    click_ms: int
    hour_ms: int
    day_ms: int


LIVED: Final = Tempo(click_ms=40_000, hour_ms=3_600_000, day_ms=86_400_000)
SHOWN: Final = Tempo(click_ms=900, hour_ms=200, day_ms=350)  # for who watches


@dataclass(frozen=True, slots=True)
class Person:
    """A customer of the shop, as far as it does not change."""

    id: str
    story: str
    usual_amount: float
    category: str
    channel: str
    payment: str


def click(person: Person, action: str, at_ms: int, session: str, product: int) -> Step:
    """Something done on the pages of the shop."""
    fields: dict[str, Any] = {
        "type": "click",
        "action": action,
        "session_id": session,
        "channel": person.channel,
        "category": person.category,
    }
    if action == "search":
        fields["page"] = "/search"
    else:
        fields["product_id"] = f"p-{product:03d}"
        fields["page"] = f"/products/p-{product:03d}"
    return at_ms, fields


def order(person: Person, action: str, at_ms: int, order_id: str, amount: float) -> Step:
    """A change of an order."""
    return at_ms, {
        "type": "order",
        "action": action,
        "order_id": order_id,
        "amount": round(amount, 2),
        "currency": "EUR",
        "category": person.category,
        "channel": person.channel,
        "payment_method": person.payment,
    }


def service(action: str, at_ms: int, ticket_id: str, **fields: float | str) -> Step:
    """A contact with the people of the service."""
    return at_ms, {"type": "service", "action": action, "ticket_id": ticket_id, **fields}


def identify(person: Person, at_ms: int) -> Step:
    """The first event of a life."""
    return at_ms, {
        "type": "customer",
        "action": "identify",
        "channel": person.channel,
        "attributes": {"name": person.id, "likes": person.category},
    }


def visit(rng: Random, person: Person, at_ms: int, tempo: Tempo, clicks: int) -> list[Step]:
    """Somebody looks around."""
    session = f"s-{person.id}-{at_ms:x}"
    steps = []
    for number in range(clicks):
        action = "search" if number == 0 and rng.random() < 0.5 else "view"  # noqa: PLR2004  half of them
        steps.append(click(person, action, at_ms, session, rng.randrange(PRODUCTS_COUNT)))
        at_ms += round(tempo.click_ms * rng.uniform(0.4, 1.6))
    return steps


def basket(
    rng: Random, person: Person, at_ms: int, tempo: Tempo, products: int, removed: int = 0
) -> list[Step]:
    """A visit after which so many products are in the basket, some of them taken out again."""
    steps = visit(rng, person, at_ms, tempo, rng.randint(1, 2))
    session = steps[0][1]["session_id"]
    actions = ["add_to_cart"] * products + ["remove_from_cart"] * removed
    for action in actions:
        at_ms = steps[-1][0] + round(tempo.click_ms * rng.uniform(0.4, 1.6))
        steps.append(click(person, action, at_ms, session, rng.randrange(PRODUCTS_COUNT)))
    return steps


def purchase(
    rng: Random, person: Person, at_ms: int, tempo: Tempo, times: float = 1.0
) -> list[Step]:
    """An order of about so many times the usual amount, and its way to the customer."""
    steps = basket(rng, person, at_ms, tempo, rng.randint(1, BASKET_MAX))
    session = steps[0][1]["session_id"]
    at_ms = steps[-1][0] + tempo.click_ms
    steps.append(click(person, "checkout", at_ms, session, 0))
    steps += _ordered(rng, person, at_ms + tempo.click_ms, tempo, times)
    shipped_ms = steps[-1][0] + round(tempo.day_ms * rng.uniform(0.5, 1.5))
    steps.append(_again(person, steps[-1], "shipped", shipped_ms))
    delivered_ms = shipped_ms + round(tempo.day_ms * rng.uniform(1.0, 2.5))
    steps.append(_again(person, steps[-1], "delivered", delivered_ms))
    return steps


def _ordered(rng: Random, person: Person, at_ms: int, tempo: Tempo, times: float) -> list[Step]:
    amount = person.usual_amount * times * rng.uniform(0.75, 1.3)
    placed = order(person, "placed", at_ms, f"o-{person.id}-{at_ms:x}", amount)
    placed[1]["items_count"] = max(1, round(2 * times))
    return [placed, _again(person, placed, "paid", at_ms + tempo.click_ms)]


def _again(person: Person, step: Step, action: str, at_ms: int) -> Step:
    """A later change of the same order."""
    return order(person, action, at_ms, step[1]["order_id"], step[1]["amount"])


def late_delivery(rng: Random, person: Person, at_ms: int, tempo: Tempo) -> list[Step]:
    """An order that comes much too late, and what the customer says about it.

    Nobody mends it: the customer is passed around, cancels what else was ordered, sends back what has
    come, and says what there is to say.
    """
    steps = _ordered(rng, person, at_ms, tempo, 1.0)
    other = _ordered(rng, person, steps[-1][0] + tempo.hour_ms, tempo, 0.5)
    steps += other
    ticket = f"t-{person.id}-{at_ms:x}"
    bad = rng.uniform(-1.0, -0.8)
    at_ms = steps[-1][0] + 9 * tempo.day_ms
    steps.append(service("ticket_opened", at_ms, ticket, priority="high", sentiment=bad / 2))
    steps.append(service("transferred", at_ms + tempo.hour_ms, ticket))
    steps.append(service("complaint", at_ms + tempo.day_ms, ticket, channel="mail", sentiment=bad))
    at_ms += 2 * tempo.day_ms
    steps.append(_again(person, steps[0], "delivered", at_ms))  # late
    steps.append(_again(person, other[0], "cancelled", at_ms + tempo.hour_ms))
    steps.append(service("reopened", at_ms + 2 * tempo.hour_ms, ticket, sentiment=bad))
    steps.append(service("complaint", at_ms + 3 * tempo.hour_ms, ticket, sentiment=bad))
    steps.append(_again(person, steps[0], "returned", at_ms + 4 * tempo.hour_ms))
    steps.append(service("csat", at_ms + 5 * tempo.hour_ms, ticket, score=1, sentiment=bad))
    steps.append(service("nps", at_ms + 6 * tempo.hour_ms, ticket, score=rng.randint(0, 1)))
    return steps


def good_service(rng: Random, person: Person, at_ms: int, tempo: Tempo) -> list[Step]:
    """A question that is answered well."""
    ticket = f"t-{person.id}-{at_ms:x}"
    answered_ms = at_ms + round(tempo.hour_ms * rng.uniform(0.2, 5))
    return [
        service("ticket_opened", at_ms, ticket, priority="normal", sentiment=0.1),
        service("first_response", answered_ms, ticket),
        service("resolved", answered_ms + tempo.hour_ms, ticket, sentiment=0.4),
        service("csat", answered_ms + 2 * tempo.hour_ms, ticket, score=rng.randint(4, 5)),
    ]


def sent_back(person: Person, delivered: Step, tempo: Tempo, days: float) -> list[Step]:
    """What was delivered comes back so many days later, and is refunded."""
    returned_ms = delivered[0] + round(days * tempo.day_ms)
    returned = _again(person, delivered, "returned", returned_ms)
    return [returned, _again(person, delivered, "refunded", returned_ms + tempo.day_ms)]


def card_test(rng: Random, person: Person, at_ms: int, tempo: Tempo) -> Iterator[Step]:
    """Somebody tries stolen cards with small payments, one after the other."""
    for number in range(rng.randint(8, 14)):
        order_id = f"o-{person.id}-{at_ms:x}-{number}"
        paid = order(person, "paid", at_ms, order_id, rng.uniform(0.5, 4.5))
        paid[1].update({"device": "headless", "ip": "203.0.113.77", "terminal": f"web-{number}"})
        yield paid
        at_ms += round(tempo.click_ms * rng.uniform(0.3, 0.9))


def bulk_order(rng: Random, person: Person, at_ms: int, tempo: Tempo) -> list[Step]:
    """Far more than this customer ever ordered."""
    return _ordered(rng, person, at_ms, tempo, rng.uniform(5, 12))
