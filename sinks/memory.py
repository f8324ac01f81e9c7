"""The sink that remembers: for tests, simulations and backtests.

Promise   Keeps what every sink promises, and answers with the receipts it was given, in order.
Limits    Remembers the last KEPT_MAX deliveries.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rules.action import Action
from sinks import payload
from sinks.sink import Delivered, Receipt

KEPT_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Attempt:
    action_id: str
    body: bytes
    receipt: Receipt


class MemorySink:
    def __init__(self, receipts: Iterable[Receipt] = ()) -> None:
        """Answer with these receipts first, then always with Delivered."""
        self._receipts = iter(receipts)
        self.attempts: deque[Attempt] = deque(maxlen=KEPT_MAX)

    @property
    def delivered(self) -> list[Attempt]:
        return [each for each in self.attempts if isinstance(each.receipt, Delivered)]

    def body(self, action: Action) -> bytes:
        return payload.body(action)

    async def deliver(self, action: Action, body: bytes) -> Receipt:
        receipt = next(self._receipts, Delivered())
        self.attempts.append(Attempt(action.id, body, receipt))
        return receipt
