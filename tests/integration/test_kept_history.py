"""What `rapport up` has folded is a history for backtests, while it runs and after a restart."""

import json
import time
from functools import partial
from pathlib import Path

from tests.corpus import good
from tests.integration.upstarted import Up, rapport, running_up

RULE = """
[rule.any]
on = "order.placed"
then = [{ log = "x" }]
"""


def _is_known(up: Up, customer_id: str) -> bool:
    return up.ask(f"/v1/customers/{customer_id}").status == 200


def test_a_rule_is_tried_out_on_what_the_shop_has_seen(tmp_path: Path) -> None:
    """Without anybody having kept a file; and beside the engine, which goes on."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "any.toml").write_text(RULE)
    told = []
    for first in (0, 3):
        with running_up(tmp_path, settings='rules = "rules"\n') as up:
            now_ms = time.time_ns() // 1_000_000
            up.post(
                *(
                    good(id=str(n), customer_id=str(n), at_ms=now_ms)
                    for n in range(first, first + 3)
                )
            )
            up.until(partial(_is_known, up, str(first + 2)))
            answer = rapport("rules", "backtest", "--rules", "rules", "--json", folder=tmp_path)
            assert answer.returncode == 0, answer.stderr
            told.append(json.loads(answer.stdout))

    assert [each["rules"]["any"]["fires"] for each in told] == [3, 6]
    assert [each["events_read"] for each in told] == [3, 6]
