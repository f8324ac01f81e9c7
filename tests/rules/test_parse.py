"""Parsing: any text gives a tree or one mistake with its place."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.errors import ExpressionError
from rules.parse import duration_ms, parse, parse_selector
from rules.syntax import DEPTH_MAX, Literal, Operator, Path

WORDS = (
    "health", "order", "placed", "count", "(", ")", ",", ".", "*", "+", "-", "/", "<", "<=", "=",
    "!=", ">", "and", "or", "not", "in", "where", "starts_with", "matches", "exact", "half_life",
    "before", "30d", "5", "1e3", "10%", '"web"', "'", '"', "{", "§", "\n", "1e999",
)  # fmt: skip


def mistake_in(read: Callable[[str], object], text: str) -> ExpressionError | None:
    try:
        read(text)
    except ExpressionError as mistake:
        return mistake
    return None


@pytest.mark.slow
@given(st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join))
@example("(" * 2_000)
@example("not " * 2_000)
@example("1 " + "+ 1" * 2_000)
@example("a.in.and.* where 'x'")
def test_any_text_is_an_expression_or_a_mistake_with_its_place(text: str) -> None:
    """Whatever a user types must end in an answer that can be shown."""
    for read in (parse, parse_selector):
        mistake = mistake_in(read, text)
        if mistake is None:
            span = read(text).span
            assert 0 <= span.start < span.end <= len(text)
        else:
            assert mistake.message
            assert 0 <= mistake.span.start <= mistake.span.end <= len(text) + 1


@pytest.mark.parametrize(
    ("text", "said", "mend"),
    [
        ("health <", "not finished", "a value is needed"),
        ("30x < 5", "`30x` is neither a number nor a duration", "30s or 1.5h"),
        ("health < 40 AND x", "`AND` cannot stand here", "did you mean `and`?"),
        ("health < 40 && x", "`&` means nothing here", "write `and`"),
        ("1 < health < 5", "`<` cannot stand here", "two values at a time"),
        ("(health", "not finished", "a closing bracket"),
        ("page matches 5", "`5` cannot stand here", "a text in quotes"),
        ('channel = "web', '`"` means nothing here', "no closing quote"),
        ("health < 1e999", "too large", "1e308"),
        ("count(order.placed, 9999w)", "longer than ten years", "check the unit"),
        (" ", "nothing here", "write an expression"),
    ],
)
def test_a_slip_is_told_with_its_mend(text: str, said: str, mend: str) -> None:
    """People who write rules are not programmers."""
    with pytest.raises(ExpressionError) as caught:
        parse(text)

    assert said in caught.value.message
    assert mend in caught.value.mend


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a or b and not c < 1", "a or (b and (not (c < 1)))"),
        ("a - b - c * -d", "(a - b) - (c * (-d))"),
        ("a == b", "a = b"),
        ("not a in (1)", "not (a in (1))"),
        ("a - 3d < b", "(a - 3d) < b"),
    ],
)
def test_operators_bind_as_the_reference_says(text: str, same: str) -> None:
    """Two readers of one rule must read the same rule."""

    def shape(tree: object) -> object:
        if isinstance(tree, Operator):
            return (tree.sign, *map(shape, tree.operands))
        return getattr(tree, "parts", None) or getattr(tree, "value", type(tree))

    assert shape(parse(text)) == shape(parse(same))


def test_places_are_those_of_the_text() -> None:
    """The caret of a message must stand under the mistake."""
    tree = parse("health < (40 + 2)")

    assert isinstance(tree, Operator)
    assert [(each.span.start, each.span.end) for each in tree.operands] == [(0, 6), (10, 16)]


def test_nesting_has_a_bound() -> None:
    """A tree is walked by recursion: its depth is the only thing that could exhaust the stack."""
    inside = DEPTH_MAX - 1

    assert isinstance(parse("(" * inside + "a" + ")" * inside), Path)
    with pytest.raises(ExpressionError, match="levels deep"):
        parse("(" * (inside + 1) + "a" + ")" * (inside + 1))


def test_a_long_condition_is_not_a_deep_one() -> None:
    """A hundred alternatives are long, but easy to read."""
    tree = parse(" or ".join(f"a{number}" for number in range(1_000)))

    assert isinstance(tree, Operator)
    assert len(tree.operands) == 1_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30_000), ("10m", 600_000), ("1h", 3_600_000), ("7d", 604_800_000), ("500ms", 500)],
)
def test_durations_are_milliseconds_inside(text: str, expected: int) -> None:
    """One unit inside, many outside."""
    assert duration_ms(text) == expected
    assert isinstance(parse(text), Literal)


@pytest.mark.parametrize("text", ["14", "14 d", "d", "-1d", "1d + 1d", "1 day"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A cooldown of `14` must not become 14 ms."""
    with pytest.raises(ExpressionError):
        duration_ms(text)
