"""Good and poison records in turns, into the topics of a site.

Promise   Where Kafka has put each record, and when it was sent, is known once `flush` has returned.
Limits    RATE a second. The corpus is of another day: what lies ahead of its arrival still does.
Not here  What becomes of them (experiments/poison.py).
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, Message, Producer

from streams.delivery_report import failure
from tests.corpus import DAY_MS, POISON, RECORD_MS, Poison
from tests.faults.lone_worker import Site
from tests.faults.records import Place
from tests.integration.kafka_broker import ONE_AT_A_TIME
from tests.integration.shop import Told, told

RATE = 1_000
SHARE = 10  # one in so many
TURN_SECONDS = 1.0
MARGIN_NS = 200_000_000  # of a turn, at its beginning
CUSTOMERS = 400


@dataclass(frozen=True, slots=True)
class Turn:
    is_poisoned: bool
    begin_ns: int
    end_ns: int

    def holds(self, ns: int) -> bool:
        return self.begin_ns + MARGIN_NS <= ns < self.end_ns


@dataclass(frozen=True, slots=True)
class Bad:
    """A poison record as it was sent."""

    poison: Poison
    key: bytes
    value: bytes | None
    number: bytes
    at_ms: int


@dataclass
class Load:
    """Good and poison records at a steady rate; where Kafka has put them, and when they were sent."""

    site: Site
    seed: int
    good: list[Told] = field(default_factory=list)
    sent_ns: dict[Place, int] = field(default_factory=dict)
    bad: dict[Place, Bad] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._producer = Producer({**self.site.settings.producer(), **ONE_AT_A_TIME})
        self._poison = [each for each in POISON if each.name != "5 MB"]
        self._events: Iterator[Told] = told(
            self.seed, CUSTOMERS, start_ms=time.time_ns() // 1_000_000 - 600_000
        )

    def turn(self, *, is_poisoned: bool, seconds: float = TURN_SECONDS) -> None:
        """Send so long; one record in ten is poison or, else, good too: as many make the same work."""
        begin_ns = time.monotonic_ns()
        for number in range(int(RATE * seconds)):
            due_ns = begin_ns + number * 1_000_000_000 // RATE
            while (left_ns := due_ns - time.monotonic_ns()) > 0:
                self._producer.poll(0)
                time.sleep(min(left_ns / 1e9, 0.001))
            self._send_good()
            if number % (SHARE - 1) == 0:
                (self._send_bad if is_poisoned else self._send_good)()
        self._producer.poll(0)
        self.turns.append(Turn(is_poisoned, begin_ns, time.monotonic_ns()))

    def flush(self) -> None:
        left = self._producer.flush(60)
        assert not left, f"{left} records are not in Kafka"

    def is_refused(self, poison: Poison) -> bool:
        """Whether the topic does not take it."""
        errors: list[KafkaError | None] = []
        large = Producer({**self.site.settings.producer(), "message.max.bytes": 10_000_000})
        large.produce(
            self.site.settings.inputs[1],
            value=poison.value,
            key=b"c0",
            on_delivery=lambda error, _: errors.append(error),
        )
        assert not large.flush(30)
        (error,) = errors
        return error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE

    def _send_good(self) -> None:
        each = next(self._events)
        self.good.append(each)
        at_ns = time.monotonic_ns()

        def report(error: KafkaError | None, message: Message) -> None:
            assert (refused := failure(error, message)) is None, refused
            self.sent_ns[place_of(message)] = at_ns

        topic = self.site.settings.input_of(each.kind)
        self._producer.produce(topic, each.value, each.customer, on_delivery=report)

    def _send_bad(self) -> None:
        poison = self._chance.choice(self._poison)
        at_ms = time.time_ns() // 1_000_000
        value = poison.value
        if value is not None:  # the corpus is of another day: what is ahead of it stays ahead
            value = value.replace(b"%d" % (RECORD_MS + DAY_MS + 1), b"%d" % (at_ms + 2 * DAY_MS))
        key = b"c%d" % self._chance.randrange(CUSTOMERS)
        bad = Bad(poison, key, value, b"%d" % len(self.bad), at_ms)

        def report(error: KafkaError | None, message: Message) -> None:
            assert (refused := failure(error, message)) is None, refused
            self.bad[place_of(message)] = bad

        self._producer.produce(
            self._chance.choice(self.site.settings.inputs),
            value=value,
            key=key,
            headers=[("trace", bad.number)],
            timestamp=at_ms,
            on_delivery=report,
        )


def place_of(message: Message) -> Place:
    return message.topic() or "", message.partition() or 0, message.offset() or 0
