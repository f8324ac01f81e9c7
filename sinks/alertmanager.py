"""Alertmanager: an action as an alert that somebody on call sees.

Promise   One alert per rule and customer: a repeat, or a second action of the same rule for the same
          customer, updates the alert and does not add one. An action that resolves ends it.
How       POST /api/v2/alerts. Labels are the alert's identity; what differs from action to action
          goes into annotations. The end is event time, as the start is: an alert that resolves has the
          end alone, which Alertmanager takes for its start too and joins to the alert that it knows.
Limits    Without an end in sight (`ends_ms`) Alertmanager resolves the alert after its own
          `resolve_timeout`. A rule whose alert has another type or severity by now has another alert.
Not here  Routing, grouping and silences: Alertmanager's work. Which of two that wait for another
          attempt is out of date (streams/overtaken.py).
"""

from collections.abc import Callable
from typing import Final

import aiohttp
import orjson

from rules.action import Action
from rules.duration import iso
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
        alert = {"labels": labels, "annotations": annotations}
        return orjson.dumps([alert | _times(action)])

    async def deliver(self, action: Action, body: bytes) -> Receipt:  # noqa: ARG002  the sink's promise
        return await post(self._session, self._url, body, _HEADERS, self._timeout_ms, self._now_ms)


def _times(action: Action) -> dict[str, str]:
    if action.resolves:
        return {"endsAt": iso(action.at_ms)}
    times = {"startsAt": iso(action.at_ms)}
    return times | {"endsAt": iso(action.ends_ms)} if action.ends_ms else times
