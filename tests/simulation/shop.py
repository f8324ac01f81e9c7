"""The events of a world, and what must come of them, read one after the other.

Promise   What must be stored of a customer at given positions of the log is counted here, in plain
          Python; nothing of the engine is asked.
How       The same event may be in the log twice, and what is no event is in between. What an action
          depends on is in one topic, because between topics there is no order.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tests.simulation import waiting
from tests.simulation.chance import Chance
from tests.simulation.virtual_loop import START_MS

TOPICS: Final = ("clicks", "orders", "service")
SHARDS: Final = 2
CUSTOMERS: Final = 3  # a shard
WAITING_SHARE: Final = 0.85  # of the clicks
DEAR: Final = 90
RETURNS: Final = 3
RULES: Final = """
[rule.dear]
version = 1
describe = "Look at each order of much money"
on = "order.placed"
when = "amount > 90"
reason = "An order of {amount}"
then = [{ webhook = "crm", type = "dear" }]

[rule.returns]
version = 1
describe = "Ask what is wrong, once"
when = "count(order.returned, 365d) >= 3"
reason = "{count(order.returned, 365d)} returns"
then = [{ webhook = "crm", type = "returns" }, { webhook = "risk", type = "returns" }]
"""
WAITERS: Final = 2  # customers a shard who wait for a time; all that they do is in one topic
RULES_LATER: Final = """
[rule.rare]
version = 1
describe = "Never happens, and needs columns of its own"
when = "count(service.contact, 30d) >= 1000 and sum(order.placed.amount, 7d) > 1e12"
reason = "Never"
then = [{ webhook = "crm", type = "never" }]
"""

Cause = tuple[str, str, str, str]  # customer, rule, event id, endpoint
Place = tuple[str, int]  # topic, shard


@dataclass(slots=True)
class Counted:
    """Of one customer in one partition: where each event stands for the first time."""

    events: list[int] = field(default_factory=list)
    orders: list[int] = field(default_factory=list)
    returns: list[int] = field(default_factory=list)
    amounts: list[float] = field(default_factory=list)  # of the orders
    causes: list[tuple[int, Cause]] = field(default_factory=list)


@dataclass(slots=True)
class Shop:
    chance: Chance
    log: dict[Place, list[tuple[bytes, int]]] = field(
        default_factory=lambda: {
            (topic, number): [] for topic in TOPICS for number in range(SHARDS)
        }
    )
    poison: set[tuple[str, int, str]] = field(default_factory=set)
    counted: dict[Place, dict[str, Counted]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counted))
    )
    count: int = 0
    _last: dict[Place, bytes] = field(default_factory=dict)

    def happen(self, now_ms: int) -> None:
        """One more record in the log."""
        random = self.chance.random
        number, topic = random.randrange(SHARDS), random.choice((*TOPICS, "clicks", "orders"))
        place, at_ms = (topic, number), START_MS + now_ms
        records = self.log[place]
        fault = self.chance.at(self.chance.log)
        if fault == "poison":
            self.poison.add((topic, number, str(len(records))))
            records.append((b'{"id": "e', at_ms))
        elif fault == "duplicate" and place in self._last:
            records.append((self._last[place], at_ms))
        else:
            is_waiting = topic == "clicks" and random.random() < WAITING_SHARE
            customer = f"w{number}-{random.randrange(WAITERS)}" if is_waiting else ""
            self._event(place, customer or f"c{number}-{random.randrange(CUSTOMERS)}", at_ms)

    def _event(self, place: Place, customer: str, at_ms: int) -> None:
        topic, random = place[0], self.chance.random
        event_id, position = f"e{self.count}", len(self.log[place])
        self.count += 1
        counted = self.counted[place][customer]
        event: dict[str, object] = {"id": event_id, "customer_id": customer, "at_ms": at_ms}
        if waiting.is_waiting(customer):
            event |= {"type": "click", "action": random.choice(waiting.ACTIONS)}
            event["session_id"] = random.choice(waiting.SESSIONS)
        elif topic == "clicks":
            event |= {"type": "click", "action": "view"}
        elif topic == "service":
            event |= {"type": "service", "action": "contact"}
        else:
            is_return, amount = random.random() < 0.4, random.randrange(1, 20_000) / 100
            event |= {"type": "order", "action": "returned" if is_return else "placed"}
            event["amount"] = amount
            self._order(counted, position, (customer, event_id), None if is_return else amount)
        counted.events.append(position)
        value = self._last[place] = msgspec.json.encode(event)
        self.log[place].append((value, at_ms))

    def _order(
        self, counted: Counted, position: int, who: tuple[str, str], amount: float | None
    ) -> None:
        customer, event_id = who
        if amount is None:
            counted.returns.append(position)
            if len(counted.returns) == RETURNS:
                counted.causes += [
                    (position, (customer, "returns", event_id, name)) for name in ("crm", "risk")
                ]
            return
        counted.orders.append(position)
        counted.amounts.append(amount)
        if amount > DEAR:
            counted.causes.append((position, (customer, "dear", event_id, "crm")))

    def expected(
        self, number: int, customer: str, offsets: Mapping[str, str]
    ) -> dict[str, float | int]:
        """What a view must say after the records before these positions."""
        events = orders = returns = 0
        amount = 0.0
        for topic in TOPICS:
            end = int(offsets.get(topic, "0"))
            counted = self.counted[topic, number][customer]
            events += bisect_left(counted.events, end)
            until = bisect_left(counted.orders, end)
            orders += until
            amount += sum(counted.amounts[:until])
            returns += bisect_left(counted.returns, end)
        return {
            "events_count": events,
            "orders_count": orders,
            "orders_amount": round(amount, 2),
            "returns_count": returns,
        }

    def causes(self, number: int, offsets: Mapping[str, str]) -> list[Cause]:
        """What must have been decided after the records before these positions."""
        end = int(offsets.get("orders", "0"))
        return [
            cause
            for counted in self.counted["orders", number].values()
            for position, cause in counted.causes
            if position < end
        ]

    def waited(self, number: int, first: int, end: int) -> list[dict[str, Any]]:
        """The events of who waits for a time, at these positions."""
        found = []
        for position in range(first, end):
            if ("clicks", number, str(position)) not in self.poison:
                event = msgspec.json.decode(self.log["clicks", number][position][0])
                if waiting.is_waiting(event["customer_id"]):
                    found.append(event)
        return found

    def ends(self, number: int) -> dict[str, str]:
        """The positions after everything."""
        return {topic: str(len(self.log[topic, number])) for topic in TOPICS}
