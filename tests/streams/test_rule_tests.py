"""Tests of rules: what passes must, what fails must, and what is said of it."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from processors.model_file import default_model
from streams.cli import main
from streams.rule_tests import Report, run, uncovered
from tests.machine import ROOT

RULES = """
[rule.third]
on = "order.placed where amount > 5"
when = "count(order.placed, 1d) >= 3"
unless = "count(order.cancelled) > 0 or count(order.returned) > 0"
reason = "{count(order.placed, 1d)} today"
then = [{ webhook = "crm" }, { log = "x" }]

[rule.quiet-since]
when = "since(order.placed) > 2h"
cooldown = "1d"
then = [{ log = "x" }]
"""
THREE = 'events = [{ at = "0s", type = "order.placed", amount = 9, times = 3, every = "10m" }]'
FIRES = 'fires = [{ rule = "third", at = "20m" }]'


def write(folder: Path, cases: str, rules: str = RULES, name: str = "shop") -> Path:
    (folder / f"{name}.toml").write_text(rules)
    file = folder / f"{name}.test.toml"
    file.write_text(cases)
    return file


def ran(folder: Path, *lines: str, rules: str = RULES) -> Report:
    """One case with these lines."""
    text = "\n".join(("[[case]]", 'name = "a case"', *lines))
    return run([write(folder, text, rules)], default_model())


def said(folder: Path, *lines: str) -> list[tuple[str, str]]:
    return [(each.expected, each.got) for each in ran(folder, *lines).failures]


def test_a_fire_that_comes_when_it_should_passes(tmp_path: Path) -> None:
    """The rule has two targets; that is one fire."""
    report = ran(tmp_path, THREE, FIRES)

    assert (report.files, report.cases, report.failed, report.failures) == (1, 1, 0, [])


@pytest.mark.parametrize(
    ("fire", "expected"),
    [
        ('{ rule = "third", at = "19m 59s" }', "third at 19m 59s"),
        ('{ rule = "third", at = "20m", customer = "d" }', "third at 20m for d"),
        (
            '{ rule = "third", at = "20m", reason = "4 today" }',
            "third at 20m, the reason with '4 today'",
        ),
    ],
)
def test_a_fire_that_is_not_the_expected_one_is_told_beside_it(
    tmp_path: Path, fire: str, expected: str
) -> None:
    """Another second, another customer, another reason: each is another fire; and it is told once."""
    assert said(tmp_path, THREE, f"fires = [{fire}]") == [
        (expected, "third at 20m for c: 3 today"),
    ]


def test_a_fire_that_nobody_expects_fails(tmp_path: Path) -> None:
    """Said in two ways: it was excluded by name, or nobody thought of it."""
    got = "third at 20m for c: 3 today"

    assert said(tmp_path, THREE, 'fires_not = ["third"]') == [("no fire of third", got)]
    assert said(tmp_path, THREE) == [("no such fire of third", got)]
    assert said(tmp_path, THREE, 'only = ["quiet-since"]') == []
    assert said(tmp_path, THREE, 'only = ["third"]') == [("no such fire of third", got)]
    assert said(tmp_path, THREE, 'only = []\nfires_not = ["third"]') != []


def test_a_fire_is_expected_as_often_as_it_is_written(tmp_path: Path) -> None:
    """Two fires of one second are two; each expectation takes one, the vague one that which is left."""
    events = (
        'events = [{ at = "0s", type = "order.placed", amount = 9, times = 3, every = "10m" },'
        '{ at = "0s", type = "order.placed", amount = 9, times = 3, every = "10m", customer = "d" }]'
    )
    vague, exact = (
        '{ rule = "third", at = "20m" }',
        '{ rule = "third", at = "20m", customer = "c" }',
    )

    assert said(tmp_path, events, f"fires = [{vague}, {exact}]") == []
    assert len(said(tmp_path, events, f"fires = [{exact}]")) == 1
    assert len(said(tmp_path, events, f"fires = [{vague}, {exact}, {vague}]")) == 1


def test_time_goes_on_until_it_is_said_to_stop(tmp_path: Path) -> None:
    """What time alone brings is seen only by who waits for it."""
    event = 'events = [{ at = "1h", type = "order.placed", amount = 1 }]'
    fires = 'fires = [{ rule = "quiet-since", at = "3h" }]'

    assert said(tmp_path, event) == []
    assert said(tmp_path, event, 'until = "2h 1s"', fires) == []
    assert said(tmp_path, event, 'until = "1h"') == []


def test_what_held_a_rule_back_is_told(tmp_path: Path) -> None:
    """Without it, one looks for the mistake in the condition."""
    events = 'events = [{ at = "0s", type = "order.placed", amount = 1, times = 2, every = "5h" }]'
    both = (
        'fires = [{ rule = "quiet-since", at = "2h" }, { rule = "quiet-since", at = "7h" }]\n'
        'until = "3h"'
    )

    ((expected, got),) = said(tmp_path, events, both)
    assert expected == "quiet-since at 7h"
    assert got.startswith("quiet-since at 2h 1ms for c: the time since the last order.placed")
    assert got.endswith("; held back by cooldown: 1")


def test_hold_outs_and_stages_do_not_decide_a_test(tmp_path: Path) -> None:
    """Which customer a hash leaves out is luck; a draft is tested before it is promoted."""
    held_out = RULES.replace("[rule.third]", '[rule.third]\nholdout = "99.99%"')

    assert ran(tmp_path, THREE, FIRES, rules=held_out).failures == []
    for stage in ("draft", "shadow", "canary 0.01%"):
        staged = RULES.replace("[rule.third]", f'[rule.third]\nstage = "{stage}"')
        assert ran(tmp_path, THREE, FIRES, rules=staged).failures == [], stage


def test_events_come_in_the_order_of_their_times_from_the_start_that_is_given(
    tmp_path: Path,
) -> None:
    """A test is read by what belongs together, not by the clock; quiet hours need the hour of the day."""
    rules = (
        '[rule.a]\non = "click.b"\nwhen = "count(click.a) = 1"\nthen = [{ log = "x" }]\n'
        'quiet = { from = "22:00", to = "08:00" }'
    )
    events = 'events = [{ at = "1h", type = "click.b" }, { at = "0s", type = "click.a" }]'
    until, at_once = 'until = "1d"', 'fires = [{ rule = "a", at = "1h" }]'
    morning = 'fires = [{ rule = "a", at = "11h" }]'

    assert ran(tmp_path, events, at_once, until, rules=rules).failures == []
    for start in ("2026-03-01T21:00:00Z", '"2026-03-01T21:00"', "2026-03-01T22:00:00+01:00"):
        found = ran(tmp_path, f"start = {start}", events, morning, until, rules=rules)
        assert found.failures == [], start


def test_the_rules_are_those_of_the_same_name_or_those_that_are_named(tmp_path: Path) -> None:
    """One file by its name needs no word; several are one set."""
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep", "", '[rule.other]\non = "order.*"\nthen = [{ log = "x" }]\n', "other")
    (tmp_path / "deep" / "other.test.toml").unlink()
    case = f'[[case]]\nname = "a"\n{THREE}\nonly = ["third"]\n{FIRES}\nfires_not = ["quiet-since"]'
    listed = f'rules = ["shop.toml", "deep/other.toml"]\n{case}'

    alone = run([write(tmp_path, case)], default_model())
    both = run([write(tmp_path, listed)], default_model())

    assert alone.failures == both.failures == []
    assert len(alone.coverage.rules) == 2
    assert len(both.coverage.rules) == 3


def test_the_coverage_counts_fires_and_clauses_seen_true_and_seen_false(tmp_path: Path) -> None:
    """Of a rule with `on`, at its own events; `unless` counts as the clause that it forbids."""
    report = ran(tmp_path, THREE, FIRES)
    third, quiet = report.coverage.rules.values()

    assert [(each.text, each.seen_true, each.seen_false) for each in third.clauses] == [
        ("amount > 5", 3, 0),
        ("count(order.placed, 1d) >= 3", 1, 2),
        ("not (count(order.cancelled) > 0 or count(order.returned) > 0)", 3, 0),
    ]
    assert third.fires == 1
    assert (quiet.fires, quiet.met, quiet.of) == (0, 1, 3)
    assert (report.coverage.met, report.coverage.of) == (6, 10)
    assert dict(uncovered(report.coverage)) == {
        f"{tmp_path / 'shop.toml'}:2: third": [
            "never false: amount > 5",
            "never false: not (count(order.cancelled) > 0 or count(order.returned) > 0)",
        ],
        f"{tmp_path / 'shop.toml'}:9: quiet-since": [
            "never fired",
            "never true: since(order.placed) > 2h",
        ],
    }


def test_a_rule_file_without_a_test_counts_as_not_covered(tmp_path: Path) -> None:
    """Else the share would rise by leaving tests out."""
    write(tmp_path, f'[[case]]\nname = "a"\n{THREE}\n{FIRES}')
    (tmp_path / "new.toml").write_text('[rule.new]\non = "order.*"\nthen = [{ log = "x" }]\n')

    report = run([tmp_path], default_model())

    assert report.untested == [str(tmp_path / "new.toml")]
    assert (report.coverage.met, report.coverage.of) == (6, 11)


def test_the_example_of_the_reference_passes_and_fails_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People copy the example, and compare what they see with what stands there."""
    page = (ROOT / "docs" / "rules.md").read_text("utf-8")
    (rules,) = [each for each in blocks(page, "toml") if "[rule.cart-reminder]" in each]
    (case,) = blocks(page, "toml-test")
    (told,) = [each for each in blocks(page, "text") if "expected:" in each]
    monkeypatch.chdir(tmp_path)
    Path("my-rules").mkdir()
    write(Path("my-rules"), case, rules, "carts")
    assert called("my-rules").exit_code == 0

    write(Path("my-rules"), case.replace('at = "2h 10m"', 'at = "2h"'), rules, "carts")
    assert called("my-rules").stdout == told


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def called(*words: str) -> Result:
    return CliRunner().invoke(main, ["rules", "test", *words])


