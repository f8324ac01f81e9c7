"""Workers on a real Kafka and a real Redis share shards, come and go, and count as one would."""

import time
from pathlib import Path

import pytest

from tests.integration.kafka_broker import KafkaBroker
from tests.integration.reading import PARTITIONS
from tests.integration.redis_server import RedisServer
from tests.integration.shop import Sender, differences, expected, stored, told
from tests.integration.workers import Rig, rig

STOP_SECONDS_MAX = 5.0  # 1.2 s when idle; a broker, Redis and a producer share the two cores
JOIN_SECONDS_MAX = 30.0

pytestmark = pytest.mark.slow


def until_owners_change(rig: Rig, before: dict[int, str], count: int) -> None:
    """Wait until so many shards have another claim than before."""
    deadline = time.monotonic() + JOIN_SECONDS_MAX
    while time.monotonic() < deadline:
        after = rig.owners()
        if sum(after.get(number) != before.get(number) for number in range(PARTITIONS)) >= count:
            return
        time.sleep(0.1)
    raise AssertionError(f"no new owners within {JOIN_SECONDS_MAX} s\n{rig.log('one')}")


def test_two_workers_share_the_shards_and_leave_without_a_trace(
    kafka: KafkaBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Scaling out and rolling restarts are everyday; nothing may be lost or counted twice by them."""
    with rig(kafka, redis_server, tmp_path, "share-") as two:
        sender = Sender(two.settings)
        events = told(seed=1, customers=60, start_ms=time.time_ns() // 1_000_000 - 60_000)
        two.start("one")
        until_owners_change(two, {}, PARTITIONS)
        sender.send(events, 4_000, rate=2_000)

        before = two.owners()
        two.start("two")
        sender.send(events, 2_000, rate=2_000)
        until_owners_change(two, before, PARTITIONS)  # all are claimed anew in the new generation
        sender.send(events, 4_000, rate=2_000)

        code, seconds = two.stop("one")
        sender.send(events, 4_000, rate=2_000)
        sender.flush()
        two.wait_until_read()

        assert (code, seconds < STOP_SECONDS_MAX) == (0, True), f"{code} {seconds}"
        with redis_server.client() as client:
            assert differences(expected(sender.sent), stored(client)) == []
        code, seconds = two.stop("two")
        assert (code, seconds < STOP_SECONDS_MAX) == (0, True), f"{code} {seconds}"


def test_a_worker_starts_where_the_last_one_stopped(
    kafka: KafkaBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """What waits while nobody works is read by the next worker, and only that."""
    with rig(kafka, redis_server, tmp_path, "again-") as alone:
        sender = Sender(alone.settings)
        events = told(seed=2, customers=30, start_ms=time.time_ns() // 1_000_000 - 60_000)
        for name in ("one", "two", "three"):
            sender.send(events, 3_000)
            sender.flush()
            alone.start(name)
            alone.wait_until_read()
            assert alone.stop(name)[0] == 0

        with redis_server.client() as client:
            assert differences(expected(sender.sent), stored(client)) == []
