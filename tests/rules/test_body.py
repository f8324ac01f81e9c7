"""Bodies: what a receiver gets that wants it in its own words."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.action import Action
from rules.body import BYTES_MAX, DEPTH_MAX, HOLES_MAX, WORD_CHARS_MAX, WORDS
from rules.duration import iso
from rules.vocabulary import FIELDS
from sinks import payload
from tests.rules.bench import Bench, Judged
from tests.rules.loading import TEXTS, problems

RULE = """[rule.low]
version = 3
when    = "health < 40 and not orders_count = 7"
reason  = "Health is {health:.0f}"
"""


def fired(body: str, kind: str = "webhook", rule: str = RULE, health: float = 31.26) -> Action:
    one_line = body.replace("\n", " ")
    (action,) = Bench(f'{rule}then = [{{ {kind} = "crm", body = {one_line} }}]\n').act(
        [Judged(0, health, band="red", amount=5.0, id="e-1")]
    )
    return action


def made(body: str, rule: str = RULE) -> Any:  # noqa: ANN401  whatever JSON there is
    return json.loads(fired(body, rule=rule).body)


def mistakes(body: str, kind: str = "webhook") -> list[tuple[str, str, str]]:
    """What stands at each mistake, what is said, and the mend."""
    text = f"[rule.a]\nwhen = 'health < 40'\nthen = [{{ {kind} = 'crm', body = {body} }}]\n"
    return [
        (each.excerpt[each.excerpt_at : each.excerpt_at + each.width], each.message, each.mend)
        for each in problems(text)
    ]


def test_a_body_has_the_shape_of_the_file_with_values_in_it() -> None:
    """Numbers and booleans stay what they are; texts are sentences with holes."""
    body = """{ customer = "{customer_id}", text = "{rule} v{version}: {reason}, now {health:.1f}",
        fixed = [1, 2.5, true, "x {{y}}"], deep = { a = { b = "{cause}" } }, empty = {} }"""

    assert made(body) == {
        "customer": "c0",
        "text": "low v3: Health is 31, now 31.3",
        "fixed": [1, 2.5, True, "x {y}"],
        "deep": {"a": {"b": "e-1"}},
        "empty": {},
    }


def test_a_text_that_is_one_hole_gives_the_value_itself() -> None:
    """A receiver that wants a number does not take a text."""
    body = """{ health = "{health}", band = "{health.band}", sum = "{ health - 0.26 }",
        none = "{orders_count}", asked = "{health:.0f}", version = "{version}", at = "{at_ms}",
        said = "{orders_count} orders" }"""

    assert made(body) == {
        "health": 31.26,
        "band": "red",
        "sum": 31,
        "none": None,
        "asked": "31",
        "version": 3,
        "at": 1_700_000_000_000,
        "said": "unknown orders",
    }
    assert '"sum":31,' in fired(body).body


def test_a_duration_alone_is_milliseconds_and_among_words_a_duration() -> None:
    """As in `values` and in reasons."""
    rule = '[rule.low]\nwhen = "health < 40"\n'

    assert made('{ a = "{14d}", b = "in {14d}" }', rule) == {"a": 1_209_600_000, "b": "in 2w"}


def test_all_that_the_rule_read_can_be_asked_for_at_once() -> None:
    """Who forwards it to a store wants no list of names."""
    assert made('{ all = "{values}" }') == {"all": {"health": 31.26, "orders_count": None}}


def test_each_word_of_the_action_has_its_value() -> None:
    """A word that the documents name and nobody fills would be found by a customer."""
    listed = ", ".join(f'{name} = "{{{name}}}"' for name in WORDS)
    action = fired(f"{{ {listed} }}")
    data = json.loads(action.body)

    assert data["action_id"] == action.id
    assert data["timestamp"] == iso(action.at_ms)
    assert data["type"] == "low"
    assert set(data) == set(WORDS)


def test_words_of_actions_hide_no_word_of_rules() -> None:
    """`{channel}` must not mean two things."""
    assert not WORDS.keys() & (FIELDS.keys() | TEXTS.keys())


def test_the_body_is_what_is_sent_also_after_it_was_stored() -> None:
    """A repeat after a restart has the same bytes, whatever the rule says by then."""
    action = fired('{ b = "{customer_id}", a = "{health}" }')
    stored = msgspec.json.decode(msgspec.json.encode(action), type=Action)

    assert payload.body(stored) == payload.body(action) == b'{"b":"c0","a":31.26}'


def test_each_target_has_its_own_body_or_ours() -> None:
    """The CRM has its shape, the topic stays what it was."""
    text = RULE + 'then = [{ topic = "x" }, { webhook = "crm", body = { a = 1 } }, { log = "y" }]\n'
    actions = Bench(text).act([Judged(0, 30.0)])

    assert [each.body for each in actions] == ["", '{"a":1}', ""]
    assert b'"data"' in payload.body(actions[0])


def test_a_body_may_be_written_as_tables_of_its_own() -> None:
    """Long ones are easier to read so."""
    text = RULE + '[[rule.low.then]]\ntopic = "x"\n[rule.low.then.body]\nwho = "{customer_id}"\n'
    (action,) = Bench(text).act([Judged(0, 30.0)])

    assert action.body == '{"who":"c0"}'


def test_what_a_customer_typed_stays_inside_its_text_and_is_bounded() -> None:
    """Quotes, control characters and length are the sender's choice."""
    rule = '[rule.x]\non = "order.placed"\n'
    body = '{ a = "{session_id}", b = "<{session_id}>" }'
    text = f'{rule}then = [{{ webhook = "crm", body = {body} }}]\n'
    nasty = '"},\x00{' * 1_000
    (action,) = Bench(text).act([Judged(0, action="order.placed", session=nasty)])

    assert json.loads(action.body) == {"a": nasty[:WORD_CHARS_MAX], "b": f"<{nasty[:200]}>"}


