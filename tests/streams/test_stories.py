"""Each life story leads to its rule of the starter packs: else the demo shows nothing."""

from collections import Counter
from functools import cache

import pytest

from rules.action import Action
from streams.loader import Sources
from streams.shop import SEED, cast, event, lived
from streams.step import Engine
from streams.stories import LIVES
from tests.streams.feeding import Feeding

END_MS = 1_750_000_000_000
PEOPLE = 12  # of each story

LEADS_TO: dict[str, set[str]] = {
    "loyal": set(),
    "cooling": {"fading-customer"},
    "angry": {"angry-customer", "churn-risk-callback"},
    "abandoner": {"cart-reminder"},
    "tester": {"card-testing"},
    "bulk": {"bulk-buyer", "order-anomaly"},
    "returner": {"frequent-returns"},
    "newcomer": set(),
}


@cache
def packs() -> Engine:
    return Sources().engine()


def folded(values: list[bytes]) -> list[Action]:
    """The actions of these events, in this order, of customers of whom nothing was known."""
    feeding = Feeding(packs())
    feeding.feed(values, END_MS)
    return feeding.actions


def rules_of(story: str, seed: int = SEED) -> dict[str, set[str]]:
    """The rules that fired for each of the story's first people."""
    people = [person for person in cast(seed) if person.story == story][:PEOPLE]
    values = [
        event(f"{person.id}-{number}", person.id, at_ms, fields)
        for person in people
        for number, (at_ms, fields) in enumerate(lived(seed, person, END_MS))
    ]
    fired: dict[str, set[str]] = {person.id: set() for person in people}
    for action in folded(values):
        fired[action.customer_id].add(action.rule)
    return fired


@pytest.mark.slow
@pytest.mark.parametrize("story", LIVES)
def test_each_story_leads_to_its_rule_and_to_no_other(story: str) -> None:
    """Everybody of the story: who watches must not have to wait for luck."""
    fired = rules_of(story)
    extra: set[str] = {"cart-emptied"} if story == "abandoner" else set()

    assert len(fired) == PEOPLE
    assert {name: rules - extra for name, rules in fired.items()} == dict.fromkeys(
        fired, LEADS_TO[story]
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_other_seeds_tell_the_same_stories(seed: int) -> None:
    """A person may give any seed."""
    fired = Counter(rule for rules in rules_of("angry", seed).values() for rule in rules)

    assert fired["churn-risk-callback"] == PEOPLE
    assert rules_of("loyal", seed) == {name: set() for name in rules_of("loyal", seed)}


@pytest.mark.slow
def test_the_reason_names_what_happened() -> None:
    """An action that does not say why is a riddle to who has to call."""
    person = next(each for each in cast(SEED) if each.story == "angry")
    values = [
        event(str(number), person.id, at_ms, fields)
        for number, (at_ms, fields) in enumerate(lived(SEED, person, END_MS))
    ]

    called = [each for each in folded(values) if each.rule == "churn-risk-callback"]
    assert len(called) == 1
    assert called[0].reason.startswith("Health fell to ")
    assert "mostly complaints" in called[0].reason


def test_every_story_has_an_expectation() -> None:
    """A story that is added later must not go untested."""
    assert set(LEADS_TO) == set(LIVES)
