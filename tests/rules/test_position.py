"""Positions: keys and values are found where tomllib found them."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.position import EXCERPT_CHARS_MAX, Positions, positions
from rules.syntax import Span

KEYS = st.sampled_from(("a", "b-1", '"c d"', "'e.f'", "g.h", 'i."j k"'))
STRINGS = st.sampled_from(
    (
        '"plain"', "'literal'", '"tab\\t and \\"quote\\" # no comment"', '"\\u00e9\\U0001F600"', '""',
        "''", '"""one"""', '"""\ntwo\nlines"""', "'''\nit's = [\n'''", '"""a \\\n   b"""',
        '"""ends with ""quotes"""""', "'''two''more'''''", '"ünïcödé"',
    )
)  # fmt: skip
PLAIN = st.sampled_from(("1", "-2.5", "true", "1979-05-27T07:32:00Z", "0x1F", "inf", "07:32:00"))
VALUES = st.recursive(
    STRINGS | PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda them: "[" + ", ".join(them) + "]"),
        st.lists(inner, max_size=3).map(
            lambda them: "[ # why\n" + "".join(f"  {each},\n" for each in them) + "]"
        ),
        st.lists(inner, max_size=3).map(
            lambda them: "{ " + ", ".join(f"k{i} = {each}" for i, each in enumerate(them)) + " }"
        ),
    ),
    max_leaves=6,
)
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=4, unique_by=lambda pair: pair[0]).map(
    lambda pairs: "".join(f"{key} = {value} # said\n" for key, value in pairs)
)
DOCUMENTS = st.builds(
    lambda top, first, second, third: (
        f"# head\n{top}\n[rule.x]\n{first}\n [rule . 'y z'] # here\n{second}[[list.of]]\n{third}"
        f"[[list.of]]\n[list.of.sub]\n{first}"
    ),
    PAIRS,
    PAIRS,
    PAIRS,
    PAIRS,
)


def addresses(
    value: object, at: tuple[str | int, ...] = ()
) -> list[tuple[tuple[str | int, ...], object]]:
    """Every value that is no table, with its address."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in addresses(inner, (*at, key))]
    own = [(at, value)]
    if isinstance(value, list):
        return own + [
            found for i, inner in enumerate(value) for found in addresses(inner, (*at, i))
        ]
    return own


@pytest.mark.slow
@given(DOCUMENTS)
def test_every_value_is_found_and_every_character_traced(text: str) -> None:
    """A message that points at the wrong line is worse than one that points nowhere."""
    found = positions("x.toml", text)
    for address, value in addresses(tomllib.loads(text)):
        if isinstance(value, list) and "of" in address and address[-1] == "of":
            continue  # made of headers, and stands nowhere by itself
        place = found.values[address]
        assert text[place.span.start : place.span.end].strip()
        if isinstance(value, str):
            assert place.offsets is not None
            assert len(place.offsets) == len(value) + 1
            for character, offset in zip(value, place.offsets, strict=False):
                assert text[offset] in (character, "\\")


def test_a_mistake_is_shown_with_its_line_and_a_caret() -> None:
    """The reader's eye goes to the caret first."""
    text = 'a = 1\n\twhen = "helth"\n'
    problem = positions("x.toml", text).problem(Span(15, 20), "not known", "health?")

    assert str(problem) == (
        'x.toml:2:10: not known\n  \twhen = "helth"\n  \t        ^^^^^\n  health?'
    )


def test_of_a_long_line_only_the_surroundings_are_shown() -> None:
    """One file may be one line of 64 KB."""
    text = "x" * 5_000 + "HERE" + "x" * 5_000
    problem = Positions("x.toml", text).problem(Span(5_000, 5_004), "wrong")

    assert len(problem.excerpt) == EXCERPT_CHARS_MAX
    assert problem.excerpt[problem.excerpt_at :].startswith("HERE")
    assert problem.column == 5_001
