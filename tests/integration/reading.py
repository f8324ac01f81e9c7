"""How far the reading is: the fences in Redis, and where the topics in Kafka end."""

import time
from typing import Any

import msgspec
import redis
from confluent_kafka import Consumer, TopicPartition

from streams import topics
from streams.kafka_settings import KafkaSettings
from tests.integration.redis_server import RedisServer

PARTITIONS = 4
POLL_SECONDS = 0.1

Positions = dict[tuple[str, int], int]
"""By topic and partition."""


def fences(client: redis.Redis) -> dict[int, dict[str, Any]]:
    """The fence of each shard that has one."""
    found = client.mget([f"rapport:{{{number}}}:fence" for number in range(PARTITIONS)])
    assert isinstance(found, list)
    return {
        number: msgspec.json.decode(fence)
        for number, fence in enumerate(found)
        if fence is not None
    }


def positions(client: redis.Redis) -> Positions:
    """Where the fences are."""
    return {
        (topic, number): int(offset)
        for number, fence in fences(client).items()
        for topic, offset in fence["offsets"].items()
    }


def owners(client: redis.Redis) -> dict[int, str]:
    """The nonce of each shard's fence."""
    return {number: fence["nonce"] for number, fence in fences(client).items()}


def ends(settings: KafkaSettings) -> Positions:
    """Where the topics end; empty partitions are left out, as in fences."""
    consumer = Consumer({**settings.client(), "group.id": "none"})
    try:
        found: Positions = {}
        for topic in settings.inputs:
            for number in range(PARTITIONS):
                place = TopicPartition(topic, number)
                _, end = consumer.get_watermark_offsets(place, timeout=10)
                if end:
                    found[topic, number] = end
        return found
    finally:
        consumer.close()


def wait_until_read(
    settings: KafkaSettings, server: RedisServer, seconds_max: float, *, naive: bool = False
) -> None:
    """Wait until all that is in the topics is committed: in the fences, or naively in the group."""
    wanted = ends(settings)
    deadline = time.monotonic() + seconds_max
    found: Positions = {}
    with server.client() as client:
        while time.monotonic() < deadline:
            found = topics.committed(settings) if naive else positions(client)
            if all(found.get(place) == end for place, end in wanted.items()):
                return
            time.sleep(POLL_SECONDS)
    missing = {place: (found.get(place), end) for place, end in wanted.items()}
    raise AssertionError(f"not read to the end after {seconds_max} s: {missing}")
