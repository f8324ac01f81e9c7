"""Everything in one process, as a user starts it, feeds it, asks it and ends it."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from streams.keys import Keys
from streams.redis_server import RedisServer
from streams.store import Connection
from tests.integration.upstarted import Up, rapport, running_up
from tests.machine import ROOT, require
from tests.receiver import Receiver, running_receiver

RETAIL = ROOT.parent / "shared/data/retail/online_retail_2010-12_2011-06.parquet"
SECRET = "whsec_" + "c2VjcmV0cyBvZiB0ZXN0cyBhcmUgbm8gc2VjcmV0cw=="
RULES = """
[rule.first-order]
version = 1
on = "order.placed"
when = "count(order.placed) = 1"
reason = "A first order of {amount:.2f}"
then = [{ webhook = "crm", type = "order.first" }, { webhook = "nobody", type = "order.first" }]
"""


def order(number: int, customer: str = "c-1", amount: float = 10.25) -> dict[str, object]:
    return {
        "id": f"e-{number}",
        "type": "order",
        "action": "placed",
        "customer_id": customer,
        "at_ms": time.time_ns() // 1_000_000,
        "amount": amount,
    }


def folder_with(folder: Path, rules: str = RULES) -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "mine.toml").write_text(rules)
    return folder


def view(up: Up, customer: str) -> Any:  # noqa: ANN401  JSON
    answer = up.ask(f"/v1/customers/{customer}")
    return answer.body if answer.status == 200 else None


def counted(up: Up, customer: str, orders: int) -> Any:  # noqa: ANN401  JSON
    return up.until(lambda: (found := view(up, customer)) and found["orders_count"] == orders)


async def test_an_event_becomes_a_profile_and_a_signed_action_within_moments(
    tmp_path: Path,
) -> None:
    """The whole way, once: this is what people install it for."""
    async with running_receiver() as receiver:
        settings = (
            f'rules = "rules"\n[endpoints.crm]\nurl = "{receiver.url}"\nsecret = "{SECRET}"\n'
        )
        await asyncio.to_thread(_first_order, folder_with(tmp_path), settings, receiver)
    (received,) = receiver.received
    headers = {name.lower(): value for name, value in received.headers.items()}
    payload = Webhook(SECRET).verify(received.body, headers)

    assert payload["type"] == "order.first"
    assert payload["data"]["customer_id"] == "c-1"
    assert payload["data"]["reason"] == "A first order of 10.25"


def _first_order(folder: Path, settings: str, receiver: Receiver) -> None:
    with running_up(folder, settings=settings) as up:
        assert up.post(order(1)).body == {"accepted": 1, "rejected": []}
        counted(up, "c-1", 1)
        found = up.until(lambda: _settled(up))
        by_endpoint = {each["target"]["name"]: each for each in found}

        assert by_endpoint["crm"]["status"] == "delivered"
        assert by_endpoint["nobody"]["status"] == "rejected"
        assert "there is no endpoint nobody" in by_endpoint["nobody"]["note"]
        assert receiver.received
        code, seconds = up.stop()
        assert code == 0
        assert seconds < 2.0


def _settled(up: Up, count: int = 2) -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = up.ask("/v1/actions").body["actions"]
    is_settled = len(actions) == count and all(each["status"] != "pending" for each in actions)
    return actions if is_settled else []


async def late(_request: web.Request) -> web.StreamResponse:
    """An endpoint that takes so long that a sender can be ended meanwhile."""
    await asyncio.sleep(0.3)
    return web.Response(status=204)


async def test_what_is_under_way_at_a_stop_is_not_sent_again(tmp_path: Path) -> None:
    """A receiver may drop what it knows; it should not have to at each restart of ours."""
    async with running_receiver() as receiver:
        receiver.otherwise = late
        settings = f'rules = "rules"\n[endpoints.crm]\nurl = "{receiver.url}"\n'
        await asyncio.to_thread(_stopped_meanwhile, folder_with(tmp_path), settings, receiver)

    assert len({each.headers["webhook-id"] for each in receiver.received}) == 2
    assert len(receiver.received) == 2


def _stopped_meanwhile(folder: Path, settings: str, receiver: Receiver) -> None:
    with running_up(folder, settings=settings) as up:
        up.post(order(1))
        up.until(lambda: receiver.received)
        assert up.stop()[0] == 0
    with running_up(folder, settings=settings) as up:
        up.post(order(2, "c-2"))
        up.until(lambda: len(_settled(up, 4)) == 4)


def test_a_history_sets_off_nothing_unless_it_is_told_to(tmp_path: Path) -> None:
    """Last year's orders call nobody; what they would have set off can be read, and counted."""
    year_ms = 365 * 86_400_000
    folder = folder_with(tmp_path)
    old = [{**order(n, f"c-{n}"), "at_ms": time.time_ns() // 1_000_000 - year_ms} for n in (1, 2)]
    with running_up(folder, "--rules", "rules") as up:
        up.post(old[0])
        stale = up.until(lambda: _settled(up))
        count = 'rapport_actions_total{kind="webhook",result="stale"} 2.0'
        up.until(lambda: count in up.ask("/metrics").body)  # counted right after they are recorded
    with running_up(folder, "--rules", "rules", "--stale-after", "never") as up:
        up.post(old[1])
        counted(up, "c-2", 1)
        both = up.until(lambda: (f := up.ask("/v1/actions").body["actions"]) and len(f) == 4 and f)

    assert {each["status"] for each in stale} == {"stale"}
    assert {each["customer_id"] for each in both if each["status"] != "stale"} == {"c-2"}


def test_the_second_start_goes_on_where_the_first_has_ended(tmp_path: Path) -> None:
    """What was accepted is on disk, and is not folded twice."""
    folder = folder_with(tmp_path)
    with running_up(folder, "--rules", "rules") as up:
        assert up.post(order(1), order(2)).body["accepted"] == 2
        code, seconds = up.stop()
        assert (code, seconds < 2.0) == (0, True)
    with running_up(folder, "--rules", "rules") as up:
        counted(up, "c-1", 2)
        assert up.post(order(2), order(3)).body["accepted"] == 2
        counted(up, "c-1", 3)
        assert len(up.ask("/v1/actions").body["actions"]) == 2  # one fire, two targets
        assert view(up, "c-1")["orders_amount"] == 30.75


def test_probes_metrics_and_commands_tell_how_it_is(tmp_path: Path) -> None:
    """Who is called at night asks these."""
    with running_up(folder_with(tmp_path), "--rules", "rules") as up:
        up.post(order(1, "c-9"), {"id": "bad"})
        counted(up, "c-9", 1)
        count = 'rapport_events_total{outcome="admitted"} 1.0'
        metrics = up.until(lambda: count in (body := up.ask("/metrics").body) and body)
        told = rapport("customer", "c-9", "--json", folder=tmp_path)
        doctor = rapport("doctor", "--rules", "rules", "--json", folder=tmp_path)

        assert up.ask("/readyz").body["checks"]["redis"]["ok"] is True
        assert up.ask("/livez").status == 200
        assert "rapport_profiles 1.0" in metrics
        assert json.loads(told.stdout) == view(up, "c-9")
        assert json.loads(doctor.stdout)["ok"] is True
        assert rapport("customer", "nobody", folder=tmp_path).returncode == 1


def test_dead_letters_are_listed_and_put_back(tmp_path: Path) -> None:
    """Somebody else's program may write into the log too; nothing of it is lost without a word."""
    with running_up(folder_with(tmp_path), "--rules", "rules") as up:
        connection = Connection(RedisServer(tmp_path / "rapport-data").address)
        connection.call("XADD", Keys.of(2).log, "*", "v", b'{"id": "x"')
        connection.close()

        def letters() -> Any:  # noqa: ANN401  JSON
            return json.loads(rapport("dlq", "list", "--json", folder=tmp_path).stdout)["letters"]

        (letter,) = up.until(letters)
        put_back = rapport("dlq", "replay", "--json", folder=tmp_path)
        (again,) = up.until(letters)

        assert (letter["shard"], letter["value"]) == (2, '{"id": "x"')
        assert json.loads(put_back.stdout)["put_back"] == 1
        assert again["position"] != letter["position"]


def test_an_address_that_is_taken_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """The most common mistake of a second terminal."""
    with running_up(folder_with(tmp_path)) as up:
        where = f"127.0.0.1:{up.port}"
        (tmp_path / "other").mkdir()
        second = rapport("up", "--http", where, folder=tmp_path / "other")
        same_data = rapport("up", "--http", "127.0.0.1:0", folder=tmp_path)

        assert second.returncode == same_data.returncode == 1
        assert f"{where} cannot be listened at" in second.stderr
        assert "Traceback" not in second.stderr + same_data.stderr
        assert "in use by another Rapport" in same_data.stderr
        assert up.ask("/readyz").status == 200


def test_another_number_of_partitions_is_refused(tmp_path: Path) -> None:
    """Customers would be looked for in other shards, and begun anew without a word."""
    with running_up(folder_with(tmp_path)) as up:
        up.stop()
    second = rapport("up", "--partitions", "8", folder=tmp_path)

    assert second.returncode == 1
    assert "set partitions to 4" in second.stderr


@pytest.mark.slow
def test_a_real_history_comes_to_the_published_totals_through_ingest(tmp_path: Path) -> None:
    """To the cent, summed over the profiles; a second run sends nothing again."""
    require("the retail data", RETAIL.exists(), "put them beside the checkout")
    sql = str(ROOT / "examples/online_retail.sql")
    with running_up(tmp_path) as up:
        command = ("ingest", "--to", up.url, "--sql", sql, "--set", f"file={RETAIL}", "--json")
        first = rapport(*command, folder=tmp_path)
        second = rapport(*command, folder=tmp_path)
        assert json.loads(first.stdout)["sent"] == 9_669, first.stderr
        assert json.loads(second.stdout)["resumed_at"] == 9_669
        assert first.stderr == second.stderr == ""  # libraries have nothing to say either
        up.until(lambda: 'outcome="admitted"} 9669.0' in up.ask("/metrics").body)
        socket = RedisServer(tmp_path / "rapport-data").address.path
        totals = sums(redis.Redis(unix_socket_path=str(socket)))

    assert totals == {
        "orders": 7_887,
        "buyers": 2_800,
        "amount": 3_540_070.961,
        "returns": 1_782,
        "returned": 361_416.88,
    }


def sums(client: redis.Redis) -> dict[str, float]:
    """What all profiles come to."""
    views = []
    with client:
        for number in range(4):
            keys = list(client.scan_iter(f"rapport:{{{number}}}:customer:*", count=1000))
            found = client.mget(keys)
            assert isinstance(found, list)
            views += [json.loads(each) for each in found if each is not None]
    return {
        "orders": sum(each["orders_count"] for each in views),
        "buyers": sum(each["orders_count"] > 0 for each in views),
        "amount": round(sum(each["orders_amount"] for each in views), 3),
        "returns": sum(each["returns_count"] for each in views),
        "returned": round(sum(each["returns_amount"] for each in views), 3),
    }


@pytest.mark.slow
def test_the_simulated_shop_shows_an_action_soon_and_goes_on_at_the_next_start(
    tmp_path: Path,
) -> None:
    """What somebody sees who has never seen it: the first minute decides."""
    with running_up(tmp_path, "--demo") as up:
        up.until(lambda: "delivered churn.risk" in up.log.read_text(), within_s=60)
        code, seconds = up.stop()
        assert (code, seconds < 2.0) == (0, True)
    first = up.log.read_text()
    with running_up(tmp_path, "--demo") as up:
        up.until(lambda: "delivered" in up.log.read_text()[len(first) :])

    assert "Health fell to" in first
    assert "folding" not in up.log.read_text()[len(first) :]
    assert "Traceback" not in up.log.read_text()


def test_this_python_has_the_console_script() -> None:
    """All of the above ran through it."""
    assert Path(sys.executable).with_name("rapport").exists()
