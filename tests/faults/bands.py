"""Orders of which each is an action for one of several receivers, and the books of these receivers.

Promise   `wanted` is a sequential reading in plain Python; the books hold what came, by the id and the
          body of each request, and nothing that the engine says of itself.
Not here  Who sends orders, and what is killed meanwhile (experiments/webhook_faults.py).
"""

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
from standardwebhooks.webhooks import Webhook

from tests.faults.bad_receiver import Answer, Request
from tests.integration.shop import Told

CUSTOMERS = 500
ENDPOINTS = 8
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNED_EVERY = 100  # requests whose signature is verified

DOOMED_EVERY = 400

Named = tuple[str, str, str]  # rule, customer, cause


@dataclass
class Books:
    """What the receiver has seen of each action; written by its thread alone."""

    random: random.Random
    dooms: bool
    """Whether some actions are refused until they are given up."""
    asked: Counter[str] = field(default_factory=Counter)  # by webhook-id
    named: dict[str, Named] = field(default_factory=dict)  # the same, also where it is not taken
    taken: set[str] = field(default_factory=set)
    bodies: dict[str, set[bytes]] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    last_s: float = 0.0
    worst_gap_s: float = 0.0
    is_under_load: bool = False
    """Else a gap has no meaning."""
    is_good: bool = False
    """From now on everything is taken."""

    def answer(self, request: Request) -> Answer:
        named = request.headers["webhook-id"]
        self.asked[named] += 1
        if named not in self.named:
            data = msgspec.json.decode(request.body)["data"]
            self.named[named] = (data["rule"], data["customer_id"], data["cause"])
        if self.asked.total() % SIGNED_EVERY == 0:
            Webhook(SECRET).verify(request.body, request.headers)
        self.bodies.setdefault(named, set()).add(hashlib.blake2b(request.body).digest())
        if self.is_under_load:
            self.worst_gap_s = max(self.worst_gap_s, request.came_s - self.last_s)
        self.last_s = request.came_s
        answer = Answer() if self.is_good else self._bad(named)
        if answer.takes:
            self.taken.add(named)
        else:
            self.faults[f"{answer.status}" if answer.way == "whole" else answer.way] += 1
        return answer

    def _bad(self, named: str) -> Answer:
        """Mostly good; 30 % answer 5xx, and few hang, reset or break off. Some never succeed."""
        if self.dooms and is_doomed(named):
            return Answer(status=500)
        chance = self.random.random()
        if chance < 0.30:
            status = self.random.choice((500, 500, 500, 501, 502, 503, 599))
            asks = status == 503 and self.random.random() < 0.1
            return Answer(status=status, headers="Retry-After: 1\r\n" if asks else "")
        if chance < 0.303:
            return Answer("hang")
        if chance < 0.32:
            return Answer("reset")
        return Answer("cut") if chance < 0.337 else Answer()


def is_doomed(named: str) -> bool:
    """Whether an action is refused until it is given up: one of DOOMED_EVERY, by its id alone."""
    return int(hashlib.blake2b(named.encode(), digest_size=4).hexdigest(), 16) % DOOMED_EVERY == 0


def rules() -> str:
    """A rule for each receiver, by bands of the amount; no amount lies on a border."""
    bands = [round(100 / ENDPOINTS * each, 2) + 0.005 for each in range(ENDPOINTS + 1)]
    return "\n".join(
        f'[rule.band-{n}]\nversion = 1\ndescribe = "Orders of one band"\non = "order.placed"\n'
        f'when = "amount > {bands[n]} and amount <= {bands[n + 1]}"\nreason = "{{amount}}"\n'
        f'then = [{{ webhook = "crm-{n}", type = "band" }}]\n'
        for n in range(ENDPOINTS)
    )


def orders(seed: int, start_ms: int) -> Iterator[Told]:
    """Placed orders without end, from 0.02 to 100.00; the k-th has the id "e<k>"."""
    chance = random.Random(seed)
    number = 0
    while True:
        customer, amount = f"c{chance.randrange(CUSTOMERS)}", chance.randrange(2, 10_001) / 100
        event = {
            "id": f"e{number}",
            "type": "order",
            "action": "placed",
            "customer_id": customer,
            "at_ms": start_ms + number,
            "amount": amount,
        }
        yield Told("order", customer, msgspec.json.encode(event), start_ms + number, amount)
        number += 1


def wanted(sent: Sequence[Told]) -> Counter[Named]:
    """What is to be delivered: the slow and obvious way."""
    found: Counter[Named] = Counter()
    for number, each in enumerate(sent):
        assert each.amount is not None
        band = next(n for n in range(ENDPOINTS) if each.amount <= 100 / ENDPOINTS * (n + 1) + 0.005)
        found[f"band-{band}", each.customer, f"e{number}"] += 1
    return found
