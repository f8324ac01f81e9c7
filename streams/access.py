"""Access: who may use the HTTP interface.

Promise   What listens beyond this machine asks for the token; probes and metrics do not, for they tell
          nothing about customers. What listens on this machine alone asks for it only when there is
          one, and without a token refuses what a web page in a browser could send.
How       Bearer tokens, compared in constant time. A page can make a browser post to 127.0.0.1, or
          rename 127.0.0.1 to its own domain (DNS rebinding): Origin and Host tell.
Not here  TLS: put a proxy in front.
"""

import hmac
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from streams.given import Address
from streams.problem import problem

OPEN_PATHS: Final = frozenset({"/livez", "/readyz", "/metrics"})


def guard(address: Address, token: str | None) -> Middleware:
    """The middleware that lets in whoever may use the interface at `address`.

    Raises:
        ValueError: There is no token, and the address can be reached from other machines.
    """
    if token is None and not address.is_loopback:
        raise ValueError(
            f"{address.host} can be reached from other machines, so set a token (token = … in"
            " rapport.toml, or RAPPORT_TOKEN), or listen on 127.0.0.1"
        )

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in OPEN_PATHS:
            refused = _without_token(request) if token is None else _with_token(request, token)
            if refused is not None:
                return refused
        return await handler(request)

    return let_in


def _with_token(request: web.Request, token: str) -> web.Response | None:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    right = hmac.compare_digest(given.strip().encode(errors="replace"), token.encode())
    if scheme.lower() == "bearer" and right:
        return None
    detail = "send the token as Authorization: Bearer TOKEN"
    return problem(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


def _without_token(request: web.Request) -> web.Response | None:
    origin = request.headers.get("Origin")
    if not _is_local(f"//{request.host}"):
        detail = "without a token only this machine may call; set one, or call 127.0.0.1"
    elif origin is not None and not _is_local(origin):
        detail = "without a token only web pages of this machine may call; set one"
    else:
        return None
    return problem(403, "forbidden", detail)


def _is_local(url: str) -> bool:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host is not None and Address(host, 0).is_loopback
