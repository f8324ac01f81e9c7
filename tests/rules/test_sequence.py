"""Sequences as they are written: each read step by step, and every mistake told with its mend."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.check import Checker
from rules.errors import RulesError
from rules.expression import Events
from rules.load import load
from rules.parse import parse_step
from rules.sequence import RUNS_KEYED_MAX, RUNS_MAX, STEPS_MAX, Step
from rules.spell import spell_step
from rules.syntax import DEPTH_MAX
from tests.rules.expressions import NOWHERE, SMALL_ORDERS
from tests.rules.loading import mistakes, names, rule

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def test_a_sequence_is_read_step_by_step() -> None:
    """Steps are in order; what counts from what is in the order too."""
    read = rule("""
sequence = [
  "service.ticket_opened where priority = 'high'",
  "service.transferred within 1h",
  "no service.first_response where channel = 'x' within 30m",
]
key = "ticket_id"
""").sequence

    assert read is not None
    assert (read.key, read.runs_max) == ("ticket_id", RUNS_KEYED_MAX)
    assert [(step.absent, step.within_ms) for step in read.steps] == [
        (False, 0),
        (False, HOUR_MS),
        (True, 30 * MINUTE_MS),
    ]
    assert [spell_step(step) for step in read.steps] == [
        'service.ticket_opened where priority = "high"',
        "service.transferred within 1h",
        'no service.first_response where channel = "x" within 30m',
    ]


def test_a_sequence_without_a_key_has_one_run() -> None:
    """The bound over all rules counts runs."""
    read = rule('sequence = ["order.placed", "order.paid"]').sequence

    assert read is not None
    assert (read.key, read.runs_max) == (None, 1)


STEPS = [
    ('"click.add_to_cart"', '["click.add_to_cart"]', "2 to 8 steps, not 1", "`on` is for one"),
    ('"order.paid", ' * (STEPS_MAX + 1), None, "2 to 8 steps, not 9", ""),
    ('"order.paid", 5', "5", "a step is a text", "as in sequence"),
    ('"order.paid", "oder.placed"', "oder.placed", "no kind of event", "`order`"),
    ('"order.paid", "order.plced"', "order.plced", "not known", "`order.placed`"),
    ('"order.paid", "order.placed wihin 3m"', "wihin", "cannot stand here", "`within`"),
    ('"order.paid", "order.placed within 3"', "3", "cannot stand here", "a duration"),
    ('"order.paid", "order.placed within"', '"', "not finished", "a duration"),
    ('"order.paid", "no order.placed"', "no order.placed", "would never end", "within 30m"),
    ('"order.paid", "order.placed within 0s"', "within 0s", "longer than nothing", ""),
    ('"order.paid", "no order.placed within 367d"', "within 367d", "at most 366d", ""),
    ('"order.paid within 1h", "order.placed"', "within 1h", "nothing to count from", "the next"),
    ('"no order.paid within 1h", "order.placed"', "no", "begins with an event", "put first"),
    (
        '"order.paid", "no order.placed within 1h", "no order.paid within 1h"',
        "no",
        "right after an absence",
        "an event between",
    ),
    ('"order.paid", "order.placed where health < 4"', "health", "only the event itself", ""),
    ('"order.paid", "order.placed where amout < 4 within 1h"', "amout", "no field", "`amount`"),
    ('"order.paid", "not order.placed within 1h"', "not", "cannot stand here", "`no`"),
    ('"order.paid", ""', '"', "nothing here", ""),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "piece", "said", "mend"), STEPS)
def test_a_mistake_in_a_step_is_told_with_its_piece_and_its_mend(
    steps: str, piece: str | None, said: str, mend: str
) -> None:
    """Sequences are what people get wrong most: what counts from what must be said."""
    ((found, problem),) = mistakes(f"sequence = [{steps}]")

    assert piece is None or found == piece
    assert said in problem.message
    assert mend in problem.mend


GOOD_STEPS = 'sequence = ["click.add_to_cart", "no order.placed within 30m"]\n'


@pytest.mark.parametrize(
    ("lines", "piece", "said", "mend"),
    [
        ('on = "order.paid"', "on", "by itself at which events", "a step"),
        ('for = "10m"', "for", "holds for no time", "`within`"),
        ('key = "amount"', '"amount"', "cannot be a key", "session_id"),
        ('key = "sesion_id"', '"sesion_id"', "no field of an event", "`session_id`"),
        ("key = 5", "5", "takes a text", ""),
        ('when = "amount > 4"', "amount", "completed by time alone", "into a step"),
        ('unless = "channel = \'x\'"', "channel", "completed by time alone", "into a step"),
        ('reason = "At {page}"', "page", "completed by time alone", "readings and scores"),
    ],
)  # fmt: skip
def test_what_a_sequence_cannot_have_is_told(lines: str, piece: str, said: str, mend: str) -> None:
    """A sequence may end with no event at all: there are no fields then."""
    ((found, problem),) = mistakes(GOOD_STEPS + lines)

    assert found == piece
    assert said in problem.message
    assert mend in problem.mend


def test_a_step_is_nested_no_deeper_than_a_condition() -> None:
    """Whatever is written, walking it stays shallow."""
    deep = "not " * DEPTH_MAX + "amount < 5"
    ((found, problem),) = mistakes(f'sequence = ["order.paid", "order.placed where {deep}"]')

    assert found.startswith("not")
    assert "nested more than 32 levels deep" in problem.message


def test_a_sequence_must_be_a_list() -> None:
    """One text with arrows in it is what other tools have."""
    ((found, problem),) = mistakes('sequence = "order.placed -> order.paid"')

    assert found == '"order.placed -> order.paid"'
    assert "a list of steps" in problem.message


def test_all_mistakes_of_a_rule_are_told_at_once() -> None:
    """Nobody wants to be told one mistake a reload."""
    found = mistakes('sequence = ["ordr.paid", "no order.paid"]\nkey="x"\nfor="x"\ncap="x"')

    assert [problem.line for _, problem in found] == [2, 2, 3, 4, 4, 5]


def sequences(keyed: int, plain: int) -> bytes:
    body = GOOD_STEPS + 'then = [{ log = "x" }]\n'
    keys = ['key = "session_id"\n'] * keyed + [""] * plain
    return "".join(f"[rule.r{number}]\n{key}{body}" for number, key in enumerate(keys)).encode()


def test_runs_of_sequences_are_bounded_over_all_rules() -> None:
    """Each run takes words of every customer's row, whether it is open or not."""
    keyed = RUNS_MAX // RUNS_KEYED_MAX - 1
    fits = {"a.toml": sequences(keyed, RUNS_KEYED_MAX)}
    assert len(load(fits, names()).rules) == keyed + RUNS_KEYED_MAX

    with pytest.raises(RulesError) as caught:
        load({"a.toml": sequences(keyed, RUNS_KEYED_MAX + 1)}, names())

    (problem,) = caught.value.problems
    assert "257 runs open for one customer, at most 256 are allowed: r0 (8), r1 (8)" in (
        problem.message
    )
    assert problem.message.endswith(f"and {keyed + RUNS_KEYED_MAX + 1 - 10} more")
    assert "take `key` away" in problem.mend


EVENTS = st.builds(
    Events,
    st.sampled_from(("order", "click")),
    st.sampled_from(("*", "returned-not", "no", "within", "where", 'say "no"')),
    st.sampled_from((None, SMALL_ORDERS)),
    st.just(NOWHERE),
)
STEP = st.builds(Step, EVENTS, st.integers(0, 40 * DAY_MS), st.booleans(), st.just(NOWHERE))


@pytest.mark.slow
@given(STEP)
def test_a_step_that_is_spelled_is_the_same_step(step: Step) -> None:
    """What is shown of a rule is what is in force."""
    read = parse_step(spell_step(step))
    checker = Checker({}, fields=False, sequence=True)

    assert checker.events(read.events) == step.events, checker.mistakes
    assert read.absent == step.absent
    assert (0 if read.within is None else read.within.value) == step.within_ms
