"""Templates: the sentence of a reason, checked when loaded, rendered without surprises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.check import Checker
from rules.expression import Expression
from rules.spell import spell
from rules.template import TEXT_SHOWN_MAX, template
from tests.rules.expressions import SCORES

VALUES: dict[str, float | str | None] = {
    "health": 41.27,
    "health.band": "red",
    "anomaly.amount": -1234.5,
    "channel": None,
    "since(order.placed)": 93_784_000.0,
    "count(order.placed, 30d)": 3.0,
    'count(order.placed where channel = "{:}", 30d)': 2.0,
    "health * 2": 82.54,
}


def rendered(text: str) -> str:
    made = template(text, Checker(SCORES, fields=True))
    assert made is not None

    def value(expression: Expression) -> float | str | None:
        return VALUES[spell(expression)]

    return made.render(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{health}", "41.27"),
        ("{health:.0f}|{health:.1f}|{health:.1}", "41|41.3|41.3"),
        ("{health:+.0f}|{health:.0%}", "+41|4127%"),
        ("{anomaly.amount:,.2f}|{anomaly.amount:+,.0f}|{anomaly.amount:,}", "-1,234.50|-1,234|-1,234.50"),
        ("{count(order.placed, 30d)} orders", "3 orders"),
        ("{since(order.placed)} ago", "1d 2h ago"),
        ("is {health.band}, from {channel}", "is red, from unknown"),
        ("{{{health:.0f}}} and }}{{", "{41} and }{"),
        ("{ health * 2 :.0f}", "83"),
        ("{health:f}|{health:%}", "41.27|4127%"),
        ("""{count(order.placed where channel = "{:}", 30d):.0f}""", "2"),
    ],
)  # fmt: skip
def test_values_are_shown_as_people_write_them(text: str, expected: str) -> None:
    """The reason is read on a phone by somebody who is about to make a call."""
    assert rendered(text) == expected


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("Hi {", 3, "not closed"),
        ("Hi {health", 3, "not closed"),
        ("Hi }", 3, "never opened"),
        ("a{{b{helth}", 5, "`helth` is not known"),
        ("{}", 1, "nothing here"),
        ("{health:>10}", 8, "no format here"),
        ("{health:.99f}", 8, "no format here"),
        ("{health.band:.0f}", 13, "no format here"),
        ("{since(order.placed):.0f}", 21, "no format here"),
        ("{health!r}", 7, "means nothing here"),
        ("{health.__class__}", 1, "not known"),
        ("{health[0]}", 7, "means nothing here"),
        ("{health < 5}", 1, "a condition cannot be shown"),
        ("{0}{health:{health}}", 3, "not closed"),
        ("{health:{health}}", 0, "not closed"),
    ],
)
def test_tricks_and_slips_are_refused_at_their_place(text: str, at: int, said: str) -> None:
    """Python's format strings reach into objects; ours know expressions and nothing else."""
    checker = Checker(SCORES, fields=True)

    assert template(text, checker) is None
    assert said in checker.mistakes[0].message
    assert checker.mistakes[0].span.start == at


def test_long_texts_are_cut() -> None:
    """A page address may have a thousand characters, a message must not."""
    made = template("{channel}", Checker(SCORES, fields=True))
    assert made is not None

    assert made.render(lambda _: "x" * 2_000) == "x" * TEXT_SHOWN_MAX


@pytest.mark.slow
@given(st.text(alphabet="{}:\"'h health<5.0f", max_size=30))
def test_any_text_is_a_template_or_mistakes(text: str) -> None:
    """A reason is free text, typed by anyone."""
    checker = Checker(SCORES, fields=True)
    made = template(text, checker)

    assert (made is None) == bool(checker.mistakes)
    if made is not None:
        assert isinstance(made.render(lambda _: 1.0), str)
