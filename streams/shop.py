"""The simulated shop of `rapport up --demo`: its customers, what they have done, and what they do now.

Promise   Seed and times are handed in, and give the same events, byte for byte. History and each life
          are sorted by time, and no two events of a shop have the same id. Every event is valid.
How       The cast has a fixed number of people for each story (stories.py). Life goes on with visits at
          a steady pace, most of them by passers-by, and now and then with a scene that leads to an
          action, in its tempo for people who watch.
Limits    PASSERS_BY_MAX people besides the cast, so that a demo of weeks stays small. After some six
          hours each loyal customer has been angry, and churn risk is no news for two weeks.
Not here  Appending, and waiting until something is due: demo.py.
"""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any, Final

import orjson

from streams.scenes import (
    CATEGORIES,
    CHANNELS,
    PAYMENTS,
    SHOWN,
    Person,
    Step,
    basket,
    bulk_order,
    card_test,
    identify,
    late_delivery,
    purchase,
    sent_back,
    visit,
)
from streams.stories import HISTORY_DAYS, LIVES

SEED: Final = 7
CAST: Final = {
    "loyal": 770,
    "cooling": 320,
    "angry": 150,
    "abandoner": 200,
    "tester": 20,
    "bulk": 70,
    "returner": 110,
    "newcomer": 360,
}
PASSERS_BY_MAX: Final = 20_000
EVENTS_A_SECOND: Final = 25.0  # of a life at pace 1
EVENTS_A_VISIT: Final = 4.2  # on average; a purchase now and then included
PURCHASE_SHARE: Final = 0.06  # of visits
KNOWN_SHARE: Final = 0.008  # of visits are by the cast: each of them about twice a day

CONTENT_SHARE: Final = 0.75  # of loyal customers may become angry; the others may order in bulk
BETWEEN_ORDERS_MS: Final = 9_000  # each is placed before the next basket is filled
GONE: Final = ("angry", "cooling", "tester")  # stories of people who do not come any more

assert set(CAST) == set(LIVES), "each story has its people"

# How often each scene begins, and how soon the first time: at pace 1, in ms.
SCENES: Final = {
    "late_delivery": (40_000, 300),
    "abandoned": (40_000, 9_000),
    "card_test": (90_000, 20_000),
    "bulk_order": (90_000, 14_000),
    "sent_back": (120_000, 30_000),
}


def cast(seed: int) -> list[Person]:
    """The known customers, with their stories."""
    rng = Random(f"{seed} cast")  # noqa: S311  a simulation, not a secret
    numbers = count(1)
    return [
        _person(rng, f"c-{next(numbers):04d}", story)
        for story, many in CAST.items()
        for _ in range(many)
    ]


def _person(rng: Random, name: str, story: str) -> Person:
    return Person(
        id=name,
        story=story,
        usual_amount=round(rng.lognormvariate(3.9, 0.5), 2),  # about 50
        category=rng.choice(CATEGORIES),
        channel=rng.choice(CHANNELS[:2]),
        payment=rng.choice(PAYMENTS),
    )


def lived(seed: int, person: Person, end_ms: int) -> list[Step]:
    """The 90 days of one customer, sorted by time."""
    rng = Random(f"{seed} {person.id}")  # noqa: S311  a simulation, not a secret
    steps = LIVES[person.story](rng, person, end_ms)
    return sorted((step for step in steps if step[0] <= end_ms), key=lambda step: step[0])


def history(seed: int, end_ms: int) -> Iterator[bytes]:
    """All events of the cast in the 90 days before `end_ms`, sorted by time; 100,000 to 150,000.

    The ids are `h-` and a number: a shop has one history.
    """
    steps = [
        (at_ms, person.id, fields)
        for person in cast(seed)
        for at_ms, fields in lived(seed, person, end_ms)
    ]
    steps.sort(key=lambda step: step[0])
    for number, (at_ms, customer_id, fields) in enumerate(steps):
        yield event(f"h-{number}", customer_id, at_ms, fields)


def event(event_id: str, customer_id: str, at_ms: int, fields: dict[str, Any]) -> bytes:
    """The event as JSON."""
    return orjson.dumps({"id": event_id, "customer_id": customer_id, "at_ms": at_ms, **fields})


