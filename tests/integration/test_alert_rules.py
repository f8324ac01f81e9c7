"""The alerts that docs/operations.md gives to begin with are understood by Prometheus, and fire."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.machine import ROOT, promtool, require
from tests.streams.metrics_filled import filled

FENCE = re.compile(r"^Alerts to begin with:\n\n```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The block of the page as a file."""
    found = FENCE.search((ROOT / "docs" / "operations.md").read_text("utf-8"))
    assert found is not None
    file = tmp_path / "rules.yml"
    file.write_text(found[1], "utf-8")
    return file


def asked(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    path = promtool()
    require("promtool", path is not None, "install prometheus, which brings it")
    assert path is not None
    return subprocess.run([path, *arguments], capture_output=True, text=True, check=False)


def test_prometheus_takes_them_and_each_asks_for_a_metric_that_there_is(rules: Path) -> None:
    """An alert on a metric of another name is silent for ever."""
    checked = asked("check", "rules", rules)
    named = set(re.findall(r"rapport_[a-z_]+", rules.read_text("utf-8")))
    _, text = filled().text()

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "rules found" in checked.stdout
    assert rules.read_text("utf-8").count("alert: ") >= 7
    assert {each for each in named if each.encode() not in text} == set()


def test_a_redis_that_has_lost_commits_is_alerted_at_once_and_not_for_ever(rules: Path) -> None:
    """One worker of two notices, once; the counter of the other stands still."""
    series = [
        {"series": 'rapport_rollbacks_total{instance="one"}', "values": "0x4 1x40"},
        {"series": 'rapport_rollbacks_total{instance="two"}', "values": "0x45"},
    ]
    fired = {
        "exp_labels": {"instance": "one"},
        "exp_annotations": {"summary": summary_of(rules, "RapportRolledBack")},
    }
    times = {"4m": [], "5m": [fired], "6m": [fired], "20m": []}
    told = {
        "rule_files": [rules.name],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "alert_rule_test": [
                    {"eval_time": at, "alertname": "RapportRolledBack", "exp_alerts": alerts}
                    for at, alerts in times.items()
                ],
            }
        ],
    }
    file = rules.with_name("tests.yml")
    file.write_text(json.dumps(told), "utf-8")  # JSON is YAML
    tested = asked("test", "rules", file)

    assert tested.returncode == 0, tested.stdout + tested.stderr


def summary_of(rules: Path, alert: str) -> str:
    found = re.search(rf'alert: {alert}\n.*?summary: "(.*?)"', rules.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]
