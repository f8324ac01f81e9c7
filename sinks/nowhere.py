"""Nowhere: the sink of a target that means nothing in these settings.

Promise   Every action is rejected, with the reason and the mend, so that it shows among the dead.
"""

from rules.action import Action
from sinks import payload
from sinks.sink import Receipt, Rejected


class NowhereSink:
    def __init__(self, reason: str) -> None:
        self._reason = reason

    def body(self, action: Action) -> bytes:
        return payload.body(action)

    async def deliver(self, action: Action, body: bytes) -> Receipt:  # noqa: ARG002  the sink's promise
        return Rejected(self._reason)
