"""`rapport rules check`: mistakes, remarks, cost, and what makes it fail."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streams.cli import main

ODD = """
[rule.odd]
when = "health < 40 and health > 60"
then = [{ log = "x" }]

[rule.good]
when = "count(click.view, 3h) > 40"
then = [{ log = "x" }]
"""


@pytest.fixture(name="folder")
def folder_of_rules(tmp_path: Path) -> str:
    (tmp_path / "odd.toml").write_text(ODD)
    return str(tmp_path)


def called(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["rules", "check", *arguments])


def told(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(called(*arguments, "--json").stdout)
    return found


def test_remarks_are_told_and_are_no_mistakes(folder: str) -> None:
    """Whoever means it may go on."""
    found = called(folder)

    assert found.exit_code == 0
    assert found.stdout.splitlines()[:2] == [
        f"{folder}/odd.toml:2: odd: `health < 40` and `health > 60` never hold together",
        "  mend one of them, or write `or`",
    ]
    assert "2 rules, no mistakes, 1 remark\n" in found.stdout


def test_strict_makes_them_mistakes(folder: str) -> None:
    """In CI, a rule that never fires is not to be merged."""
    found = called(folder, "--strict")

    assert found.exit_code == 1
    assert "1 remark, with --strict" in found.stderr
    assert told(folder, "--strict")["ok"] is False
    assert told(folder)["ok"] is True


def test_json_has_remarks_and_cost(folder: str) -> None:
    """For who shows them beside the rule."""
    found = told(folder)

    (remark,) = found["remarks"]
    assert (remark["rule"], remark["code"], remark["line"]) == ("odd", "never", 2)
    assert found["rules"] == 2
    assert found["cost"]["rules"]["good"]["bytes"] > found["cost"]["rules"]["odd"]["bytes"]
    assert found["cost"]["total"]["ns"] > 0
    assert set(found["budget"]) == {"ns", "bytes"}


@pytest.mark.parametrize(
    ("option", "unit"), [("--budget-ns", "ns an event"), ("--budget-bytes", "bytes a customer")]
)
def test_a_budget_refuses_what_costs_more(folder: str, option: str, unit: str) -> None:
    """It names the rules that cost most, and the option."""
    found = called(folder, option, "8")

    assert found.exit_code == 1
    assert f"{unit}, the budget is 8; most by themselves: good (" in found.stderr
    assert f"see {option}" in found.stderr
    assert told(folder, option, "8")["ok"] is False
    assert called(folder, option, "0").exit_code == 2
