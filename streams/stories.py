"""The stories: how the customers of the simulated shop have lived, over 90 days.

Promise   A life is made from a random generator, a person and the end of the history; the same three
          give the same life. Each story leads to its rule of the starter packs, and a loyal customer
          to none (tests/streams/test_stories.py).
How       A life is a list of scenes at times that fit its story.
Limits    HISTORY_DAYS. What a scene would do after the end of the history is left out by shop.py.
Not here  Scenes (scenes.py). Which customers there are, and what they do from now on (shop.py).

    loyal      comes every few days, orders twice a month, is content
    cooling    was loyal; comes ever more rarely, and then not at all
    angry      was loyal, until a delivery came much too late
    abandoner  fills baskets and orders seldom
    tester     tries stolen cards with many small payments
    bulk       orders as usual, and once far more
    returner   sends back more than half of what was delivered
    newcomer   has been here for less than three weeks
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Final, TypeAlias

from streams.scenes import (
    LIVED,
    Person,
    Step,
    basket,
    bulk_order,
    card_test,
    good_service,
    identify,
    late_delivery,
    purchase,
    sent_back,
    visit,
)

HISTORY_DAYS: Final = 90
DAY_MS: Final = LIVED.day_ms
HOUR_MS: Final = LIVED.hour_ms
ORDER_DAYS: Final = (10.0, 14.5)  # between a loyal customer's orders: six or more in 90 days
VISIT_DAYS: Final = (5.0, 10.0)
CHEAPER: Final = 0.5  # every so often an order is small
QUESTION_SHARE: Final = 0.15  # of loyal customers had a question in these 90 days

Life: TypeAlias = Callable[[Random, Person, int], list[Step]]


def _spread(rng: Random, from_ms: float, until_ms: float, days: tuple[float, float]) -> list[int]:
    """Times at such distances, by day."""
    times: list[int] = []
    at_ms = from_ms + rng.uniform(0, days[0]) * DAY_MS
    while at_ms < until_ms:
        times.append(round(at_ms))
        at_ms += rng.uniform(*days) * DAY_MS
    return times


def _steady(rng: Random, person: Person, from_ms: int, until_ms: int) -> list[Step]:
    """Visits and orders as a loyal customer makes them."""
    steps = identify_at(person, from_ms)
    for at_ms in _spread(rng, from_ms, until_ms, VISIT_DAYS):
        steps += visit(rng, person, at_ms, LIVED, rng.randint(2, 4))
    for at_ms in _spread(rng, from_ms, until_ms, ORDER_DAYS):
        steps += purchase(rng, person, at_ms, LIVED)
    return steps


def identify_at(person: Person, at_ms: int) -> list[Step]:
    """A life begins with an account."""
    return [identify(person, at_ms)]


def _ago(end_ms: int, days: float) -> int:
    return end_ms - round(days * DAY_MS)


def loyal(rng: Random, person: Person, end_ms: int) -> list[Step]:
    steps = _steady(rng, person, _ago(end_ms, HISTORY_DAYS), end_ms)
    if rng.random() < QUESTION_SHARE:
        at_ms = _ago(end_ms, rng.uniform(3, 80))
        steps += good_service(rng, person, at_ms, LIVED)
    return steps


def cooling(rng: Random, person: Person, end_ms: int) -> list[Step]:
    """Loyal at first; then every gap is longer than the one before, and nothing is ordered."""
    turn_ms = _ago(end_ms, rng.uniform(45, 50))
    steps = _steady(rng, person, _ago(end_ms, HISTORY_DAYS), turn_ms)
    gap_days, at_ms = 3.0, turn_ms
    while at_ms < end_ms:
        steps += visit(rng, person, at_ms, LIVED, 1)
        at_ms += round(gap_days * DAY_MS)
        gap_days *= rng.uniform(1.75, 1.9)
    return steps


def angry(rng: Random, person: Person, end_ms: int) -> list[Step]:
    """Loyal until the late delivery, then gone."""
    turn_ms = _ago(end_ms, rng.uniform(14, 45))
    steps = _steady(rng, person, _ago(end_ms, HISTORY_DAYS), turn_ms)
    return steps + late_delivery(rng, person, turn_ms, LIVED)


def abandoner(rng: Random, person: Person, end_ms: int) -> list[Step]:
    begin_ms = _ago(end_ms, HISTORY_DAYS)
    steps = identify_at(person, begin_ms)
    for at_ms in _spread(rng, begin_ms, end_ms, (6.0, 11.0)):
        removed = 2 if rng.random() < 0.2 else 0  # noqa: PLR2004  one in five
        steps += basket(rng, person, at_ms, LIVED, rng.randint(3, 5), removed)
    for at_ms in _spread(rng, begin_ms, end_ms, (30.0, 60.0)):
        steps += purchase(rng, person, at_ms, LIVED, CHEAPER)
    return steps


def tester(rng: Random, person: Person, end_ms: int) -> list[Step]:
    """An account that is a few days old, and was opened for one thing."""
    at_ms = _ago(end_ms, rng.uniform(1, 80))
    steps = identify_at(person, at_ms)
    for hours in (1, 26):
        steps += card_test(rng, person, at_ms + hours * HOUR_MS, LIVED)
    return steps


def bulk(rng: Random, person: Person, end_ms: int) -> list[Step]:
    steps = _steady(rng, person, _ago(end_ms, HISTORY_DAYS), end_ms)
    at_ms = _ago(end_ms, rng.uniform(0.5, 5))
    return steps + bulk_order(rng, person, at_ms, LIVED)


def returner(rng: Random, person: Person, end_ms: int) -> list[Step]:
    begin_ms = _ago(end_ms, HISTORY_DAYS)
    steps = identify_at(person, begin_ms)
    for at_ms in _spread(rng, begin_ms, end_ms, VISIT_DAYS):
        steps += visit(rng, person, at_ms, LIVED, rng.randint(2, 5))
    for number, at_ms in enumerate(_spread(rng, begin_ms, end_ms, ORDER_DAYS)):
        bought = purchase(rng, person, at_ms, LIVED)
        steps += bought
        if number % 4 != 3:  # noqa: PLR2004  three of four come back
            steps += sent_back(person, bought[-1], LIVED, rng.uniform(1, 4))
    return steps


def newcomer(rng: Random, person: Person, end_ms: int) -> list[Step]:
    begin_ms = _ago(end_ms, rng.uniform(1, 20))
    steps = identify_at(person, begin_ms)
    for at_ms in _spread(rng, begin_ms, end_ms, (2.0, 5.0)):
        steps += visit(rng, person, at_ms, LIVED, rng.randint(2, 6))
    for at_ms in _spread(rng, begin_ms, end_ms, (6.0, 15.0)):
        steps += purchase(rng, person, at_ms, LIVED, CHEAPER)
    return steps


LIVES: Final[Mapping[str, Life]] = {
    "loyal": loyal,
    "cooling": cooling,
    "angry": angry,
    "abandoner": abandoner,
    "tester": tester,
    "bulk": bulk,
    "returner": returner,
    "newcomer": newcomer,
}
