"""A shop for tests with real servers: a seeded load, and what must be in Redis when all of it was read.

Promise   `expected` is a sequential reading in plain Python; no engine, no batches, no owners.
How       A customer writes into one topic only, so that the order of its events is its partition's,
          whatever is read first.
"""

import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import redis
from confluent_kafka import KafkaError, Message, Producer

from streams.delivery_report import failure
from streams.kafka_settings import DELIVERY_MS_MAX, KafkaSettings
from tests.integration.kafka_broker import ONE_AT_A_TIME

KEY = re.compile(r"rapport:\{(\d+)\}:(row|customer|outbox|fence):?(.*)")
DEAR = 90.0
RETURNS = 3
RULES = b"""
[rule.dear]
version = 1
describe = "Look at each order of much money"
on = "order.placed"
when = "amount > 90"
reason = "An order of {amount}"
then = [{ log = "audit", type = "dear" }]

[rule.returns]
version = 1
describe = "Ask what is wrong, once"
when = "count(order.returned, 365d) >= 3"
reason = "{count(order.returned, 365d)} returns"
then = [{ log = "audit", type = "returns" }]
"""


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it was sent."""

    kind: str
    customer: str
    value: bytes
    at_ms: int
    amount: float | None


@dataclass
class Customer:
    """What a view must say, and the causes of its actions in order."""

    events_count: int = 0
    orders_count: int = 0
    orders_amount: float = 0.0
    returns_count: int = 0
    first_at_ms: int = 0
    last_at_ms: int = 0
    causes: list[tuple[str, str]] = field(default_factory=list)  # rule, event id


def told(seed: int, customers: int, start_ms: int, step_ms: int = 1) -> Iterator[Told]:
    """Events without end; the k-th has the id "e<k>"."""
    chance = random.Random(seed)
    kinds = ("click", "order", "service")
    actions = {
        "click": ("view", "search"),
        "order": ("placed", "returned"),
        "service": ("contact",),
    }
    number = 0
    while True:
        who = chance.randrange(customers)
        kind = kinds[who % 3]
        action = chance.choice(actions[kind])
        at_ms = start_ms + number * step_ms
        event: dict[str, object] = {
            "id": f"e{number}",
            "type": kind,
            "action": action,
            "customer_id": f"c{who}",
            "at_ms": at_ms,
        }
        amount = None
        if kind == "order":
            amount = event["amount"] = chance.randrange(1, 10_000) / 100
        yield Told(kind, f"c{who}", msgspec.json.encode(event), at_ms, amount)
        number += 1


def expected(events: Sequence[Told]) -> dict[str, Customer]:
    """What is to be stored of each customer after all events."""
    found: dict[str, Customer] = defaultdict(Customer)
    for number, each in enumerate(events):
        customer = found[each.customer]
        customer.events_count += 1
        customer.first_at_ms = customer.first_at_ms or each.at_ms
        customer.last_at_ms = each.at_ms
        if each.kind != "order":
            continue
        assert each.amount is not None
        if b'"placed"' in each.value:
            customer.orders_count += 1
            customer.orders_amount = round(customer.orders_amount + each.amount, 2)
            if each.amount > DEAR:
                customer.causes.append(("dear", f"e{number}"))
        else:
            customer.returns_count += 1
            if customer.returns_count == RETURNS:
                customer.causes.append(("returns", f"e{number}"))
    return dict(found)


@dataclass
class Sender:
    """Sends events at a steady rate, and keeps those that Kafka has."""

    settings: KafkaSettings
    sent: list[Told] = field(default_factory=list)
    patience_ms: int = DELIVERY_MS_MAX
    """How long a broker may be away before an event is given up, and the test with it."""

    def __post_init__(self) -> None:
        # What it does not deliver it reports to us; what it says besides fills the page.
        quiet = {"linger.ms": 2, "log_level": 2}
        patience = {"delivery.timeout.ms": self.patience_ms}
        settings = {**self.settings.producer(), **ONE_AT_A_TIME, **quiet, **patience}
        self._producer = Producer(settings)
        self._errors: list[KafkaError] = []

    def send(self, events: Iterator[Told], count: int, rate: float | None = None) -> None:
        """Send the next `count`; `rate` a second, or as fast as it goes."""
        started = time.monotonic()
        for number in range(count):
            each = next(events)
            topic = self.settings.input_of(each.kind)
            self._produce(topic, each)
            self.sent.append(each)
            if number % 20 == 0:
                self._producer.poll(0)
                if rate is not None:
                    time.sleep(max(0.0, started + number / rate - time.monotonic()))

    def flush(self) -> None:
        """Wait until Kafka has all of it."""
        left = self._producer.flush(60)
        assert not left, f"{left} events are not in Kafka"
        assert not self._errors, f"{len(self._errors)} events were given up: {self._errors[0]}"

    def _produce(self, topic: str, each: Told) -> None:
        while True:
            try:
                self._producer.produce(
                    topic,
                    value=each.value,
                    key=each.customer.encode(),
                    timestamp=each.at_ms,
                    on_delivery=self._report,
                )
            except BufferError:
                self._producer.poll(0.01)
            else:
                return

    def _report(self, error: KafkaError | None, message: Message) -> None:
        refused = failure(error, message)
        if refused is not None:
            self._errors.append(refused)


@dataclass(frozen=True)
class Stored:
    """What Redis has of all shards."""

    views: dict[str, dict[str, object]]
    rows: dict[str, bytes]
    causes: Counter[tuple[str, str, str]]  # of the actions in the outbox: customer, rule, event id
    positions: dict[tuple[str, int], int]


def stored(client: redis.Redis) -> Stored:
    """Read everything."""
    views: dict[str, dict[str, object]] = {}
    rows: dict[str, bytes] = {}
    causes: Counter[tuple[str, str, str]] = Counter()
    positions: dict[tuple[str, int], int] = {}
    for key in client.scan_iter(count=10_000):
        named = KEY.fullmatch(key.decode())
        if named is None:
            continue
        number, kind, name = int(named[1]), named[2], named[3]
        if kind == "row":
            rows[name] = value_of(client, key)
        elif kind == "customer":
            views[name] = msgspec.json.decode(value_of(client, key))
        elif kind == "outbox":
            for action in msgspec.json.decode(value_of(client, key)):
                causes[action["customer_id"], action["rule"], action["cause"]] += 1
        elif kind == "fence":
            offsets = msgspec.json.decode(value_of(client, key))["offsets"]
            positions |= {(topic, number): int(offset) for topic, offset in offsets.items()}
    return Stored(views, rows, causes, positions)


def value_of(client: redis.Redis, key: bytes) -> bytes:
    value = client.get(key)
    assert isinstance(value, bytes), "nothing deletes keys in these tests"
    return value


def differences(wanted: dict[str, Customer], found: Stored) -> list[str]:
    """What is not as it must be, field by field; for actions, what is missing and what is double."""
    wrong = [f"{extra} is nobody" for extra in set(found.views) - set(wanted)]
    fields = [
        *("events_count", "orders_count", "orders_amount", "returns_count"),
        *("first_at_ms", "last_at_ms"),
    ]
    for name, customer in wanted.items():
        view = found.views.get(name, {})
        wrong += [
            f"{name}.{each} is {view.get(each)}, not {getattr(customer, each)}"
            for each in fields
            if view.get(each) != getattr(customer, each)
        ]
    causes = Counter((name, *cause) for name, each in wanted.items() for cause in each.causes)
    wrong += [f"missing action: {each}" for each in (causes - found.causes).elements()]
    wrong += [f"action too many: {each}" for each in (found.causes - causes).elements()]
    return wrong
