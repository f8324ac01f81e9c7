"""A consumer as one would write it in an afternoon: for naive runs. Run as a script; ends at SIGTERM.

It reads a customer's view, adds the event, and writes it back. What it cannot read, and what it
cannot store, it skips, for it must go on; an action that nobody takes is gone. Kafka keeps its
positions, whatever became of the events.

Run       python tests/faults/naive_consumer.py BOOTSTRAP REDIS_URL [HOOK_URL]
"""

import signal
import sys
import urllib.request
from typing import Any

import msgspec
import redis
from confluent_kafka import Consumer, Message

from streams.kafka_settings import KafkaSettings
from tests.integration.shop import DEAR, RETURNS

REPLY_SECONDS_MAX = 0.5
EMPTY = {
    "events_count": 0,
    "orders_count": 0,
    "orders_amount": 0.0,
    "returns_count": 0,
    "first_at_ms": 0,
    "last_at_ms": 0,
}


def added(view: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """The view with the event in it."""
    view["events_count"] += 1
    view["first_at_ms"] = view["first_at_ms"] or event["at_ms"]
    view["last_at_ms"] = event["at_ms"]
    if event["type"] == "order" and event["action"] == "placed":
        view["orders_count"] += 1
        view["orders_amount"] = round(view["orders_amount"] + event["amount"], 2)
    elif event["action"] == "returned":
        view["returns_count"] += 1
    return view


def take(message: Message, client: redis.Redis, hook: str | None) -> None:
    """One record."""
    event = msgspec.json.decode(message.value() or b"")
    key = f"rapport:{{{message.partition()}}}:customer:{event['customer_id']}"
    stored = client.get(key)
    view = msgspec.json.decode(stored) if isinstance(stored, bytes) else dict(EMPTY)
    client.set(key, msgspec.json.encode(added(view, event)))
    if hook is not None and event["action"] == "placed" and event["amount"] > DEAR:
        post(hook, "dear", event)
    elif hook is not None and event["action"] == "returned" and view["returns_count"] == RETURNS:
        post(hook, "returns", event)


def post(hook: str, rule: str, event: dict[str, Any]) -> None:
    """Tell the receiver of an action."""
    told = {"customer_id": event["customer_id"], "rule": rule, "cause": event["id"]}
    body, headers = msgspec.json.encode({"data": told}), {"webhook-id": f"{rule}-{event['id']}"}
    request = urllib.request.Request(hook, body, headers, method="POST")  # noqa: S310  loopback
    with urllib.request.urlopen(request, timeout=REPLY_SECONDS_MAX):  # noqa: S310  the same
        pass


def subscribed(bootstrap: str) -> Consumer:
    """A consumer of all inputs, in a group, whose positions are committed by a timer."""
    settings = KafkaSettings((bootstrap,), group="faults")
    consumer = Consumer(
        {
            **settings.client(),
            "group.id": settings.group,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 200,
            "session.timeout.ms": 6_000,
        }
    )
    consumer.subscribe(list(settings.inputs))
    return consumer


def main(bootstrap: str, url: str, hook: str | None) -> None:
    is_due = False

    def end(_number: int, _frame: object) -> None:
        nonlocal is_due
        is_due = True

    signal.signal(signal.SIGTERM, end)
    consumer = subscribed(bootstrap)
    client = redis.Redis.from_url(url, socket_timeout=REPLY_SECONDS_MAX)
    while not is_due:
        for message in consumer.consume(500, 0.1):
            try:
                take(message, client, hook)
            except Exception as error:  # noqa: BLE001  "it must go on"
                print(f"skipped one: {error}")  # noqa: T201  its log
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
