"""Rules change under a running Rapport: without a restart, and never into something broken."""

import json
from pathlib import Path
from typing import Any

from tests.integration.test_up import folder_with, order
from tests.integration.upstarted import Up, rapport, running_up

FIRST = """
[rule.big-order]
version = 1
on = "order.placed"
when = "amount > 1000"
then = [{ log = "orders", type = "order.big" }]
"""
SECOND = FIRST.replace("1000", "5 and count(order.placed, 30d) >= 2").replace(
    "version = 1", "version = 2"
)
BROKEN = FIRST.replace("amount", "amout")


def rules_of(up: Up) -> Any:  # noqa: ANN401  JSON
    return up.ask("/v1/rules").body


def fired(up: Up) -> list[tuple[str, int]]:
    actions = up.ask("/v1/actions").body["actions"]
    return [(each["rule"], each["version"]) for each in actions]


def folded(up: Up, count: int) -> None:
    up.until(lambda: f'outcome="admitted"}} {count}.0' in up.ask("/metrics").body)


def test_a_changed_file_is_in_force_within_seconds_and_keeps_what_was_counted(
    tmp_path: Path,
) -> None:
    """The new rule asks for a new aggregate; customers keep all the others."""
    folder = folder_with(tmp_path, FIRST)
    with running_up(folder, "--rules", "rules") as up:
        up.post(order(1))
        folded(up, 1)
        assert fired(up) == []
        (folder / "rules" / "mine.toml").write_text(SECOND)
        up.until(lambda: rules_of(up)["rules"][0]["version"] == 2)
        up.post(order(2), order(3))
        folded(up, 3)
        up.until(lambda: fired(up))

        assert fired(up) == [("big-order", 2)]
        assert up.ask("/v1/customers/c-1").body["orders_count"] == 3


def test_a_broken_file_keeps_the_old_rules_and_is_told_everywhere(tmp_path: Path) -> None:
    """Somebody saves a file half written while orders come in."""
    folder = folder_with(tmp_path, FIRST)
    with running_up(folder, "--rules", "rules") as up:
        (folder / "rules" / "mine.toml").write_text(BROKEN)
        told = up.until(lambda: rules_of(up)["error"])
        asked = rapport("rules", "reload", "--to", up.url, folder=tmp_path)
        up.post(order(1, amount=2000.0))
        up.until(lambda: fired(up))

        assert "mine.toml:5:" in told
        assert (asked.returncode, "mine.toml:5:" in asked.stderr) == (1, True)
        assert fired(up) == [("big-order", 1)]
        assert 'rapport_rules_reloads_total{result="refused"}' in up.ask("/metrics").body
        assert "mine.toml:5:" in up.log.read_text()

        (folder / "rules" / "mine.toml").write_text(SECOND)
        mended = rapport("rules", "reload", "--to", up.url, "--json", folder=tmp_path)
        assert mended.returncode == 0
        assert json.loads(mended.stdout)["error"] is None
        assert rules_of(up)["rules"][0]["version"] == 2


def test_a_file_that_is_added_or_removed_is_noticed(tmp_path: Path) -> None:
    """A rule goes out of force as it came: by its file."""
    folder = folder_with(tmp_path, FIRST)
    with running_up(folder, "--rules", "rules") as up:
        more = folder / "rules" / "more.toml"
        more.write_text(FIRST.replace("big-order", "another"))
        up.until(lambda: len(rules_of(up)["rules"]) == 2)
        more.unlink()
        up.until(lambda: len(rules_of(up)["rules"]) == 1)

        assert rules_of(up)["rules"][0]["name"] == "big-order"
