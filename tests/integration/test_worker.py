"""`rapport worker` as a whole: Kafka in, Redis, HTTP and a topic out, and an orderly end."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient

from streams import topics
from streams.kafka_settings import KafkaSettings
from tests.integration.free_port import free_port
from tests.integration.kafka_broker import ONE_AT_A_TIME, KafkaBroker
from tests.integration.redis_server import RedisServer

RAPPORT = Path(sys.executable).with_name("rapport")
READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 5.0  # 1.2 s when idle; a broker, Redis and a producer share the two cores
RULES = """
[rule.dear]
version = 1
on = "order.placed"
when = "amount > 90"
reason = "An order of {amount}"
then = [{ topic = "dear", type = "dear" }]
"""

pytestmark = pytest.mark.slow


@contextmanager
def worker(
    kafka: KafkaBroker, redis: RedisServer, folder: Path, prefix: str, port: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """The console script, with rules of ours; killed with the block if it still runs."""
    (folder / "rules").mkdir()
    (folder / "rules" / "dear.toml").write_text(RULES)
    options = {
        "log": f"kafka://{kafka.bootstrap}",
        "redis": redis.url,
        "group": prefix + "g",
        "topic-prefix": prefix,
        "rules": str(folder / "rules"),
        "http": f"127.0.0.1:{port}",
        "session-timeout-ms": "2000",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [str(RAPPORT), "worker", *arguments], cwd=folder, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def until_running(port: int, shards: int, log: Path) -> None:
    """Wait until the worker tells that it runs so many shards."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            if f'rapport_shards{{state="running"}} {shards}.0' in get(port, "/metrics")[1]:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the worker does not run {shards} shards:\n{log.read_text()}")


def test_an_order_in_kafka_becomes_a_profile_an_action_and_a_record(
    kafka: KafkaBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """All parts of a worker, as they are wired for production."""
    settings = KafkaSettings((kafka.bootstrap,), topic_prefix="whole-")
    topics.create(settings, 2, 1)
    kafka.create_topics("whole-dear", partitions=1)
    port = free_port()
    with worker(kafka, redis_server, tmp_path, "whole-", port) as process:
        until_running(port, 2, tmp_path / "worker.log")
        event = {"id": "o", "type": "order", "action": "placed", "customer_id": "a", "amount": 99.5}
        producer = Producer({**settings.producer(), **ONE_AT_A_TIME})
        value = json.dumps({**event, "at_ms": time.time_ns() // 1_000_000})
        producer.produce(settings.inputs[1], value, "a")
        assert producer.flush(10) == 0
        (action,) = kafka.read("whole-dear", 1)

        assert action is not None
        assert b"An order of 99.5" in action
        status, text = get(port, "/v1/customers/a")
        assert (status, json.loads(text)["orders_amount"]) == (200, 99.5)
        assert get(port, "/livez")[0] == 200
        assert get(port, "/readyz")[0] == 200
        assert 'rapport_fires_total{rule="dear"} 1.0' in get(port, "/metrics")[1]

        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, (tmp_path / "worker.log").read_text()
        assert time.monotonic() - asked < STOP_SECONDS_MAX


def test_a_worker_ends_although_the_brokers_are_away(
    kafka_alone: KafkaBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """What it would tell them is progress information; the fences have the positions."""
    settings = KafkaSettings((kafka_alone.bootstrap,), topic_prefix="away-")
    topics.create(settings, 2, 1)
    port = free_port()
    with worker(kafka_alone, redis_server, tmp_path, "away-", port) as process:
        until_running(port, 2, tmp_path / "worker.log")
        producer = Producer({**settings.producer(), **ONE_AT_A_TIME})
        event = {"id": "o", "type": "click", "action": "view", "customer_id": "a"}
        value = json.dumps({**event, "at_ms": time.time_ns() // 1_000_000})
        producer.produce(settings.inputs[0], value, "a")
        assert producer.flush(10) == 0
        kafka_alone.kill()
        time.sleep(1.0)  # a commit is under way

        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, (tmp_path / "worker.log").read_text()
        assert time.monotonic() - asked < STOP_SECONDS_MAX


def test_a_worker_refuses_to_start_on_topics_that_do_not_fit(
    kafka: KafkaBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Starting would tear customers apart between shards, for ever."""
    settings = KafkaSettings((kafka.bootstrap,), topic_prefix="unfit-")
    topics.create(settings, 2, 1)
    admin = KafkaAdminClient(bootstrap_servers=[kafka.bootstrap])
    admin.create_partitions({settings.inputs[0]: 3})
    admin.wait_for_topics([settings.inputs[0]])
    admin.close()
    with worker(kafka, redis_server, tmp_path, "unfit-", free_port()) as process:
        assert process.wait(30) == 1

    told = (tmp_path / "worker.log").read_text()
    assert "unfit-orders has 2 partitions" in told
    assert "Traceback" not in told
