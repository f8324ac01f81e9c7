"""A backlog in several topics decides the same as one reading in the order of time.

Without alignment it does not, which is what alignment is for.
"""

import os
import random
import time
from bisect import bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from streams.kafka_settings import INPUTS, KafkaSettings
from tests.integration.kafka_broker import ONE_AT_A_TIME, KafkaBroker
from tests.integration.redis_server import RedisServer
from tests.integration.shop import stored
from tests.integration.workers import Rig, rig

# On a slow machine: RAPPORT_TEST_BACKLOG=40000.
EVENTS = int(os.environ.get("RAPPORT_TEST_BACKLOG", "400000"))
EVENTS_A_CUSTOMER = 50
SPAN_MS = 86_400_000
WINDOW_MS = 2 * 3_600_000
SEED = 400_000
KINDS = {"click": "view", "order": "placed", "service": "contact"}
RULES = b"""
[rule.looked-and-bought]
version = 1
on = "order.placed"
when = "count(click.view, 2h) >= 5"
reason = "{count(click.view, 2h)} looks"
then = [{ log = "audit", type = "looked" }]

[rule.bought-and-asked]
version = 1
on = "service.contact"
when = "count(order.placed, 2h) >= 4"
reason = "{count(order.placed, 2h)} orders"
then = [{ log = "audit", type = "asked" }]
"""
PRECEDES = {"order": ("looked-and-bought", "click", 5), "service": ("bought-and-asked", "order", 4)}

Cause = tuple[str, str, str]  # customer, rule, event id

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Waiting:
    """One event of the backlog."""

    at_ms: int
    kind: str
    customer: str
    name: str


def backlog(end_ms: int) -> list[Waiting]:
    """A day of events, in the order of time; ties in the order of topics."""
    chance = random.Random(SEED)
    customers = EVENTS // EVENTS_A_CUSTOMER
    events = [
        Waiting(
            end_ms - chance.randrange(SPAN_MS),
            chance.choices(list(KINDS), (4, 3, 3))[0],
            f"c{chance.randrange(customers)}",
            f"e{number}",
        )
        for number in range(EVENTS)
    ]
    order = list(INPUTS)
    return sorted(events, key=lambda each: (each.at_ms, order.index(each.kind)))


def by_one_reader(events: Sequence[Waiting]) -> Counter[Cause]:
    """The fires of a sequential reading, in plain Python."""
    times: dict[tuple[str, str], list[int]] = defaultdict(list)
    fires: Counter[Cause] = Counter()
    for each in events:
        insort(times[each.customer, each.kind], each.at_ms)
        if each.kind in PRECEDES:
            rule, kind, least = PRECEDES[each.kind]
            before = times[each.customer, kind]
            inside = bisect_right(before, each.at_ms) - bisect_right(before, each.at_ms - WINDOW_MS)
            if inside >= least:
                fires[each.customer, rule, each.name] += 1
    return fires


def fill(settings: KafkaSettings, events: Sequence[Waiting]) -> None:
    """Produce everything, each with its time as the record's time, before anybody reads."""
    producer = Producer({**settings.producer(), **ONE_AT_A_TIME, "linger.ms": 20})
    encode = msgspec.json.Encoder().encode
    for each in events:
        value = {
            "id": each.name,
            "type": each.kind,
            "action": KINDS[each.kind],
            "customer_id": each.customer,
            "at_ms": each.at_ms,
            **({"amount": 1.0} if each.kind == "order" else {}),
        }
        topic = settings.input_of(each.kind)
        while True:
            try:
                producer.produce(topic, encode(value), each.customer, timestamp=each.at_ms)
                break
            except BufferError:
                producer.poll(0.05)
    assert producer.flush(60) == 0


def fires_of(rig: Rig, events: Sequence[Waiting]) -> Counter[Cause]:
    """What one worker makes of the backlog."""
    (rig.folder / "rules.toml").write_bytes(RULES)
    fill(rig.settings, events)
    rig.start("one")
    rig.wait_until_read()
    assert rig.stop("one")[0] == 0
    with rig.redis.client() as client:
        return stored(client).causes


def test_a_backlog_decides_as_one_reader_in_the_order_of_time(
    kafka: KafkaBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Catching up after an outage must not call customers who would not have been called live."""
    events = backlog(time.time_ns() // 1_000_000 - 60_000)
    wanted = by_one_reader(events)
    with rig(kafka, redis_server, tmp_path, "aligned-") as alone:
        found = fires_of(alone, events)

    assert len(wanted) > EVENTS / 500, "too few to show anything"
    assert (found - wanted, wanted - found) == (Counter(), Counter())


def test_without_alignment_a_backlog_decides_otherwise(
    kafka: KafkaBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """If this came out right, alignment would be needless, or its test blind."""
    events = backlog(time.time_ns() // 1_000_000 - 60_000)
    with rig(kafka, redis_server, tmp_path, "unaligned-", "--unaligned") as alone:
        found = fires_of(alone, events)

    assert found != by_one_reader(events)
