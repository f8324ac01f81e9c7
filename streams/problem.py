"""The problem: every error of the HTTP interface, as RFC 9457 describes it.

Promise   An error is one JSON object with `type`, `title`, `status` and `detail`; `type` ends in a
          stable word, and `reason` is that word alone.
Not here  Which errors there are: each handler makes its own.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import web

CONTENT_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:rapport:problem:"


def problem(
    status: int,
    reason: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> web.Response:
    """A response that tells of a problem.

    Args:
        status: the HTTP status.
        reason: a stable word for programs.
        detail: a sentence for people, about this very request.
        headers: to add.
        more: extension members.
    """
    body = {
        "type": TYPE_PREFIX + reason.replace("_", "-"),
        "title": HTTPStatus(status).phrase,
        "status": status,
        "reason": reason,
        "detail": detail,
        **more,
    }
    return web.Response(
        status=status, body=orjson.dumps(body), content_type=CONTENT_TYPE, headers=headers
    )
