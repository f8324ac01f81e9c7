"""The scale-out as an operator starts it: topics, a gateway, workers, a relay, each a process."""

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.integration.free_port import free_port
from tests.integration.kafka_broker import KafkaBroker
from tests.integration.redis_server import RedisServer
from tests.integration.test_up import RETAIL, RULES, SECRET, late, order, sums
from tests.integration.upstarted import SCRIPT, Answer, Up, rapport
from tests.machine import ROOT, require
from tests.receiver import Receiver, running_receiver

READY_SECONDS_MAX = 60.0


def settings_of(kafka: KafkaBroker, redis: RedisServer, prefix: str, more: str = "") -> str:
    return (
        f'log = "kafka://{kafka.bootstrap}"\nredis = "{redis.url}"\ntopic_prefix = "{prefix}"\n'
        f'group = "{prefix}group"\nsession_timeout_ms = 2000\nrules = "rules"\n{more}'
    )


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Up]:
    """A process of the scale-out with HTTP, ready; ended with the block."""
    port = free_port()
    log = folder / f"{arguments[0]}-{port}.log"
    with log.open("ab") as written:
        process = subprocess.Popen(
            [SCRIPT, *arguments, "--http", f"127.0.0.1:{port}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
    up = Up(process, port, log)
    try:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not _is_ready(up):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield up
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _is_ready(up: Up) -> bool:
    try:
        return up.ask("/readyz").status == 200
    except OSError:
        return False


def folder_of(folder: Path, kafka: KafkaBroker, redis: RedisServer, more: str = "") -> Path:
    """A folder with settings, rules, and topics in the broker."""
    prefix = f"{folder.name}-".replace("_", "-")
    (folder / "rules").mkdir()
    (folder / "rules" / "mine.toml").write_text(RULES)
    (folder / "rapport.toml").write_text(settings_of(kafka, redis, prefix, more))
    made = rapport("topics", "create", "--replication", "1", "--json", folder=folder)
    assert len(json.loads(made.stdout)["created"]) == 6, made.stderr
    return folder


def has_order(up: Up, customer: str) -> Answer | None:
    answer = up.ask(f"/v1/customers/{customer}")
    return answer if answer.status == 200 else None


async def test_an_event_goes_from_gateway_to_worker_to_a_relay_alone(
    tmp_path: Path, kafka: KafkaBroker, redis_server: RedisServer
) -> None:
    """Three machines instead of one process; the same event, the same action."""
    async with running_receiver() as receiver:
        more = f'[endpoints.crm]\nurl = "{receiver.url}"\nsecret = "{SECRET}"\n'
        folder = folder_of(tmp_path, kafka, redis_server, more)
        await asyncio.to_thread(first_order, folder)

    assert len(receiver.received) == 1


def first_order(folder: Path) -> None:
    """By a gateway, a worker and a relay, as the folder's settings have them; and what commands say."""
    with ExitStack() as stack:
        gateway = stack.enter_context(running(folder, "gateway"))
        worker = stack.enter_context(running(folder, "worker", "--no-relay"))
        relay = stack.enter_context(running(folder, "relay"))
        assert gateway.post(order(1)).body == {"accepted": 1, "rejected": []}
        gateway.until(lambda: has_order(gateway, "c-1"))

        def statuses() -> set[str]:
            return {each["status"] for each in gateway.ask("/v1/actions").body["actions"]}

        gateway.until(lambda: statuses() == {"delivered", "rejected"})
        lag = rapport("topics", "lag", "--json", folder=folder)
        doctor = rapport("doctor", "--json", folder=folder)
        told = rapport("customer", "c-1", "--json", folder=folder)

        assert json.loads(lag.stdout)["records"] == 0
        assert json.loads(doctor.stdout)["ok"] is True, doctor.stdout
        assert json.loads(told.stdout)["orders_count"] == 1
        for each in (worker, relay, gateway):
            each.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert each.process.wait(20) == 0, each.log.read_text()
            assert time.monotonic() - began < 2.0


async def test_a_relay_that_ends_leaves_nothing_for_the_next_one_to_send_again(
    tmp_path: Path, kafka: KafkaBroker, redis_server: RedisServer
) -> None:
    """The second one waits for the lease, and takes it the moment that it is given back."""
    async with running_receiver() as receiver:
        receiver.otherwise = late
        more = f'[endpoints.crm]\nurl = "{receiver.url}"\nsecret = "{SECRET}"\n'
        folder = folder_of(tmp_path, kafka, redis_server, more)
        await asyncio.to_thread(handed_over, folder, receiver)

    assert len(receiver.received) == 2
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 2


def handed_over(folder: Path, receiver: Receiver) -> None:
    """By a first relay while its webhook is under way, to a second one."""
    with ExitStack() as stack:
        gateway = stack.enter_context(running(folder, "gateway"))
        stack.enter_context(running(folder, "worker", "--no-relay"))
        first = stack.enter_context(running(folder, "relay"))
        gateway.post(order(1))
        first.until(lambda: receiver.received)
        stack.enter_context(running(folder, "relay"))
        gateway.post(order(2, "c-2"))
        first.until(lambda: len(receiver.received) == 2)
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(20) == 0, first.log.read_text()

        def statuses() -> list[str]:
            actions = gateway.ask("/v1/actions").body["actions"]
            return [each["status"] for each in actions if each["target"]["name"] == "crm"]

        gateway.until(lambda: statuses() == ["delivered", "delivered"])


def test_dead_letters_in_kafka_are_listed_and_put_back(
    tmp_path: Path, kafka: KafkaBroker, redis_server: RedisServer
) -> None:
    """Another team's producer has written something else into the topic."""
    folder = folder_of(tmp_path, kafka, redis_server)
    topic = f"{folder.name}-orders".replace("_", "-")
    with running(folder, "worker") as worker:
        producer = Producer({"bootstrap.servers": kafka.bootstrap})
        producer.produce(topic, value=b"[1]", key=b"c-1", headers=[("from", b"them")])
        producer.flush(10)

        def letters() -> Any:  # noqa: ANN401  JSON
            return json.loads(rapport("dlq", "list", "--json", folder=folder).stdout)["letters"]

        (letter,) = worker.until(letters)
        put_back = rapport("dlq", "replay", "--json", folder=folder)
        (again,) = worker.until(letters)

    assert (letter["value"], letter["key"], letter["headers"]) == ("[1]", "c-1", {"from": "them"})
    assert json.loads(put_back.stdout)["put_back"] == 1
    assert (again["at_ms"], again["headers"]) == (letter["at_ms"], letter["headers"])


@pytest.mark.slow
def test_a_real_history_through_two_workers_comes_to_the_published_totals(
    tmp_path: Path, kafka: KafkaBroker, redis_server: RedisServer
) -> None:
    """The same totals to the cent as in one process, and as in a replay."""
    require("the retail data", RETAIL.exists(), "put them beside the checkout")
    folder = folder_of(tmp_path, kafka, redis_server)
    sql = str(ROOT / "examples/online_retail.sql")
    with running(folder, "worker"), running(folder, "worker") as worker:
        sent = rapport("ingest", "--sql", sql, "--set", f"file={RETAIL}", "--json", folder=folder)
        assert json.loads(sent.stdout)["sent"] == 9_669, sent.stderr

        def is_read() -> bool:
            told = rapport("topics", "lag", "--json", folder=folder)
            return bool(json.loads(told.stdout)["records"] == 0)

        worker.until(is_read)
        totals = sums(redis_server.client())

    assert totals["orders"] == 7_887
    assert totals["buyers"] == 2_800
    assert totals["amount"] == 3_540_070.961
    assert (totals["returns"], totals["returned"]) == (1_782, 361_416.88)


def test_a_worker_without_topics_says_how_to_make_them(
    tmp_path: Path, kafka: KafkaBroker, redis_server: RedisServer
) -> None:
    """The first thing that goes wrong on a new cluster."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rapport.toml").write_text(settings_of(kafka, redis_server, "nowhere-"))
    found = rapport("worker", folder=tmp_path)

    assert found.returncode == 1
    assert "make it with: rapport topics create" in found.stderr
    assert "Traceback" not in found.stderr
