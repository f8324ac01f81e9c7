"""The action: what a rule decided to do for a customer, and why.

Promise   The same rule version, customer, cause and target give the same id, in every replay, on every
          machine; a receiver that keeps ids applies each action once.
How       The id is a hash of these four; reason and body are rendered when the rule fires, and never
          again, so that a repeat has the same bytes also after a restart.
Not here  Deciding (evaluate.py). Delivering (sinks/, streams/relay.py).
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

ALERT: Final = "alert"  # the kind of target that is told when it is over
ID_BYTES: Final = 16  # 128 bits: no collisions in any number of actions that will ever be


class Target(msgspec.Struct, frozen=True):
    """Where an action goes."""

    kind: str  # "webhook", "topic", "alert", "slack" or "log"
    name: str  # endpoint, topic or alert receiver of that name
    type: str  # what the receiver calls it, such as "churn.risk"
    severity: str = ""  # alerts only


class Because(msgspec.Struct, frozen=True):
    """A clause that held when the rule fired, and the value that it judged."""

    clause: str  # spelled, such as "health < 40"
    value: float | str | None


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing to do, with its cause."""

    id: str
    rule: str
    version: int
    customer_id: str
    shard: int
    cause: str  # the id of the event that made the rule fire, or whose coming ended it
    at_ms: int  # event time of the cause
    reason: str
    target: Target
    data: dict[str, float | str | None]  # the values that the rule read, by name
    withheld: str = ""  # "holdout", "canary" or "shadow": to be recorded, not delivered (fires.py)
    why: tuple[Because, ...] = ()  # which clauses made the rule fire (grounds.py)
    resolves: bool = False  # says that the rule's condition is over; only to alerts
    ends_ms: int = 0  # when the alert is over at the latest; 0: whenever its receiver thinks so
    body: str = ""  # JSON that its target asks for instead of ours (body.py)
    is_stale: bool = False  # its cause was no news when it arrived: to be recorded, not delivered


def one_of_each_fire(actions: Iterable[Action]) -> list[Action]:
    """The first action of each fire: a rule with two targets has fired once, and no ending is a fire.

    Args:
        actions: of whole fires; a fire's are in one batch.
    """
    found: dict[tuple[str, str, str], Action] = {}
    for each in actions:
        if not each.resolves:
            found.setdefault((each.rule, each.customer_id, each.cause), each)
    return list(found.values())


def action_id(rule: str, version: int, customer_id: str, cause: str, target: int) -> str:
    """The id of an action: equal causes give equal ids.

    >>> action_id("vip", 1, "c-7", "e-9", 0) == action_id("vip", 1, "c-7", "e-9", 0)
    True
    >>> action_id("vip", 1, "c-7", "e-9", 0) == action_id("vip", 2, "c-7", "e-9", 0)
    False
    """
    parts = [rule, str(version), customer_id, cause, str(target)]
    text = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return "act_" + hashlib.blake2b(text, digest_size=ID_BYTES).hexdigest()
