"""Slack: an action as a message, for everything that takes Slack's incoming webhooks.

Promise   What customers and rules wrote is shown as it is: it links nothing, calls nobody, and is cut
          rather than refused. The address, which is a secret, is in no receipt.
How       `text` says it all in a line, for notifications and for receivers that know no blocks; the
          blocks are the reason, what the rule read as fields, and where the action comes from. The
          characters &, < and > are escaped, as Slack asks, before a text is cut.
          Slack's answers: "ok" is delivered, 429 slows down with its Retry-After. A message that it
          cannot read is rejected for good, an address that was revoked ends the endpoint; all else is
          judged as any answer (answer.py), such as 403 and 404, which an administrator can mend.
Source    Slack's "Sending messages using incoming webhooks", "Formatting text", "Section block".
Limits    TEXT_CHARS_MAX a block, FIELD_CHARS_MAX a field, FIELDS_MAX fields; the rest is counted.
Not here  One message a second is what Slack likes: `rate` of the endpoint (streams/lane.py).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import aiohttp
import orjson

from rules.action import Action
from rules.duration import iso
from rules.template import MISSING, number_text
from sinks import payload
from sinks.answer import judge
from sinks.post import TIMEOUT_MS, post
from sinks.sink import Receipt, Rejected

TEXT_CHARS_MAX: Final = 3_000  # of a section's text
FIELD_CHARS_MAX: Final = 2_000
FIELDS_ROW_MAX: Final = 10  # of one section
FIELDS_MAX: Final = 20

UNREADABLE: Final = frozenset(
    {
        *("invalid_payload", "invalid_blocks", "invalid_blocks_format", "no_text"),
        *("missing_text_or_fallback_or_attachments", "too_many_attachments"),
    }
)
REVOKED: Final = frozenset(
    {"no_service", "no_service_id", "no_team", "team_disabled", "invalid_token"}
)

_HEADERS: Final = {"Content-Type": "application/json"}
_ESCAPED: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class SlackSink:
    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        now_ms: Callable[[], int],
        timeout_ms: int = TIMEOUT_MS,
    ) -> None:
        self._session = session
        self._url = url
        self._now_ms = now_ms
        self._timeout_ms = timeout_ms

    def body(self, action: Action) -> bytes:
        kind = payload.kind(action)
        come = f"{action.rule} v{action.version}"
        about = f"{come} · {iso(action.at_ms)} · {action.id}"
        read = [f"{name}\n{_value(each)}" for name, each in payload.values(action).items()]
        if len(read) > FIELDS_MAX:
            about += f" · {len(read) - FIELDS_MAX} more values"
        fields = [_text(each, FIELD_CHARS_MAX) for each in read[:FIELDS_MAX]]
        blocks: list[dict[str, Any]] = [
            {
                "type": "section",
                "text": _text(f"{kind} · {action.customer_id}\n{action.reason}", TEXT_CHARS_MAX),
            },
            *(
                {"type": "section", "fields": fields[start : start + FIELDS_ROW_MAX]}
                for start in range(0, len(fields), FIELDS_ROW_MAX)
            ),
            {"type": "context", "elements": [_text(about, FIELD_CHARS_MAX)]},
        ]
        line = f"{kind} · {action.customer_id}: {action.reason} ({come})"
        return orjson.dumps({"text": escaped(line, TEXT_CHARS_MAX), "blocks": blocks})

    async def deliver(self, action: Action, body: bytes) -> Receipt:  # noqa: ARG002  the sink's promise
        sent = (self._session, self._url, body, _HEADERS, self._timeout_ms, self._now_ms)
        return await post(*sent, judged=judged)


def judged(status: int, headers: Mapping[str, str], now_ms: int, said: str = "") -> Receipt:
    """The receipt for an answer of Slack's.

    >>> judged(404, {}, 0, "no_service").disables
    True
    """
    if 400 <= status <= 499 and said in UNREADABLE | REVOKED:  # noqa: PLR2004  HTTP's own bounds
        return Rejected(f"HTTP {status}: {said}", disables=said in REVOKED)
    return judge(status, headers, now_ms, said)


def escaped(words: str, chars_max: int) -> str:
    """The text with Slack's control characters escaped, cut where it would be too long.

    >>> escaped("<!here> R&D", 100), escaped("a<b", 4)
    ('&lt;!here&gt; R&amp;D', 'a…')
    """
    return "".join(_kept(words, chars_max))


def _kept(words: str, chars_max: int) -> Iterator[str]:
    """The pieces of the escaped text that fit, never a part of one."""
    pieces = [_ESCAPED.get(each, each) for each in words[: chars_max + 1]]
    if sum(map(len, pieces)) <= chars_max:
        yield from pieces
        return
    left = chars_max - 1
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        yield piece
    yield "…"


def _text(words: str, chars_max: int) -> dict[str, Any]:
    """A text in which nothing is taken for a link, a name or a channel."""
    return {"type": "mrkdwn", "text": escaped(words, chars_max), "verbatim": True}


def _value(value: float | str | None) -> str:
    if value is None:
        return MISSING
    return value if isinstance(value, str) else number_text(value)