def life(seed: int, from_ms: int, run: int = 1, pace: float = 1.0) -> Iterator[tuple[int, bytes]]:
    """What happens from `from_ms` on, without an end: events with the time at which each is due.

    Args:
        seed: the shop's.
        from_ms: when it begins.
        run: how many times life has begun anew in this shop; part of the ids (`l`, run, number).
        pace: how many times as much as usual goes on.
    """
    now = _Now(seed, run)
    begins: list[tuple[float, int, str]] = []
    for number, (name, (_, first_ms)) in enumerate([*SCENES.items(), ("visit", (0, 0))]):
        heappush(begins, (from_ms + first_ms / pace, number, name))
    waiting: list[tuple[int, int, str, dict[str, Any]]] = []
    ids, order_of_steps = count(), count()
    while True:
        at_ms, number, name = heappop(begins)
        person, steps = now.scene(name, round(at_ms))
        for step_ms, fields in steps:
            heappush(waiting, (step_ms, next(order_of_steps), person.id, fields))
        heappush(begins, (at_ms + now.gap_ms(name) / pace, number, name))
        while waiting and waiting[0][0] < begins[0][0]:
            due_ms, _, customer_id, fields = heappop(waiting)
            yield due_ms, event(f"l{run}-{next(ids)}", customer_id, due_ms, fields)


class _Now:
    """Who comes next, and for what."""

    def __init__(self, seed: int, run: int) -> None:
        self._rng = Random(f"{seed} life {run}")  # noqa: S311  a simulation, not a secret
        self._people = cast(seed)
        self._rng.shuffle(self._people)
        loyal = [each for each in self._people if each.story == "loyal"]
        content = round(len(loyal) * CONTENT_SHARE)
        # Those who are to be angry and those who are to order in bulk are different people.
        self._content = _around(loyal[:content])
        self._steady = _around(loyal[content:])
        self._known = _around([each for each in self._people if each.story not in GONE])
        self._passers_by = _around_numbers(self._rng)

    def gap_ms(self, name: str) -> float:
        """How long until the next scene of this name begins."""
        if name == "visit":
            return self._rng.expovariate(EVENTS_A_SECOND / EVENTS_A_VISIT / 1000)
        return SCENES[name][0] * self._rng.uniform(0.7, 1.3)

    def scene(self, name: str, at_ms: int) -> tuple[Person, list[Step]]:
        """The next scene of this name, and whose it is."""
        rng = self._rng
        if name == "late_delivery":
            person = self._content()
            return person, late_delivery(rng, person, at_ms, SHOWN)
        if name == "bulk_order":
            person = self._steady()
            return person, bulk_order(rng, person, at_ms, SHOWN)
        if name == "visit":
            return self._visit(at_ms)
        person, steps = self._passer_by(at_ms)
        if name == "abandoned":
            steps += basket(rng, person, at_ms, SHOWN, rng.randint(3, 5))
        elif name == "card_test":
            steps += card_test(rng, person, at_ms, SHOWN)
        else:
            for number in range(4):
                bought = purchase(rng, person, at_ms + number * BETWEEN_ORDERS_MS, SHOWN)
                steps += [*bought, *sent_back(person, bought[-1], SHOWN, 5)]
        return person, steps

    def _visit(self, at_ms: int) -> tuple[Person, list[Step]]:
        rng = self._rng
        if rng.random() < KNOWN_SHARE:
            person = self._known()
            return person, visit(rng, person, at_ms, SHOWN, rng.randint(2, 4))
        person, steps = self._passer_by(at_ms)
        if rng.random() < PURCHASE_SHARE:
            return person, steps + purchase(rng, person, at_ms, SHOWN)
        return person, steps + visit(rng, person, at_ms, SHOWN, rng.randint(1, 4))

    def _passer_by(self, at_ms: int) -> tuple[Person, list[Step]]:
        """Somebody who is not of the cast, and who says who it is at each visit."""
        number = self._passers_by()
        rng = Random(number)  # noqa: S311  a simulation, not a secret
        person = _person(rng, f"v-{number:05d}", "passer-by")
        return person, [identify(person, at_ms)]


def _around(people: list[Person]) -> Callable[[], Person]:
    """One after the other, for ever."""
    places = count()
    return lambda: people[next(places) % len(people)]


def _around_numbers(rng: Random) -> Callable[[], int]:
    """Numbers of passers-by, one after the other from a random one on, for ever."""
    places = count(rng.randrange(PASSERS_BY_MAX))
    return lambda: next(places) % PASSERS_BY_MAX


__all__ = ("CAST", "HISTORY_DAYS", "SEED", "cast", "event", "history", "life", "lived")
