"""Why a rule has fired or has not, asked of a running Rapport."""

import json
from pathlib import Path
from urllib.parse import quote

from tests.integration.test_up import counted, folder_with, order
from tests.integration.upstarted import Up, rapport, running_up

RULES = """
[rule.third-order]
version = 2
when = "count(order.placed, 30d) >= 3"
cooldown = "14d"
reason = "{count(order.placed, 30d)} orders"
then = [{ log = "told" }]
"""


def test_why_is_answered_by_http_and_by_the_command(tmp_path: Path) -> None:
    """Before it fires and after; and nothing of it is stored."""
    with running_up(folder_with(tmp_path, RULES), settings='rules = "rules"\n') as up:
        up.post(order(1), order(2))
        counted(up, "c-1", 2)
        before = up.ask("/v1/rules/third-order/why/c-1")
        assert before.body["sentence"] == (
            "did not fire: count(order.placed, 30d) is 2, needs >= 3"
        )
        assert before.body["fires"] == []
        up.post(order(3))
        counted(up, "c-1", 3)
        up.until(lambda: _delivered(up))

        told = up.ask("/v1/rules/third-order/why/c-1").body
        assert told["verdict"] == "fired"
        assert [(fire["cause"], fire["reason"]) for fire in told["fires"]] == [("e-3", "3 orders")]
        assert told["suppressed_by"][0]["restraint"] == "cooldown"
        at_ms = told["at_ms"] + 31 * 86_400_000
        later = up.ask(f"/v1/rules/third-order/why/c-1?at={at_ms}").body
        assert later["changes"][0]["value"] == 0.0

        _asks_by_command(tmp_path, at_ms)
        assert up.ask(f"/v1/rules/third-order/why/{quote('C-1')}").body["detail"].endswith("'c-1'?")


def _delivered(up: Up) -> bool:
    fires = up.ask("/v1/rules/third-order/why/c-1").body["fires"]
    return bool(fires) and fires[0]["status"] == "delivered"


def _asks_by_command(folder: Path, at_ms: int) -> None:
    shown = rapport("why", "third-order", "c-1", "--at", str(at_ms), folder=folder)
    assert shown.returncode == 0, shown.stderr
    assert "✗ count(order.placed, 30d) >= 3: is 0, needs >= 3" in shown.stdout
    assert "because of e-3: 3 orders (log told: delivered)" in shown.stdout
    as_json = rapport("why", "third-order", "c-1", "--json", folder=folder)
    assert json.loads(as_json.stdout)["verdict"] == "fired"
    unknown = rapport("why", "third-ordr", "c-1", folder=folder)
    assert (unknown.returncode, "did you mean `third-order`?" in unknown.stderr) == (1, True)
    wrong = rapport("why", "third-order", "c-1", "--at", "soon", folder=folder)
    assert (wrong.returncode, "--at: 'soon' is no time" in wrong.stderr) == (2, True)
