"""The bytes of an action."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rules.action import Action, Because
from sinks import payload
from tests.actions import AT_MS, action


def test_the_body_is_as_documented() -> None:
    """Receivers are written against this shape; it changes with a new version only."""
    assert json.loads(payload.body(action(7))) == {
        "type": "churn.risk",
        "timestamp": "2024-05-01T12:00:00.130Z",
        "data": {
            "action_id": action(7).id,
            "rule": "churn-risk",
            "version": 3,
            "customer_id": "c-7",
            "cause": "e-7",
            "at_ms": AT_MS + 7,
            "reason": "Health fell to 38, mostly usage",
            "values": {"health": 38.2, "health.top_reason": "usage"},
            "health_scale": "0 to 100, higher is healthier",
        },
    }


def test_the_scale_of_health_is_said_only_where_there_is_a_health() -> None:
    """And a value that merely begins with the word is none."""
    body = json.loads(payload.body(action(data={"healthy_orders": 3.0})))

    assert "health_scale" not in body["data"]


def test_the_clauses_that_made_the_rule_fire_are_told_in_order() -> None:
    """Whoever calls the customer wants to know why before anything else."""
    why = (Because("health < 40", 38.2), Because('channel = "web"', "web"), Because("x > 1", None))
    body = json.loads(payload.body(msgspec.structs.replace(action(), why=why)))

    assert body["data"]["why"] == [
        {"clause": "health < 40", "value": 38.2},
        {"clause": 'channel = "web"', "value": "web"},
        {"clause": "x > 1", "value": None},
    ]


def test_an_action_of_a_version_that_did_not_say_why_keeps_its_bytes() -> None:
    """It may wait in the outbox while Rapport is upgraded, and its first attempt may have arrived."""
    assert "why" not in json.loads(payload.body(action()))["data"]
    assert b'"why"' not in msgspec.json.encode(action())


values = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.text(), st.none())


@given(
    st.dictionaries(st.text(), values, max_size=8),
    st.text(),
    st.lists(st.builds(Because, st.text(), values), max_size=8).map(tuple),
)
def test_an_action_that_went_through_the_outbox_has_the_same_bytes(
    data: dict[str, float | str | None], reason: str, why: tuple[Because, ...]
) -> None:
    """A repeat after a crash is made from what the outbox holds, and must carry the same bytes."""
    before = msgspec.structs.replace(action(data=data, reason=reason), why=why)
    after = msgspec.json.decode(msgspec.json.encode(before), type=Action)

    assert payload.body(after) == payload.body(before)


def test_the_order_in_which_values_were_read_does_not_show() -> None:
    """It may differ between the engine's run and a replay."""
    one = action(data={"a": 1.0, "b": 2.0})
    other = action(data={"b": 2.0, "a": 1.0})

    assert payload.body(one) == payload.body(other)


def test_without_a_type_the_rule_gives_its_name() -> None:
    """A receiver always has something to switch on."""
    plain = action()
    bare = msgspec.structs.replace(plain, target=msgspec.structs.replace(plain.target, type=""))

    assert json.loads(payload.body(bare))["type"] == "churn-risk"
