"""Dead letters on a real Kafka: kept whole, listed readable, put back as they were."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it is its documented place
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from processors.batch import DeadLetter, Origin
from streams import topics
from streams.dead_letters import KafkaLetters, RedisLetters, Replayed
from streams.errors import LogDownError
from streams.kafka_dead_letters import CUT_BYTES, KafkaDeadLetters
from streams.kafka_settings import KafkaSettings
from streams.keys import Keys
from streams.redis_dead_letters import RedisDeadLetters
from streams.store import Connection, StoreAddress
from tests.integration.free_port import free_port
from tests.integration.kafka_broker import ONE_AT_A_TIME, KafkaBroker
from tests.integration.redis_server import RedisServer
from tests.integration.workers import rig

AT_MS = time.time_ns() // 1_000_000 - 3_600_000  # Kafka deletes what is older than its retention

pytestmark = pytest.mark.slow


def made(kafka: KafkaBroker, prefix: str) -> KafkaSettings:
    settings = KafkaSettings((kafka.bootstrap,), group=prefix + "g", topic_prefix=prefix)
    topics.create(settings, 2, 1)
    return settings


def letter(settings: KafkaSettings, value: bytes | None, position: int = 7) -> DeadLetter:
    headers = (("trace", b"\x00\xff"), ("rapport.reason", b"of an earlier round"))
    origin = Origin(settings.inputs[1], 1, str(position), b"c1", headers, AT_MS)
    return DeadLetter(origin, value, "wrong_type", "amount", "amount is text, not a number", 12)


def test_a_letter_is_put_back_with_key_headers_and_time(kafka: KafkaBroker) -> None:
    """What was mended upstream must be counted as if it had been right at once."""
    settings = made(kafka, "letters-")
    KafkaDeadLetters(settings).send([letter(settings, b"{"), letter(settings, None, 8)]).wait()
    letters = KafkaLetters(settings)
    found = letters.waiting()

    assert [each.value for each in found] == [b"{", None]
    assert (found[0].reason, found[0].field, found[0].at_byte) == ("wrong_type", "amount", 12)
    assert found[0].detail == "amount is text, not a number"
    assert found[0].origin == Origin(
        settings.inputs[1], 1, "7", b"c1", (("trace", b"\x00\xff"),), AT_MS
    )
    assert letters.replay() == Replayed(put_back=2, left_out=0)
    assert letters.waiting() == []
    assert letters.replay() == Replayed(0, 0)

    back = KafkaLetters(KafkaSettingsOf(settings))
    assert [(each.origin.key, each.origin.at_ms) for each in back.waiting()] == [(b"c1", AT_MS)] * 2
    assert back.waiting()[0].origin.headers == (("trace", b"\x00\xff"),)


class KafkaSettingsOf(KafkaSettings):
    """Reads the orders as if they were dead letters, which is a way to see all of a record."""

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__(settings.servers, settings.group + "-back", settings.topic_prefix)

    @property
    def dead_letters(self) -> str:
        return self.inputs[1]


def test_replay_is_bounded_and_goes_on_where_it_stopped(kafka: KafkaBroker) -> None:
    """A million letters at once would be an outage of its own."""
    settings = made(kafka, "bounded-")
    KafkaDeadLetters(settings).send([letter(settings, b"%d" % n, n) for n in range(10)]).wait()
    letters = KafkaLetters(settings)

    assert [each.value for each in letters.waiting(3)] == [b"0", b"1", b"2"]
    assert letters.replay(4).put_back == 4
    assert [each.value for each in letters.waiting(2)] == [b"4", b"5"]
    assert letters.replay(100).put_back == 6


def test_a_record_too_large_for_the_topic_is_cut_and_not_put_back(kafka: KafkaBroker) -> None:
    """It must not stop its shard for ever, and half of it would be another record."""
    settings = made(kafka, "large-")
    port = KafkaDeadLetters(settings)
    port.send([letter(settings, b"small"), letter(settings, b"x" * 3_000_000)]).wait()
    letters = KafkaLetters(settings)

    assert [len(each.value or b"") for each in letters.waiting()] == [5, CUT_BYTES]
    assert letters.replay() == Replayed(put_back=1, left_out=1)


@pytest.mark.parametrize("count", [1, 2])
def test_a_record_whose_time_the_topic_refuses_is_kept_with_the_time_of_now(
    kafka: KafkaBroker, count: int
) -> None:
    """Kafka refuses the whole request, and names the error in another way when two are wrong."""
    settings = made(kafka, f"untimely-{count}-")
    topic = ConfigResource(ConfigResource.Type.TOPIC, settings.dead_letters)
    topic.add_incremental_config(
        ConfigEntry(
            "message.timestamp.after.max.ms",
            "1000",
            incremental_operation=AlterConfigOpType.SET,
        )
    )
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.incremental_alter_configs([topic])[topic].result()
    good, ahead_ms = letter(settings, b"good"), AT_MS + 30 * 86_400_000
    early = [
        replace(good, origin=replace(good.origin, at_ms=ahead_ms), value=b"early")
        for _ in range(count)
    ]
    KafkaDeadLetters(settings).send([good, *early]).wait()
    found = KafkaLetters(settings).waiting()

    assert sorted(each.value or b"" for each in found) == [b"early"] * count + [b"good"]
    assert {each.value: each.origin.at_ms < ahead_ms for each in found} == {
        b"early": True,
        b"good": True,
    }


def test_letters_that_cannot_be_written_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit that would skip their records must not happen."""
    settings = KafkaSettings((f"127.0.0.1:{free_port()}",))
    monkeypatch.setattr("streams.kafka_dead_letters.FLUSH_SECONDS_MAX", 0.2)

    with pytest.raises(LogDownError, match="delivery"):
        KafkaDeadLetters(settings).send([letter(settings, b"{")]).wait()


def test_embedded_letters_go_back_to_their_shards_log(redis_server: RedisServer) -> None:
    """The same two commands must work on a laptop."""
    connection = Connection(StoreAddress.parse(redis_server.url))
    settings = KafkaSettings(("none",))
    RedisDeadLetters(connection).send([letter(settings, b"%d" % n, n) for n in range(3)]).wait()
    letters = RedisLetters(connection, partitions=2)

    assert [each.value for each in letters.waiting(2)] == [b"0", b"1"]
    assert letters.replay(2) == Replayed(put_back=2, left_out=0)
    assert letters.replay(9) == Replayed(put_back=1, left_out=0)
    assert letters.waiting() == []
    with redis_server.client() as client:
        assert client.xlen(Keys.of(1).log) == 3
    connection.close()


def test_bad_records_become_letters_and_the_good_ones_count(
    kafka: KafkaBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """One bad record must cost neither its batch nor its shard."""
    good = b'{"id":"a","type":"click","action":"view","customer_id":"c1","at_ms":1700000000000}'
    bad = [b"{", b"", b"[" * 1_000, b'{"id":1}', b"\xff\xfe", None]
    with rig(kafka, redis_server, tmp_path, "bad-") as alone:
        producer = Producer({**alone.settings.producer(), **ONE_AT_A_TIME})
        for value in (*bad, good):
            producer.produce(alone.settings.inputs[0], value, b"c1", timestamp=AT_MS)
        assert producer.flush(20) == 0
        alone.start("one")
        alone.wait_until_read()
        found = KafkaLetters(alone.settings).waiting()

        assert [each.value for each in found] == bad
        assert all(each.reason and each.detail for each in found)
        with redis_server.client() as client:
            assert [
                key.endswith(b":customer:c1") for key in client.scan_iter("rapport:*:customer:*")
            ] == [True]
