"""What Kafka still holds is a source: all of it, shard by shard, by time; and lift is known from it."""

import json
import time
from itertools import chain

import msgspec
import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from processors.partition import partition_of
from streams import topics
from streams.cli import main
from streams.kafka_history import KafkaHistory
from streams.kafka_settings import KafkaSettings
from tests.integration.kafka_broker import ONE_AT_A_TIME, KafkaBroker

RULES = """
[rule.offer]
on      = "click.add_to_cart"
holdout = "30%"
then    = [{ log = "x" }]
"""
SHARDS = 2
NOW_MS = time.time_ns() // 1_000_000
START_MS = NOW_MS - 86_400_000  # Kafka deletes what is older than its retention

pytestmark = pytest.mark.slow


def filled(kafka: KafkaBroker, prefix: str, customers: int) -> tuple[KafkaSettings, list[bytes]]:
    """Topics with a cart and then an order of each customer; the events in the order of time."""
    settings = KafkaSettings((kafka.bootstrap,), group=prefix + "g", topic_prefix=prefix)
    topics.create(settings, SHARDS, 1)
    producer = Producer({**settings.producer(), **ONE_AT_A_TIME})
    sent = []
    for k in range(2 * customers):
        customer_id, at_ms = f"c-{k % customers}", START_MS + k * 1_000
        kind = "click" if k < customers else "order"
        event = {"id": f"e{k}", "type": kind, "customer_id": customer_id, "at_ms": at_ms}
        event |= {"action": "add_to_cart"} if kind == "click" else {"action": "placed", "amount": 5}
        value = msgspec.json.encode(event)
        producer.produce(settings.input_of(kind), value, key=customer_id.encode(), timestamp=at_ms)
        sent.append(value)
    assert producer.flush(30) == 0
    return settings, sent


def test_all_records_come_once_shard_by_shard_and_by_time(kafka: KafkaBroker) -> None:
    """Carts and orders are in different topics, and an order before its cart is another history."""
    settings, sent = filled(kafka, "history-", 300)
    history = KafkaHistory(settings)
    chunks = list(history.chunks(size=64))
    read = list(chain.from_iterable(chunk.values for chunk in chunks))
    wanted = [
        [value for value in sent if partition_of(_customer(value), SHARDS) == number]
        for number in range(SHARDS)
    ]
    rest = list(chain.from_iterable(chunk.values for chunk in history.chunks(skip=500)))

    assert read == [*chain.from_iterable(wanted)]
    assert list(chain.from_iterable(chunk.rows for chunk in chunks)) == list(range(1, 601))
    assert max(len(chunk.values) for chunk in chunks) == 64
    assert rest == read[500:]
    assert history.fingerprint() == KafkaHistory(settings).fingerprint()
    again, _ = filled(kafka, "history-", 1)
    assert history.fingerprint() != KafkaHistory(again).fingerprint()
    assert len(list(chain.from_iterable(each.values for each in history.chunks()))) == 600


def _customer(value: bytes) -> str:
    found: str = json.loads(value)["customer_id"]
    return found


def test_lift_is_known_from_what_kafka_holds(
    kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one command, beside the workers."""
    filled(kafka, "lifted-", 200)
    folder = tmp_path_factory.mktemp("lift")
    (folder / "rules").mkdir()
    (folder / "rules" / "mine.toml").write_text(RULES)
    (folder / "rapport.toml").write_text('rules = "rules"\ntopic_prefix = "lifted-"\n')
    monkeypatch.chdir(folder)
    asked = ["rules", "lift", "offer", "--outcome", "order.placed", "--within", "3m", "--json"]
    told = CliRunner().invoke(main, [*asked, "--log", f"kafka://{kafka.bootstrap}"])
    unnamed = CliRunner().invoke(main, asked)

    assert told.exit_code == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["acted"]["customers"] + found["held_out"]["customers"] + found["undecided"] == 200
    assert 30 < found["held_out"]["customers"] < 90
    assert unnamed.exit_code == 1
    assert "rapport-data/history holds no events yet" in unnamed.stderr
