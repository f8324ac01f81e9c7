"""Fuzzing by grammar: texts that our own grammar makes, and the same with a few bytes changed.

Here for a moment with each run of the tests; by coverage and for minutes, `make fuzz`.
"""

from importlib.resources import files

import lark
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.lark import from_lark

from processors.event import KINDS
from rules.vocabulary import FIELDS, FUNCTIONS
from tests.fuzz.seeds import SEEDS, WORDS
from tests.fuzz.targets import TARGETS
from tests.rules.loading import TEXTS

GRAMMAR = lark.Lark(
    files("rules").joinpath("grammar.lark").read_text("utf-8"),
    start=["sum", "selector", "step"],
)
# Words that mean something, or else no text would get beyond the first name.
TERMINALS = {
    "NAME": st.sampled_from((*TEXTS, *KINDS, *FIELDS, *FUNCTIONS, "placed", "paid", "x")).filter(
        str.isidentifier
    ),
    "TEXT": st.sampled_from(('"web"', "'red'", '""', "'§ \"'")),
    "NUMBER": st.sampled_from(("0", "5", "2.5", "1e3", "1e999", "256")),
    "PERCENTAGE": st.sampled_from(("50%", "0.5%")),
    "DURATION": st.sampled_from(("30d", "1.5h", "0s", "9999w")),
}
# By target. What a sum does not reach, its brackets and calls do; drawn from the top, texts are too long.
STARTS = {"condition": "sum", "selector": "selector", "step": "step"}
GRAMMATICAL = {
    target: from_lark(GRAMMAR, start=start, explicit=TERMINALS) for target, start in STARTS.items()
}
NOISE = st.text(max_size=3) | st.sampled_from(WORDS)


@st.composite
def changed(draw: st.DrawFn, name: str) -> str:
    """A seed of a target with up to four pieces replaced by noise."""
    text = draw(st.sampled_from(SEEDS[name]))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + draw(NOISE) + text[end:]
    return text


@pytest.mark.slow
@pytest.mark.parametrize("target", sorted(GRAMMATICAL))
@settings(
    max_examples=max(1, settings().max_examples // 10),  # each is large
    suppress_health_check=[HealthCheck.filter_too_much],  # a grammar has no bound, a draw has
)
@given(data=st.data())
def test_whatever_the_grammar_makes_is_read(target: str, data: st.DataObject) -> None:
    """A text that is grammatical may be nonsense; then the nonsense is named."""
    TARGETS[target](data.draw(GRAMMATICAL[target]))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TARGETS))
@given(data=st.data())
def test_slips_of_the_pen_are_rules_or_mistakes(name: str, data: st.DataObject) -> None:
    """Rules are typed by people, and reloaded by a running engine."""
    TARGETS[name](data.draw(changed(name)))


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_the_seeds_themselves_are_good(name: str) -> None:
    """Seeds that are refused at once would lead the search nowhere."""
    for text in SEEDS[name]:
        TARGETS[name](text)
