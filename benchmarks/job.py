"""The reference job: what Rapport and its rivals are given to do, and the events to do it on.

Job       Three exponentially decayed aggregates a customer (visits, spend, complaints), a score from 0 to
          100 of them, the score to Redis, and an action whenever it falls below THRESHOLD.
Events    70 % clicks, 20 % orders, 10 % service, about 150 bytes of JSON, keyed by customer, each kind in its
          own topic; CUSTOMERS customers chosen by a skewed law (a tenth of them does half of
          everything); in time order.
"""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson
from confluent_kafka import Producer

from streams.kafka_settings import KafkaSettings

SEED: Final = 11
CUSTOMERS: Final = 5_000
PARTITIONS: Final = 4
EVENT_MS: Final = 100  # between two events: half a million events are a day
FOLDER: Final = Path(__file__).with_name("reference_job")
MODEL: Final = FOLDER / "model.toml"
RULES: Final = FOLDER / "rules"
SEND_SECONDS_MAX: Final = 60.0

_CLICKS: Final = ("view", "view", "view", "search", "add_to_cart")
_SERVICE: Final = ("contact", "ticket_opened", "resolved", "complaint", "complaint")


def events(
    count: int, start_ms: int, customers: int = CUSTOMERS, seed: int = SEED
) -> Iterator[tuple[str, str, bytes]]:
    """Kind, customer and value of so many events: the same for the same arguments."""
    rng = random.Random(seed)
    for number in range(count):
        share = rng.random()
        customer = f"customer-{int(customers * rng.random() ** 2.2):06d}"
        event: dict[str, object] = {
            "id": f"evt-{seed}-{number:09d}",
            "customer_id": customer,
            "at_ms": start_ms + number * EVENT_MS,
        }
        if share < 0.7:
            event |= {"type": "click", "action": rng.choice(_CLICKS), "page": f"/p/{number % 400}"}
        elif share < 0.9:
            event |= {"type": "order", "action": "placed", "order_id": f"o{number}"}
            event["amount"] = round(rng.lognormvariate(3.5, 0.8), 2)
        else:
            event |= {"type": "service", "action": rng.choice(_SERVICE), "channel": "chat"}
        yield str(event["type"]), customer, orjson.dumps(event)


def send(settings: KafkaSettings, made: Iterator[tuple[str, str, bytes]], count: int) -> float:
    """Produce the next `count` events as the gateway would; the seconds that it took."""
    started = time.perf_counter()
    producer = Producer(
        {**settings.producer(), "linger.ms": 20, "queue.buffering.max.messages": 200_000}
    )
    for number in range(count):
        kind, customer, value = next(made)
        topic = settings.input_of(kind)
        while True:
            try:
                producer.produce(topic, key=customer, value=value)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1_000 == 0:
            producer.poll(0)
    left = producer.flush(SEND_SECONDS_MAX)
    assert not left, f"{left} events were not delivered within {SEND_SECONDS_MAX} s"
    return time.perf_counter() - started
