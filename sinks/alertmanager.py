"""Alertmanager: an action as an alert that somebody on call sees.

Promise   One alert per rule and customer: a repeat, or a second action of the same rule for the same
          customer, updates the alert and does not add one.
How       POST /api/v2/alerts. Labels are the alert's identity; what differs from action to action
          goes into annotations.
Limits    No end time: Alertmanager resolves the alert after its own `resolve_timeout`.
Not here  Routing, grouping and silences: Alertmanager's work.
"""

from collections.abc import Callable
from typing import Final

import aiohttp
import orjson

from rules.action import Action
from sinks import payload
from sinks.post import TIMEOUT_MS, post
from sinks.sink import Receipt

ALERTS_PATH: Final = "/api/v2/alerts"
_HEADERS: Final = {"Content-Type": "application/json"}


class AlertmanagerSink:
    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        now_ms: Callable[[], int],
        timeout_ms: int = TIMEOUT_MS,
    ) -> None:
        """Take Alertmanager's address with or without the path of its API."""
        bare = url.rstrip("/")
        self._session = session
        self._url = bare if bare.endswith(ALERTS_PATH) else bare + ALERTS_PATH
        self._now_ms = now_ms
        self._timeout_ms = timeout_ms

    def body(self, action: Action) -> bytes:
        labels = {
            "alertname": payload.kind(action),
            "rule": action.rule,
            "customer_id": action.customer_id,
            "source": "rapport",
        }
        if action.target.severity:
            labels["severity"] = action.target.severity
        annotations = {
            "summary": action.reason,
            "action_id": action.id,
            "cause": action.cause,
            "version": str(action.version),
        }
        annotations |= {
            "value_" + name.replace(".", "_"): str(value)
            for name, value in payload.values(action).items()
            if value is not None
        }
        starts_at = payload.iso(action.at_ms)
        return orjson.dumps([{"labels": labels, "annotations": annotations, "startsAt": starts_at}])

    async def deliver(self, action: Action, body: bytes) -> Receipt:  # noqa: ARG002  the sink's promise
        return await post(self._session, self._url, body, _HEADERS, self._timeout_ms, self._now_ms)
