"""The JSON Schema of an event, for senders who check before they send.

Promise   What the schema refuses, `decode` refuses; what only `decode` can refuse (sizes in bytes, depth,
          times measured against the record's own) is told in words.
How       msgspec writes it from the types of event.py; what depends on several fields is added here.
Not here  The command that prints it (streams/cli.py).
"""

from typing import Any, Final

import msgspec

from processors.event import DEPTH_MAX, EVENT_BYTES_MAX, KINDS, Event
from processors.fault import ALLOWED, MONEY_ACTIONS, SCALES

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """One object schema, without references to others.

    >>> json_schema()["required"]
    ['id', 'type', 'action', 'customer_id', 'at_ms']
    """
    (event,) = msgspec.json.schema(Event)["$defs"].values()
    properties: dict[str, Any] = event["properties"]
    for field, allowed in ALLOWED.items():
        properties[field]["description"] = allowed[0].upper() + allowed[1:] + "."
    properties["type"] = {"enum": list(KINDS), "description": properties["type"]["description"]}
    return {
        "$schema": DRAFT,
        "title": "Rapport event",
        "description": (
            f"One thing that a customer did. At most {EVENT_BYTES_MAX} bytes of UTF-8 JSON, at most"
            f" {DEPTH_MAX} objects and arrays deep, without NUL. Other fields do no harm."
        ),
        "type": "object",
        "properties": properties,
        "required": event["required"],
        "allOf": [_money(), *(_scale(action) for action in SCALES)],
    }


def _money() -> dict[str, Any]:
    moved = {"type": {"const": "order"}, "action": {"enum": sorted(MONEY_ACTIONS)}}
    needed = {"required": ["amount"], "properties": {"amount": {"type": "number"}}}
    return {"if": {"properties": moved, "required": ["type", "action"]}, "then": needed}


def _scale(action: str) -> dict[str, Any]:
    least, most = SCALES[action]
    answer = {"type": {"const": "service"}, "action": {"const": action}}
    score = {"score": {"minimum": least, "maximum": most}}
    return {
        "if": {"properties": answer, "required": ["type", "action"]},
        "then": {"properties": score},
    }
