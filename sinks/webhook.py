"""Webhooks: a signed POST to a receiver of the user's.

Promise   Signed as Standard Webhooks has it: the id is the action's, the time is the attempt's.
          The body of a repeat is byte for byte that of the first attempt.
How       post.py, with the three headers of signing.py.
Limits    `timeout_ms` an attempt.
Not here  What may be connected to: the session's guard. Sessions are opened and closed outside.
"""

from collections.abc import Callable
from typing import Final

import aiohttp

from rules.action import Action
from sinks import payload
from sinks.post import TIMEOUT_MS, post
from sinks.signing import Signer
from sinks.sink import Receipt

CONTENT_TYPE: Final = "application/json"


class WebhookSink:
    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        signer: Signer,
        now_ms: Callable[[], int],
        timeout_ms: int = TIMEOUT_MS,
    ) -> None:
        self._session = session
        self._url = url
        self._signer = signer
        self._now_ms = now_ms
        self._timeout_ms = timeout_ms

    def body(self, action: Action) -> bytes:
        return payload.body(action)

    async def deliver(self, action: Action, body: bytes) -> Receipt:
        headers = self._signer.headers(action.id, self._now_ms(), body)
        headers["Content-Type"] = CONTENT_TYPE
        return await post(self._session, self._url, body, headers, self._timeout_ms, self._now_ms)
