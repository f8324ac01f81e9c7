"""A receiver that wanted no more comes back: the way of an operator, with everything as installed."""

import json
import time
from pathlib import Path

import pytest

from tests.faults.bad_receiver import Answer, Request, bad_receiver
from tests.integration.upstarted import rapport, running_up

RULES = """
[rule.placed]
version = 1
describe = "Tell of each order"
on = "order.placed"
when = "amount > 0"
reason = "An order"
then = [{ webhook = "crm", type = "placed" }]
"""


def order(number: int) -> dict[str, object]:
    at_ms = time.time_ns() // 1_000_000
    named = {"id": f"e{number}", "type": "order", "action": "placed"}
    return {**named, "customer_id": "c1", "at_ms": at_ms, "amount": 5}


def missed(folder: Path) -> list[object]:
    """What `rapport dlq actions` shows of the endpoint."""
    told = rapport("dlq", "actions", "--endpoint", "crm", "--json", folder=folder).stdout
    found: list[object] = json.loads(told)["actions"]
    return found


@pytest.mark.slow
def test_what_a_disabled_endpoint_missed_is_sent_again_once_it_is_enabled(tmp_path: Path) -> None:
    """It said 410 by mistake; what came meanwhile is listed, and arrives after two commands."""
    came: list[str] = []
    is_gone = True

    def answer(request: Request) -> Answer:
        came.append(json.loads(request.body)["data"]["cause"])
        return Answer(status=410 if is_gone else 204)

    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.toml").write_text(RULES)
    with bad_receiver(answer) as receiver:
        settings = f'rules = "rules"\n[endpoints.crm]\nurl = "{receiver.url("crm")}"\n'
        with running_up(tmp_path, settings=settings) as up:
            up.post(order(1))
            up.until(lambda: came)
            up.post(order(2), order(3))
            up.until(lambda: len(missed(tmp_path)) == 3)
            assert came == ["e1"]
            assert "disabled" in rapport("endpoints", "list", folder=tmp_path).stdout

            is_gone = False
            assert rapport("endpoints", "enable", "crm", folder=tmp_path).returncode == 0
            rapport("dlq", "resend", "--endpoint", "crm", folder=tmp_path)
            up.until(lambda: len(came) == 4)
            up.until(lambda: not missed(tmp_path))
            states = {each["status"] for each in up.ask("/v1/actions").body["actions"]}
            disabled = 'rapport_endpoints{state="disabled"} 0.0'
            up.until(lambda: disabled in up.ask("/metrics").body)  # told each few seconds

    assert sorted(came) == ["e1", "e1", "e2", "e3"]
    assert states <= {"delivered", "pending"}
