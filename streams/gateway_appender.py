"""The way into the log of a running gateway, over HTTP.

Promise   When `append` returns, the gateway has said that the events are durable.
How       One request a call, in lines (NDJSON).
Limits    ANSWER_SECONDS_MAX a request; then it counts as not durable.
Not here  Trying again: backfill.py. The other side: intake.py.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from processors.event import Event
from streams.appender import AppendError, AppendRefusedError, Refused

ANSWER_SECONDS_MAX: Final = 30.0  # three times what the gateway gives its log
AGAIN: Final = frozenset(
    {408, 429, 500, 502, 503, 504}
)  # the gateway's, and those of proxies before it
PATH: Final = "/v1/events"
CUSTOMERS: Final = "/v1/customers/"


class _Rejected(msgspec.Struct):
    index: int
    reason: str
    detail: str = ""


class _Answer(msgspec.Struct):
    rejected: list[_Rejected] | None = None
    detail: str = ""
    title: str = ""


class GatewayAppender:
    """The Appender of a gateway at `url`; the session stays the caller's."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None = None) -> None:
        """Remember where; nothing is sent yet."""
        self._session = session
        self._url = url.rstrip("/") + PATH
        self._customers = url.rstrip("/") + CUSTOMERS
        self._headers = {"Content-Type": "application/x-ndjson"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    async def append(self, records: Sequence[tuple[Event, bytes]]) -> Sequence[Refused]:
        """Append in order; return when durable.

        Raises:
            AppendError: There was no answer, or one that asks to try again.
            AppendRefusedError: The gateway takes nothing from us.
        """
        if not records:
            return ()
        try:
            async with self._session.post(
                self._url,
                data=b"\n".join(value for _, value in records),
                headers=self._headers,
                allow_redirects=False,  # following one may turn the POST into a GET
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX),
            ) as response:
                status, body = response.status, await response.read()
        except aiohttp.InvalidURL as error:
            raise AppendRefusedError(f"{self._url} is no URL") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AppendError(f"{self._url}: {str(error) or 'no answer'}") from error
        return self._judge(status, body, len(records))

    async def knows(self, customer_id: str) -> bool:
        """Whether the gateway has this customer.

        Raises:
            AppendError: It does not say.
        """
        url = self._customers + quote(customer_id, safe="")
        try:
            async with self._session.get(
                URL(url, encoded=True),
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX),
            ) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AppendError(f"{url}: {str(error) or 'no answer'}") from error
        if status not in (200, 404):
            raise AppendError(f"{url}: {status}")
        return status == 200  # noqa: PLR2004  HTTP's OK

    def _judge(self, status: int, body: bytes, count: int) -> list[Refused]:
        answer = _answer(body)
        told = f"{self._url}: {status} {answer.detail or answer.title}".rstrip()
        if status in AGAIN:
            raise AppendError(told)
        if status not in (200, 422) or answer.rejected is None:
            raise AppendRefusedError(f"{told}; is this the address of a Rapport gateway?")
        if any(not 0 <= each.index < count for each in answer.rejected):
            raise AppendRefusedError(f"{told}: rejects an event that was not sent")
        return [Refused(each.index, each.reason, each.detail) for each in answer.rejected]


def _answer(body: bytes) -> _Answer:
    """What can be read of the body; a proxy before the gateway may answer anything."""
    try:
        return msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Answer()
