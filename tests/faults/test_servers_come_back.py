"""Killing and restarting the real servers: what the other fault tests take for granted."""

import pytest
import redis
from confluent_kafka import Producer

from tests.integration.kafka_broker import KafkaBroker
from tests.integration.redis_server import RedisServer, running_redis


def test_redis_killed_comes_back_with_every_acknowledged_write() -> None:
    """With appendfsync always, an answer means that the write is on disk."""
    with running_redis(fsync="always") as server:
        with server.client() as client:
            for number in range(200):
                client.set(f"key-{number}", number)
            server.kill()
            with pytest.raises(redis.ConnectionError):
                client.ping()
        server.start()
        with server.client() as client:
            kept = [client.get(f"key-{number}") for number in range(200)]

    assert kept == [str(number).encode() for number in range(200)]


def test_redis_frozen_answers_when_it_is_resumed(redis_server: RedisServer) -> None:
    """A paused server is how a long stall looks to a client."""
    redis_server.pause()
    with redis.Redis.from_url(redis_server.url, socket_timeout=0.2, retry=None) as client:
        with pytest.raises(redis.TimeoutError):
            client.ping()
        redis_server.resume()

        assert client.ping() is True


def test_kafka_killed_comes_back_on_its_port_with_its_records(kafka_alone: KafkaBroker) -> None:
    """Fail-over tests kill the broker and expect clients to find it again."""
    kafka_alone.create_topics("kept", partitions=1)
    producer = Producer({"bootstrap.servers": kafka_alone.bootstrap, "acks": "all", "log_level": 0})
    producer.produce("kept", value=b"before")
    assert producer.flush(30) == 0
    port = kafka_alone.port

    kafka_alone.kill()
    kafka_alone.start()
    producer.produce("kept", value=b"after")

    assert producer.flush(30) == 0
    assert kafka_alone.port == port
    assert kafka_alone.read("kept", 2) == [b"before", b"after"]
