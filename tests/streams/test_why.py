"""Why a rule has fired, or has not."""

import json
from typing import Any

import pytest

from tests.streams.explained import explained, happened, orders
from tests.streams.replay_rows import HOUR_MS, START_MS


def rule(keys: str) -> str:
    return f'[rule.r]\n{keys}\nthen = [{{ log = "x" }}]\n'


TWO = 'when = "count(order.placed, 1d) >= 2"'
CART = 'sequence = ["click.add_to_cart", "no order.placed within 30m"]'
SMALL = 'on = "order.placed"\nwhen = "amount < 5 and count(order.placed, 1d) >= 2"'


@pytest.mark.parametrize(
    ("keys", "history", "hours", "verdict", "sentence"),
    [
        (TWO, orders(0), 1, "does_not_hold",
            "did not fire: count(order.placed, 1d) is 1, needs >= 2"),
        (TWO, orders(0, 1), 2, "fired",
            "fired at 2023-11-14 23:13:20, and still holds: it fires again once it has not held"),
        (TWO, orders(0, 1), 48, "does_not_hold",
            "did not fire again since 2023-11-14 23:13:20: count(order.placed, 1d) is 0, needs >= 2"),
        ('when = "health < 0 and since(order.placed) > 5h"', orders(0), 1, "does_not_hold",
            "did not fire: health is 74.36, needs < 0; 1 more would have to change"),
        ('when = "since(order.placed) > 5h"', orders(0), 6, "rises",
            "holds, and fires as soon as it is looked at: at the customer's next event"),
        ('when = "count(order.placed) >= 1"\nfor = "3h"', orders(0), 1, "waits",
            "holds, and fires at 2023-11-15 01:13:20 if it does until then"),
        ('on = "order.placed"', orders(0), 1, "ready", "fires at each order.placed"),
        ('on = "order.placed"\nwhen = "health > 1"', orders(0), 1, "ready",
            "fires at each order.placed while its condition holds"),
        ('on = "order.placed"\ncooldown = "2h"', orders(0), 1, "suppressed",
            "would be held back: cooldown until 2023-11-15 00:13:20"),
        (SMALL, orders(0), 1, "does_not_hold",
            "did not fire: count(order.placed, 1d) is 1, needs >= 2"),
        (SMALL, orders(0, 1), 2, "ready",
            "is judged at each order.placed, by what only that event can tell"),
        (CART, orders(0), 1, "does_not_hold",
            "did not fire: it waits for click.add_to_cart to begin"),
        (CART, [happened("click.add_to_cart", 1)], 1.25, "runs",
            ("has begun: step 2 of 2 is awaited, no order.placed within 30 minutes,"
             " until 2023-11-14 23:43:20")),
        (TWO + '\nunless = "count(order.placed) >= 2"', orders(0, 1), 1, "does_not_hold",
            "did not fire: count(order.placed) is 2, needs < 2"),
        (TWO + '\nstage = "draft"', orders(0), 1, "draft",
            ("is a draft, which is never judged and for which nothing is counted;"
             " count(order.placed, 1d) is 0, needs >= 2")),
    ],
)  # fmt: skip
def test_the_verdict_is_said_in_one_sentence(
    keys: str, history: list[bytes], hours: float, verdict: str, sentence: str
) -> None:
    """The first line is all that most people read."""
    told = explained(rule(keys), history, hours)

    assert (told["verdict"], told["sentence"]) == (verdict, sentence)


def test_a_rising_edge_that_was_held_back_is_used_up_and_says_so() -> None:
    """It does not fire when the restraint ends: that surprises everybody once."""
    keys = TWO + '\ncap = { per_customer = "1 per 7d" }'

    told = explained(rule(keys), orders(0, 1, 48, 49), 50)

    assert told["verdict"] == "held_back"
    assert told["sentence"].startswith("held, and was held back by cap at ")
    assert told["held_back"]["restraint"] == "cap"


def parts(clause: dict[str, Any]) -> list[dict[str, Any]]:
    return [clause, *(part for each in clause.get("clauses", ()) for part in parts(each))]


def test_the_tree_has_each_clause_with_its_value_and_what_it_needs() -> None:
    """And says what stands behind the values."""
    when = "health < 40 or not count(order.placed, 1d) >= 2"
    told = explained(rule(f'when = "{when}"'), orders(0, 1), 2)

    tree = {part["clause"]: part for part in parts(told["clause"])}
    below, counted = tree["health < 40"], tree["count(order.placed, 1d) >= 2"]
    assert tree[when]["holds"] is False
    assert (below["holds"], below["needs"], below["wanted"]) == (False, "< 40", 40.0)
    assert (counted["holds"], counted["should_hold"], counted["value"]) == (True, False, 2.0)
    assert counted["needs"] == "< 2"
    values = {each["name"]: each for each in told["values"]}
    events = values["count(order.placed, 1d)"]["events"]
    assert (events["count"], events["last_ms"]) == (2.0, START_MS + HOUR_MS)
    points = values["health"]["points"]
    assert 1 <= len(points) <= 4
    assert [abs(each["points"]) for each in points] == sorted(
        (abs(each["points"]) for each in points), reverse=True
    )
    assert [each["what"] for each in told["changes"]] == ["count(order.placed, 1d)"]


def test_all_of_it_is_json() -> None:
    """With no number that JSON has no word for."""
    fire = {"id": "act_1", "rule": "r", "version": 2, "cause": "e-1", "at_ms": 5, "reason": "so",
            "target": {"kind": "log", "name": "x"}, "status": "delivered", "note": "not told",
            "data": {"health": None}}  # fmt: skip
    when = "last(service.csat.score) < 3 and sum(order.placed.amount) / count(order.returned) > 2"

    told = explained(rule(f'when = "{when}"'), orders(0), 1, [fire] * 9)

    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert len(told["fires"]) == 5
    assert told["fires"][0] == {name: value for name, value in fire.items() if name in (
        "id", "version", "cause", "at_ms", "reason", "target", "status", "data")}  # fmt: skip
    assert told["changes"][0]["value_text"] == "missing"


def test_a_draft_is_explained_and_says_that_it_is_one() -> None:
    """Whoever writes a rule wants to know what it would do."""
    told = explained(rule(TWO + '\nstage = "draft"'), orders(0), 1)

    assert told["stage"] == "draft"
    assert [each["restraint"] for each in told["suppressed_by"]] == ["draft"]
    assert told["values"][0]["events"]["is_kept"] is False


def test_other_rules_are_compiled_as_they_run() -> None:
    """Columns of windows depend on all rules: read by fewer, a row's older events would be lost."""
    wide = '[rule.other]\nwhen = "max(order.placed.amount, 2d) > 1"\nthen = [{ log = "x" }]\n'
    narrow = rule('when = "sum(order.placed.amount, 2d) > 1e6"')

    told = explained(wide + narrow, orders(*range(40), amount=1.0), 39)

    (value,) = told["values"]
    assert value["value"] == pytest.approx(40.0)
