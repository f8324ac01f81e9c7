"""The sink: where an action leaves us, and the receipt that says what came of it.

Promise   `deliver` tries once and answers with a receipt; whatever the far side does is a receipt,
          never an exception. Tried again, the far side sees the same id and the same bytes.
How       A Protocol with two methods; tests/contracts/test_sink.py holds every sink to it.
Limits    A sink bounds its own time and memory per attempt. It keeps nothing between attempts.
Not here  When to try again (retry.py, breaker.py). Queues and records (streams/relay.py).
"""

from dataclasses import dataclass
from typing import Protocol

from rules.action import Action


@dataclass(frozen=True, slots=True)
class Delivered:
    """The far side has it."""

    note: str = ""  # what it said: "HTTP 204"
    disables: bool = False  # it has this one, and asked for no more


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """The far side does not have it, or did not say so: try again."""

    reason: str
    delay_ms: int | None = None  # what the far side asked for, already within bounds
    slows: bool = False  # it asked us to slow down, as with 429 and 503


@dataclass(frozen=True, slots=True)
class Rejected:
    """The far side will never have it: trying again cannot help."""

    reason: str
    disables: bool = False  # nor will it have any other


Receipt = Delivered | RetryAfter | Rejected


class Sink(Protocol):
    """One place that actions go to."""

    def body(self, action: Action) -> bytes:
        """The bytes to deliver: a function of the action alone, so that a repeat is identical."""

    async def deliver(self, action: Action, body: bytes) -> Receipt:
        """Try once. Raises nothing but cancellation, after which the far side may or may not have it."""