def test_the_command_tells_failures_and_coverage_and_ends_with_1(tmp_path: Path) -> None:
    """It runs where a merge is decided."""
    file = write(tmp_path, f'[[case]]\nname = "a case"\n{THREE}')

    found = called(str(tmp_path))
    told = json.loads(called(str(file), "--json").stdout)

    assert found.exit_code == 1
    assert found.stdout.startswith(
        f"{file}:1: a case\n  expected: no such fire of third\n       got: third at 20m for c: 3 today\n"
        "1 case in 1 file, 1 failed\ncoverage: 60.0% (6 of 10)\n"
    )
    assert told["ok"] is False
    assert told["failures"][0]["got"] == "third at 20m for c: 3 today"
    assert told["coverage"]["rules"][0]["clauses"][0] == {
        "text": "amount > 5",
        "seen_true": 3,
        "seen_false": 0,
    }


def test_too_little_coverage_is_a_failure_where_it_was_asked_for(tmp_path: Path) -> None:
    """A suite that passes may still look at nothing."""
    write(tmp_path, f'[[case]]\nname = "a case"\n{THREE}\n{FIRES}')

    assert called(str(tmp_path)).exit_code == 0
    assert called(str(tmp_path), "--min-coverage", "60%").exit_code == 0
    assert called(str(tmp_path), "--min-coverage", "60.1%").exit_code == 1
    assert (
        json.loads(called(str(tmp_path), "--min-coverage", "61%", "--json").stdout)["ok"] is False
    )
    assert called(str(tmp_path), "--min-coverage", "61").exit_code == 2


def test_a_folder_without_tests_is_no_success(tmp_path: Path) -> None:
    """A wrong name of a folder must not be green for ever."""
    (tmp_path / "shop.toml").write_text(RULES)

    assert called(str(tmp_path)).exit_code == 1
    assert called(str(tmp_path / "gone")).exit_code == 2
    assert called(str(tmp_path / "shop.toml")).exit_code == 2


def test_mistakes_are_json_where_that_was_asked_for(tmp_path: Path) -> None:
    """With their places, as `rapport rules check` has them."""
    found = called(str(write(tmp_path, "case = 1")), "--json")

    assert found.exit_code == 1
    assert json.loads(found.stdout)["problems"][0]["line"] == 1
