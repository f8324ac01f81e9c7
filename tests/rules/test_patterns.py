"""Patterns: whatever a user writes after `matches`, an event is looked at in next to no time.

The corpus is of patterns that have hung engines that backtrack: the textbook's, OWASP's, those of the great
outages; and of patterns that make the states of an automaton explode instead.
"""

import resource
from typing import Final

import pytest
import re2

from processors.event import TEXT_CHARS_MAX
from rules.check import Checker
from rules.expression import TextTest
from rules.operation import PATTERN_CHARS_MAX, Pattern, pattern
from rules.parse import parse
from tests.rules.expressions import SCORES

SECONDS_MAX: Final = 0.010  # of the processor, not of a clock: what else runs does not count

A: Final = "a" * (TEXT_CHARS_MAX - 1) + "!"
EVIL: Final = (
    (r"^(a+)+$", A, False),
    (r"^(a*)*$", A, False),
    (r"^(a|aa)+$", A, False),
    (r"^(a|a?)+$", A, False),
    (r"^(a|a)*$", A, False),
    (r"(a*)*b", A, False),
    (r"(.*)*x", A, False),
    (r"([a-zA-Z]+)*$", A, True),
    (r"(.*a){20}$", A, False),
    (r"(.*){1,30}[bc]", A, False),
    (r"(x+x+)+y", "x" * TEXT_CHARS_MAX, False),
    (r"^(.*?,){20}P", "1," * (TEXT_CHARS_MAX // 2), False),
    (r"^(([a-z])+.)+[A-Z]([a-z])+$", A, False),
    ("a?" * 120 + "a" * 120, "a" * 119, False),
    (r"[\s]+$", " " * (TEXT_CHARS_MAX - 1) + "x", False),
    (r"^\s+|\s+$", "x" + " " * (TEXT_CHARS_MAX - 2) + "x", False),
    (r"^([0-9a-zA-Z]([-.\w]*[0-9a-zA-Z])*@)+$", A, False),
    (
        r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$",
        A,
        False,
    ),
    (
        (r"(?:(?:]|}|\\|\d|(?:nan|infinity|true|false|null|undefined|symbol|math)|-|\+)+[)]*;?"
        r"((?:\s|-|~|!|{}|\|\||\+)*.*(?:.*=.*)))"),
        "1x" + "x=" * (TEXT_CHARS_MAX // 2 - 1),
        True,
    ),
    (r"(a|b)*a(a|b){30}c", "ab" * (TEXT_CHARS_MAX // 2), False),
    (r"(((a{1,9}){1,9}){1,4})!!", A, False),
    (r"\pL+!x", "\u0436" * (TEXT_CHARS_MAX - 1) + "!", False),
)  # fmt: skip


def processor_seconds() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def seconds_of(compiled: Pattern, text: str) -> float:
    began = processor_seconds()
    compiled.search(text)
    return processor_seconds() - began


@pytest.mark.parametrize(("evil", "text", "found"), EVIL)
def test_evil_patterns_do_no_harm(evil: str, text: str, found: bool) -> None:
    """An engine that backtracks takes years here; ours is asked for each event."""
    checker = Checker(SCORES, fields=True)
    test = checker.condition(parse(f"page matches '{evil}'"))
    assert isinstance(test, TextTest), checker.mistakes
    compiled = pattern(*test.texts)
    answer = compiled.search(text)  # once, so that what is built on first use is there

    assert min(seconds_of(compiled, text) for _ in range(3)) <= SECONDS_MAX
    assert (answer is not None) == found


def test_a_pattern_that_would_fill_memory_is_refused() -> None:
    """RE2 works in bounded memory, and says so when a pattern does not fit."""
    checker = Checker(SCORES, fields=True)

    assert checker.condition(parse("page matches '((a{100}){100}){100}'")) is None
    assert "no pattern that RE2 takes" in checker.mistakes[0].message
    with pytest.raises(re2.error):
        pattern("((a{100}){100}){100}")


@pytest.mark.parametrize(
    "large", [r"(.{0,60}a.{60}){4}$", r"(((a{1,9}){1,9}){1,9})!!", r"((a?){99}){9}b", r"\pL\pN\pL"]
)
def test_a_pattern_that_would_look_at_each_character_for_long_is_refused(large: str) -> None:
    """Linear time too is long, where the line is steep."""
    checker = Checker(SCORES, fields=True)

    assert checker.condition(parse(f"page matches '{large}'")) is None
    assert "at most 1250 are allowed" in checker.mistakes[0].message
    assert "repeat fewer times" in checker.mistakes[0].mend


def test_the_longest_plain_pattern_is_allowed() -> None:
    """The bound is on what a pattern costs; a long list of words costs little."""
    words = "|".join(["coupon", "voucher", "gutschein"] * 20)[:PATTERN_CHARS_MAX].rstrip("|")

    assert Checker(SCORES, fields=True).condition(parse(f"page matches '{words}'")) is not None
