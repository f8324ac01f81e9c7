"""Short lives of customers, one after the other, each event dated when it is sent; and others beside them.

Promise   No event of a life is dated less than GUARD_MS before a timer of its customer. `acked_ms` says
          by when Kafka had each record, never too early.
How       A life of some events, then silence: what it then waits for only the clock can fire. Before each
          event its own `Person` is asked what is awaited; where that is too near, the event waits.
Limits    Lives go on only while this process gets a core: the later an event, the later its date.
Not here  What must come of it (timer_check.py).
"""

import heapq
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import msgspec
from confluent_kafka import KafkaError, Message

from tests.faults.beside import beside
from tests.faults.timer_rules import Happening, Person
from tests.integration.shop import Sender, Told

GUARD_MS: Final = 600
PAUSE_MS: Final = (50, 1_300)  # between two events of a life, before they keep away from timers
EVENTS: Final = (2, 9)
EVENTS_LONG: Final = (80, 120)  # longer than caps count
LONG_ONE_IN: Final = 30
OTHERS: Final = 200
POLL_SECONDS: Final = 0.005
KINDS: Final = (
    *("click.add_to_cart", "click.add_to_cart", "click.view", "order.placed", "order.placed"),
    *("order.paid", "service.ticket_opened", "service.ticket_opened", "service.first_response"),
    *("service.csat", "service.csat"),
)
KEY_FIELDS: Final = {"click": "session_id", "order": "session_id", "service": "ticket_id"}

Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass
class DatedSender(Sender):
    """Remembers by when Kafka had each record."""

    acked_ms: dict[Place, int] = field(default_factory=dict)

    def _report(self, error: KafkaError | None, message: Message) -> None:
        super()._report(error, message)
        if error is None:
            place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
            self.acked_ms[place] = wall_ms()

    def put(self, each: Told) -> None:
        self._produce(self.settings.input_of(each.kind), each)
        self.sent.append(each)

    def listen(self, seconds: float) -> None:
        """Take acknowledgements, for so long."""
        self._producer.poll(seconds)


@dataclass(order=True, slots=True)
class Life:
    at_ms: int
    """When its next event is to be."""
    name: str
    left: int = field(compare=False)
    person: Person = field(compare=False, default_factory=Person)


@dataclass
class Lives:
    """So many at a time; who has had all events makes room for another."""

    sender: DatedSender
    chance: random.Random
    alive: int
    others_rate: int
    """Events a second of customers of whom the rules ask nothing."""

    def __post_init__(self) -> None:
        self._names, self._ids = count(), count()
        self._heap: list[Life] = []
        self._began = time.monotonic()
        self._others = 0

    def turn(self) -> None:
        """Send what is due."""
        now_ms = wall_ms()
        while len(self._heap) < self.alive:
            at_ms = now_ms + self.chance.randint(*PAUSE_MS)
            number = next(self._names)
            events = EVENTS if number % LONG_ONE_IN else EVENTS_LONG
            heapq.heappush(self._heap, Life(at_ms, f"life-{number}", self.chance.randint(*events)))
        while self._heap[0].at_ms <= now_ms:
            life = heapq.heappop(self._heap)
            self._live(life)
            if life.left:
                heapq.heappush(self._heap, life)
            elif len(self._heap) < self.alive:
                return  # another begins with the next turn
        wanted = (time.monotonic() - self._began) * self.others_rate
        while self._others < wanted:
            self._others += 1
            name = f"other-{self.chance.randrange(OTHERS)}"
            self.sender.put(told(Happening(self._next_id(), "click.view", wall_ms()), name))

    def _live(self, life: Life) -> None:
        """The next event of a life, now; or later, when that is too near to a timer."""
        now_ms = wall_ms()
        life.person.until(now_ms)
        clear_ms = clear_of(life.person.dues_ms(), now_ms)
        if clear_ms > now_ms:
            life.at_ms = clear_ms
            return
        kind, key = self.chance.choice(KINDS), f"k{self.chance.randrange(2)}"
        amount = self.chance.randrange(5_000, 10_000) / 100
        score = self.chance.randint(1, 5)
        each = Happening(self._next_id(), kind, now_ms, key, amount, score)
        life.person.show(each)
        self.sender.put(told(each, life.name))
        life.left -= 1
        life.at_ms = now_ms + self.chance.randint(*PAUSE_MS)

    def _next_id(self) -> str:
        return f"e{next(self._ids)}"


def clear_of(dues_ms: list[int], at_ms: int) -> int:
    """The first time from then on that is in no timer's guard.

    >>> clear_of([5_000, 5_500], 4_300), clear_of([5_000, 5_500], 4_500)
    (4300, 5500)
    """
    for due_ms in sorted(dues_ms):
        if due_ms - GUARD_MS < at_ms < due_ms:
            at_ms = due_ms
    return at_ms


def told(each: Happening, customer: str) -> Told:
    """The event as it is sent."""
    kind, _, action = each.kind.partition(".")
    event: dict[str, object] = {
        "id": each.id,
        "type": kind,
        "action": action,
        "customer_id": customer,
        "at_ms": each.at_ms,
    }
    if each.key:
        event[KEY_FIELDS[kind]] = each.key
    if kind == "order":
        event["amount"] = each.amount
    if each.kind == "service.csat":
        event["score"] = each.score
    return Told(kind, customer, msgspec.json.encode(event), each.at_ms, None)


def happening(value: bytes) -> tuple[str, Happening]:
    """A customer, and the event as it was read."""
    event = msgspec.json.decode(value)
    kind = f"{event['type']}.{event['action']}"
    key = event.get(KEY_FIELDS[event["type"]], "")
    amount, score = event.get("amount", 0.0), event.get("score", 0)
    each = Happening(event["id"], kind, event["at_ms"], key, amount, score)
    return event["customer_id"], each


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def living(lives: Lives) -> Iterator[None]:
    """Let them live as long as the block lasts; then Kafka has all of it.

    Raises:
        Exception: What ended the sending, at the end of the block.
    """

    def turn() -> None:
        lives.turn()
        lives.sender.listen(POLL_SECONDS)

    with beside(turn, "lives"):
        yield
    lives.sender.flush()
