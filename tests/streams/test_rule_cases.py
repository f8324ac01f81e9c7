"""The cases of a test file: every mistake in it is told, before anything runs."""

from pathlib import Path

import pytest

from processors.model_file import default_model
from rules.errors import RulesError
from streams.rule_tests import run

RULES = """
[rule.third]
on = "order.placed"
when = "count(order.placed, 1d) >= 3"
then = [{ log = "x" }]
"""
THREE = 'events = [{ at = "0s", type = "order.placed", amount = 9, times = 3, every = "10m" }]'


def written(folder: Path, cases: str) -> Path:
    (folder / "shop.toml").write_text(RULES)
    file = folder / "shop.test.toml"
    file.write_text(cases)
    return file


@pytest.mark.parametrize(
    ("text", "line", "message", "mend"),
    [
        ("nme = 1", 1, "`nme` is not known here", "keys are rules, case"),
        ("[[case]]\nname = 'a'\nevnts = []", 3, "`evnts` is not known here", "`events`"),
        ("[[case]]\nname = 'a'", 1, "a case has `events`", "at least one"),
        ("[[case]]\nevents = [{ at = '0s', type = 'click.a' }]", 1, "a case has a `name`", "say"),
        ("case = 3", 1, "a test file has 1 to", "[[case]]"),
        ("rules = 3", 1, "`rules` takes names of files", "churn.toml"),
        ("rules = ['shop.toml', 'gone.toml']", 1, "there is no file", "as seen from this one"),
        ("rules = ", 1, "this is not TOML", ""),
    ],
)
def test_a_mistake_in_a_test_file_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, message: str, mend: str
) -> None:
    """Before anything runs: a case with a slip in it would pass for the wrong reason."""
    with pytest.raises(RulesError) as caught:
        run([written(tmp_path, text)], default_model())

    found = [each for each in caught.value.problems if message in each.message]
    assert [(each.line, mend in each.mend) for each in found] == [(line, True)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('events = [{ at = "soon", type = "click.a" }]', "'soon' is no duration"),
        ('events = [{ type = "click.a" }]', "`at` is missing"),
        ('events = [{ at = "0s", type = "click" }]', "`type` takes a kind and an action"),
        ('events = [{ at = "0s", type = "clik.a" }]', "this is no event: type is"),
        ('events = [{ at = "0s", type = "order.placed" }]', "this is no event: amount is missing"),
        ('events = [{ at = "0s", type = "click.a", amount = "x" }]', "this is no event: amount is"),
        ('events = [{ at = "0s", type = "click.a", customer = 7 }]', "customer_id is 7"),
        ('events = [{ at = "0s", type = "click.a", customer_id = "x" }]', "`customer_id` is not"),
        (
            'events = [{ at = "0s", type = "click.a", times = 2 }]',
            "`times` and `every` go together",
        ),
        ('events = [{ at = "0s", type = "click.a", times = 0 }]', "whole number from 1"),
        (
            'events = [{ at = "0s", type = "click.a", times = 10001, every = "1s" }]',
            "at most 10000 events",
        ),
        ("events = 7", "`events` takes a list of tables"),
        (f'{THREE}\nfires = [{{ rule = "thrd", at = "20m" }}]', "there is no rule `thrd`"),
        (
            f'{THREE}\nfires = [{{ rule = "third", at = "21m" }}]',
            "time does not go on to this fire",
        ),
        (f'{THREE}\nfires = [{{ rule = "third", at = 20 }}]', "20 is no duration"),
        (f'{THREE}\nfires_not = ["quiet"]', "there is no rule `quiet`"),
        (f'{THREE}\nonly = "third"', "`only` takes a list of rules"),
        (f'{THREE}\nstart = "noon"', "noon is no time"),
        (f'{THREE}\nuntil = "1 day"', "'1 day' is no duration"),
    ],
)
def test_a_mistake_in_a_case_is_told_with_its_mend(
    tmp_path: Path, lines: str, message: str
) -> None:
    """On the line on which it stands."""
    with pytest.raises(RulesError) as caught:
        run([written(tmp_path, f"[[case]]\nname = 'a case'\n{lines}")], default_model())

    found = [each for each in caught.value.problems if message in each.message]
    assert len(found) == 1, caught.value
    assert found[0].line == 3 + lines.count("\n")