@pytest.mark.parametrize(
    ("body", "at", "said"),
    [
        ("{}", "{}", "a body is a table with a member or more"),
        ("'{reason}'", "'{reason}'", "a body is a table with a member or more"),
        ("{ a = 'x {helth}' }", "helth", "`helth` is not known"),
        ("{ a = ['{reason'] }", "{", "this bracket is not closed"),
        ("{ a = { b = '{version:.0f}' } }", "version", "`version` is not known"),
        ("{ a = 'all: {values}' }", "'all: {values}'", "{values} is a table, and cannot stand inside a text"),
        ("{ a = '{health < 4}' }", "health < 4", "a condition cannot be shown, only a value"),
        ("{ a = 2025-01-01 }", "2025-01-01", "JSON has no dates and times"),
        ("{ a = [nan] }", "nan", "JSON has no such number"),
        ("{ a = 9007199254740992 }", "9007199254740992", "JSON has no such number"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_body_is_told_at_its_place(body: str, at: str, said: str) -> None:
    """At load, and not when the first customer is about to leave."""
    found = mistakes(body)

    assert [(each[0], each[1]) for each in found] == [(at, said)]


def test_a_body_has_bounds() -> None:
    """One rule must not fill Redis."""
    deep = "1"
    for _ in range(DEPTH_MAX):
        deep = f"{{ a = {deep} }}"
    holes = ", ".join(["'{health}'"] * (HOLES_MAX + 1))
    long = "x" * BYTES_MAX

    assert not mistakes(deep)
    assert [each[1] for each in mistakes(f"{{ a = {deep} }}")] == [
        "a body is at most 8 tables and lists deep"
    ]
    assert [each[1] for each in mistakes(f"{{ a = [{holes}] }}")] == ["65 holes are more than 64"]
    assert [each[1] for each in mistakes(f"{{ a = '{long}' }}")] == [
        "a body of 8200 bytes is longer than 8192"
    ]


@pytest.mark.parametrize("kind", ["alert", "slack", "log"])
def test_only_webhooks_and_topics_have_bodies(kind: str) -> None:
    """The others have a shape that somebody else has fixed."""
    assert [each[:2] for each in mistakes("{ a = 'x {helth}' }", kind)] == [
        ("body", f"`body` is no key of {kind}")
    ]


@given(
    st.recursive(
        st.booleans()
        | st.integers(-99, 99)
        | st.sampled_from(["{reason}", "x", "{health} {cause}"]),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=8,
    )
)
def test_equal_actions_have_equal_bodies(given_: object) -> None:
    """Replays and repeats are compared byte by byte."""
    body = f"{{ a = {json.dumps(given_)} }}"

    assert fired(body).body == fired(body).body
