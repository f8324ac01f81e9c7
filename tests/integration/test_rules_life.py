"""The life of a rule in a running Rapport: by command, over HTTP, and after a restart."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streams.cli import main
from tests.integration.test_up import folder_with, order
from tests.integration.upstarted import Up, running_up

RULES = """
[rule.big-order]
version = 1
stage = "shadow"
on = "order.placed"
then = [{ log = "orders", type = "order.big" }]
"""
SETTINGS = 'rules = "rules"\n'


def shown(up: Up) -> dict[str, Any]:
    found: dict[str, Any] = up.ask("/v1/rules").body["rules"][0]
    return found


def withheld(up: Up) -> list[str]:
    """Of the actions, the oldest first, why each was withheld."""
    actions = up.ask("/v1/actions").body["actions"]
    return [each.get("withheld", "") for each in reversed(actions)]


def rules(*arguments: str) -> Result:
    """The command, in this process: twenty of them would take a minute to start."""
    return CliRunner().invoke(main, ["rules", *arguments])


def done(*arguments: str) -> dict[str, Any]:
    asked = rules(*arguments, "--json")
    assert asked.exit_code == 0, asked.stderr
    found: dict[str, Any] = json.loads(asked.stdout)
    return found


def test_a_rule_is_promoted_paused_and_resumed_while_it_runs_and_a_restart_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two batches, within a second, without a restart, and with a name to each."""
    folder = folder_with(tmp_path, RULES)
    monkeypatch.chdir(folder)
    with running_up(folder, settings=SETTINGS) as up:
        up.post(order(1))
        up.until(lambda: withheld(up) == ["shadow"])
        told = done("promote", "big-order", "--to", "live", "--by", "ann")
        assert (told["from"], told["to"], told["by"]) == ("shadow", "live", "ann")
        up.until(lambda: shown(up)["stage"] == "live", within_s=5)
        up.post(order(2))
        up.until(lambda: withheld(up) == ["shadow", ""])
        paused = up.ask("/v1/rules/big-order/pause", b'{"why": "too loud", "by": "bob"}')
        assert (paused.status, paused.body["what"]) == (200, "pause")
        up.until(lambda: shown(up)["paused"], within_s=5)
        assert 'rapport_rule_paused{rule="big-order"} 1.0' in up.ask("/metrics").body
        up.post(order(3))
        up.until(lambda: 'outcome="admitted"} 3.0' in up.ask("/metrics").body)
        why = up.ask("/v1/rules/big-order/why/c-1").body["suppressed_by"]
        assert [(each["restraint"], each["until_ms"]) for each in why] == [("snooze", None)]
    with running_up(folder, settings=SETTINGS) as up:
        assert shown(up)["paused"]["why"] == "too loud"
        up.post(order(4))
        up.until(lambda: 'outcome="admitted"} 1.0' in up.ask("/metrics").body)
        assert withheld(up) == ["shadow", ""]
        done("resume", "big-order")
        up.until(lambda: not shown(up)["paused"], within_s=5)
        up.post(order(5))
        up.until(lambda: withheld(up) == ["shadow", "", ""])
        history = up.ask("/v1/rules/history?rule=big-order").body["history"]
        assert [each["what"] for each in history] == ["resume", "pause", "promote", "reload"]


def test_the_commands_show_what_was_said_and_refuse_what_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the nearest name, the place, and an exit code."""
    folder = folder_with(tmp_path, RULES)
    monkeypatch.chdir(folder)
    with running_up(folder, settings=SETTINGS) as up:
        snoozed = done("snooze", "big-order", "--for", "2d")
        of_one = done("snooze", "big-order", "--customer", "c-7", "--until", "2090-01-01")
        assert snoozed["until_ms"] - snoozed["at_ms"] == 2 * 86_400_000
        assert (of_one["customer_id"], of_one["until_ms"]) == ("c-7", 3_786_912_000_000)
        canary = rules("promote", "big-order", "--share", "25%")
        assert canary.stdout.startswith("big-order: from shadow to canary 25%; 0 fires an hour are")
        listed = rules("list").stdout.splitlines()[1].split("\t")
        assert listed[2] == "canary 25%"
        assert "canary 25% by " in listed[3]
        assert "snoozed until " in listed[3]
        assert "snoozed for 1 customer" in listed[3]
        history = rules("history").stdout.splitlines()
        assert [line.split("\t")[3].split(" ")[0] for line in history] == [
            *("what", "from", "snoozed", "snoozed", "reload:")
        ]
        done("resume", "big-order", "--customer", "c-7")
        done("resume", "big-order")
        up.until(lambda: shown(up)["stage"] == "canary 25%", within_s=5)

        for arguments, code, words in (
            (("pause", "big-ordr"), 1, "did you mean `big-order`?"),
            (("resume", "big-order"), 1, "neither paused nor snoozed"),
            (("promote", "big-order", "--to", "canary", "--share", "25%"), 1, "already"),
            (("promote", "big-order", "--to", "liv"), 2, "there is no stage 'liv'"),
            (("promote", "big-order", "--to", "live", "--share", "5%"), 2, "belongs to a canary"),
            (("promote", "big-order", "--expect", "many"), 2, "write 20/h"),
            (("snooze", "big-order"), 2, "one of --until TIME and --for TIME"),
            (("snooze", "big-order", "--for", "never"), 2, "a snooze ends"),
            (("snooze", "big-order", "--until", "soon"), 2, "'soon' is no time"),
            (("history", "big-order", "--limit", "0"), 2, "from 1 to 1,000"),
        ):
            asked = rules(*arguments)
            assert (asked.exit_code, words in asked.stderr) == (code, True), asked.stderr
        _refused_over_http(up)
    asked = rules("pause", "big-order")
    assert (asked.exit_code, "rapport up --data" in asked.stderr) == (1, True)


def _refused_over_http(up: Up) -> None:
    for path, body, status, words in (
        ("big-ordr/pause", b"", 404, "did you mean `big-order`?"),
        ("big-order/resume", b"", 409, "neither paused nor snoozed"),
        ("big-order/snooze", b'{"for": "x"}', 400, "must be a time"),
        ("big-order/snooze", b'{"four": "2d"}', 400, "unknown field `four`"),
        ("big-order/pause", b'{"why": "two\\nlines"}', 409, "cannot be shown"),
    ):
        answer = up.ask(f"/v1/rules/{path}", body)
        assert (answer.status, words in answer.body["detail"]) == (status, True), answer.body
    assert up.ask("/v1/rules/history?limit=0").status == 400
    assert up.ask("/v1/rules/history?rule=none").status == 404
