"""The payload: an action as the bytes that a receiver gets.

Promise   The same action gives the same bytes, today and after a restart, so that a receiver can
          compare repeats and a signature stays checkable.
How       JSON in the shape of Standard Webhooks, members in a fixed order, read values sorted by
          name: nothing but the action goes in, no clock and no counter of attempts.

    {
      "type": "churn.risk",                        the target's type, or the rule's name
      "timestamp": "2024-05-01T12:00:00.000Z",     event time of the cause
      "data": {
        "action_id": "a1b2…",                      also the webhook-id: drop what you have seen
        "rule": "churn-risk-callback", "version": 3,
        "customer_id": "c-42",
        "cause": "e-977",                          id of the event that made the rule fire
        "at_ms": 1714564800000,
        "reason": "Health fell to 38, mostly usage",
        "values": {"health": 38.2, …},             what the rule read, by the names it uses
        "why": [{"clause": "health < 40", "value": 38.2}, …],   the clauses that made it fire, if any
        "health_scale": "0 to 100, higher is healthier"    only where a health is among the values
      }
    }

          What a target gives as its own `body` was rendered when the rule fired, and goes as it is.
Limits    A value that is missing or not finite is null: JSON has no other word for it.
Not here  Signatures (signing.py).
"""

from math import isfinite
from typing import Final

import orjson

from rules.action import Action
from rules.duration import iso

HEALTH_SCALE: Final = "0 to 100, higher is healthier"  # half the tools out there mean the opposite


def body(action: Action) -> bytes:
    if action.body:
        return action.body.encode()
    read = values(action)
    data = {
        "action_id": action.id,
        "rule": action.rule,
        "version": action.version,
        "customer_id": action.customer_id,
        "cause": action.cause,
        "at_ms": action.at_ms,
        "reason": action.reason,
        "values": read,
    }
    if action.why:
        data["why"] = [{"clause": each.clause, "value": _finite(each.value)} for each in action.why]
    if any(name.partition(".")[0] == "health" for name in read):
        data["health_scale"] = HEALTH_SCALE
    return orjson.dumps({"type": kind(action), "timestamp": iso(action.at_ms), "data": data})


def kind(action: Action) -> str:
    """What the receiver switches on: the type that the rule gives its target, or the rule's name."""
    return action.target.type or action.rule


def values(action: Action) -> dict[str, float | str | None]:
    """What the rule read, sorted by name, as JSON can hold it."""
    return {name: _finite(value) for name, value in sorted(action.data.items())}


def _finite(value: float | str | None) -> float | str | None:
    return None if isinstance(value, float) and not isfinite(value) else value
