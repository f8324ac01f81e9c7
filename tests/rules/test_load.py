"""Loading: all rules or none, and every mistake at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.action import Target
from rules.errors import RulesError
from rules.load import FILE_BYTES_MAX, PROBLEMS_MAX, RULES_MAX, load
from tests.rules.loading import loaded, names, problems

GOOD = """
[rule.vip]
version = 2
describe = "Thank them"
when = "orders_count >= 10"
cooldown = "30d"
reason = "{orders_count} orders"
then = [{ webhook = "crm", type = "vip" }, { alert = "ops", severity = "info" }]
"""


def test_a_rule_is_read_with_all_that_it_says() -> None:
    """Nothing that is written may be lost on the way."""
    (rule,) = loaded(GOOD).rules

    assert (rule.name, rule.version, rule.describe) == ("vip", 2, "Thank them")
    assert rule.cooldown_ms == 30 * 86_400_000
    assert rule.targets == (Target("webhook", "crm", "vip"), Target("alert", "ops", "vip", "info"))
    assert (rule.file, rule.line) == ("rules.toml", 2)


@pytest.mark.parametrize(
    ("line", "place", "said", "mend"),
    [
        ('whem = "x"', "6:1", "`whem` is no key of a rule", "did you mean `when`?"),
        ("version = 0", "6:11", "whole number from 1", "version = 1"),
        ("version = true", "6:11", "whole number from 1", ""),
        ("describe = 5", "6:12", "`describe` takes a text", 'describe = "…"'),
        ('cooldown = "14"', "6:13", "no duration", '"14d"'),
        ('cooldown = "14 days"', "6:13", "no duration", "number and a unit"),
        ('cooldown = "1 month"', "6:13", "no duration", "unit of ms, s, m, h, d, w"),
        ('on = "order"', "6:7", "needs an action", "order.placed"),
        ('on = "order.paid were 1"', "6:18", "`were` cannot stand here", "did you mean `where`?"),
        ('reason = "{helth:.0f}"', "6:12", "`helth` is not known", "`health`"),
        ("reason = '{health'", "6:11", "not closed", "{{"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_key_is_told_at_its_place(
    line: str, place: str, said: str, mend: str
) -> None:
    """File, line, column, and what to write instead."""
    text = f'[rule.a]\nwhen = "health < 40"\nthen = [\n  {{ webhook = "crm" }},\n]\n{line}\n'
    (problem,) = problems(text.replace("when", "# when") if line.startswith("on") else text)

    assert str(problem).startswith(f"rules.toml:{place}: ")
    assert said in problem.message
    assert mend in problem.mend


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("", "`then` lists 1 to 8 targets"),
        ("then = []", "`then` lists 1 to 8 targets"),
        ("then = 5", "`then` lists 1 to 8 targets"),
        ("then = [" + "{ log = 'x' }, " * 9 + "]", "`then` lists 1 to 8 targets"),
        ("then = [5]", "a target is one of"),
        ('then = [{ webhok = "crm" }]', "a target is one of"),
        ('then = [{ webhook = "crm", topic = "t" }]', "a target is one of"),
        ('then = [{ webhook = "crm", tpe = "t" }]', "`tpe` is no key of webhook"),
        ('then = [{ webhook = "crm", severity = "page" }]', "`severity` is no key of webhook"),
        ('then = [{ alert = "crm", severity = "pge" }]', "`pge` is no severity"),
        ('then = [{ webhook = "http://x/y" }]', "this cannot be a webhook"),
        ("then = [{ webhook = 5 }]", "this cannot be a webhook"),
    ],
)
def test_a_target_that_is_none_is_told(then: str, said: str) -> None:
    """An action that goes nowhere is the mistake that nobody notices."""
    (problem,) = problems(f'[rule.a]\nwhen = "health < 40"\n{then}\n')

    assert said in problem.message
    assert problem.line == (3 if then else 1)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("a = 1", "1:1", "`a` is no part of a rule file"),
        ("[rules.a]\nx = 1", "1:2", "`rules` is no part of a rule file"),
        ("rule = 5", "1:1", "`rule` is no rule"),
        ("[rule]\na = 5", "2:1", "`a` is no rule"),
        ('[rule."a b"]\nwhen = "health < 1"', "1:2", "cannot name a rule"),
        ("[rule.a]\nthen = [{ log = 'x' }]", "1:2", "`a` has no condition"),
        ("[rule.a]\nwhen = \n", "2:8", "not TOML: Invalid value"),
        ("[rule.a]\nwhen = '", "2:8", "not TOML"),
        ("[rule.a]\n[rule.a]", "2:8", "was given before"),
        ("[rule.a]\nwhen = 'x'\nwhen = 'y'", "3:10", "was given before"),
        ("[rule.a]\ncap = {a = 1, a = 2}", "2:20", "was given before"),
        (b"[rule.a]\n  \xff", "2:3", "not UTF-8"),
        ("a = " + "9" * 5_000, "1:5004", "not TOML: Exceeds the limit"),
    ],
)
def test_a_file_that_is_none_is_told(text: str | bytes, place: str, said: str) -> None:
    """The first mistake of a new user is in the form."""
    (problem,) = problems(text)

    assert str(problem).startswith(f"rules.toml:{place}: ")
    assert said in problem.message


@pytest.mark.parametrize(
    "data", [b"a=" + b"[" * 20_000 + b"]" * 20_000, b"#" * (FILE_BYTES_MAX + 1)]
)
def test_a_file_beyond_its_bounds_is_refused(data: bytes) -> None:
    """A file is bounded in length and in depth, and neither takes the engine down."""
    (problem,) = problems(data)

    assert "too deeply" in problem.message or "at most 65536" in problem.message
    assert str(problem).startswith("rules.toml: ")


def test_mistakes_of_all_files_are_told_at_once() -> None:
    """Nobody wants to be told one mistake a reload."""
    files = {
        "a.toml": b"[rule.a]\nwhen='helth<4'\nthen=[{log='x'}]",
        "b.toml": b"[rule",
        "c.toml": b"x=1",
    }
    with pytest.raises(RulesError) as caught:
        load(files, names())

    assert [each.file for each in caught.value.problems] == ["a.toml", "b.toml", "c.toml"]


def test_mistakes_of_a_file_are_told_from_top_to_bottom() -> None:
    """They are mended so; the order in which they are found is ours alone."""
    found = problems("[rule.a]\nthen=[]\nwhen='helth<4'\nfor='1'\n[rule.b]\ncooldown='x'\n")

    assert [each.line for each in found] == [2, 3, 4, 5, 5, 6]


def test_a_name_is_given_once() -> None:
    """State is kept by name: two rules of one name would share it."""
    with pytest.raises(RulesError) as caught:
        load({"b.toml": GOOD.encode(), "a.toml": GOOD.encode()}, names())

    assert caught.value.problems[0].file == "b.toml"
    assert "another rule `vip`, in a.toml" in caught.value.problems[0].message


def test_rules_keep_the_order_of_files_and_lines() -> None:
    """Order of rules is order of actions: it must not depend on how a folder is listed."""
    files = {f"{name}.toml": GOOD.replace("vip", f"vip-{name}").encode() for name in "cab"}

    assert [rule.name for rule in load(files, names()).rules] == ["vip-a", "vip-b", "vip-c"]


def test_line_endings_and_a_byte_order_mark_do_not_matter() -> None:
    """Rules are written on Windows too."""
    (problem,) = problems(
        b"\xef\xbb\xbf"
        + GOOD.replace("orders_count >=", "orders >=").replace("\n", "\r\n").encode()
    )

    assert (problem.line, problem.column) == (5, 9)


@pytest.mark.slow
def test_a_thousand_rules_load_and_one_more_is_refused() -> None:
    """The bound is there to be reached."""
    rules = [GOOD.replace("vip", f"vip-{i}").replace("10", str(i)) for i in range(RULES_MAX + 1)]
    files = {
        f"{start:04}.toml": "".join(rules[start : start + 200]).encode()
        for start in range(0, 1_001, 200)
    }
    one_less = {**files, "1000.toml": b""}

    assert len(load(one_less, names()).rules) == RULES_MAX
    with pytest.raises(RulesError, match="there are 1001 rules"):
        load(files, names())


def test_the_mistakes_told_are_bounded() -> None:
    """A generated file may be wrong in every line."""
    found = problems("".join(f"x{number} = 1\n" for number in range(3 * PROBLEMS_MAX)))

    assert len(found) == PROBLEMS_MAX


@pytest.mark.slow
@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.text(max_size=3))
def test_no_file_does_more_than_fail_to_load(cut: int, end: int, noise: str) -> None:
    """A reload happens in a running engine."""
    for problem in problems(GOOD[:cut] + noise + GOOD[end:]):
        assert problem.message
        assert str(problem)
