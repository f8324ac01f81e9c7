"""What the web application reads: customers, actions, alerts, and why a rule has fired or has not.

Promise   As web.py promises; its header has the routes.
Limits    ACTIONS_LISTED_MAX actions an answer.
Not here  The store (read.py), the explanation (why.py, inquiry.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

import orjson
from aiohttp import web

from processors.event import ID_CHARS_MAX
from streams.asked import TimeTextError, UnknownError, time_ms
from streams.problem import problem

ACTIONS_LISTED: Final = 100  # when the caller does not say
ACTIONS_LISTED_MAX: Final = 1_000

Listed: TypeAlias = Sequence[Mapping[str, Any]]


class Reader(Protocol):
    """What the interface shows of the store."""

    async def customer(self, customer_id: str) -> bytes | None:
        """The customer's view, JSON as stored; None when there is none.

        Raises:
            StreamsError: The store cannot tell now.
        """

    async def actions(self, limit: int) -> Listed:
        """The newest actions first, with their status.

        Raises:
            StreamsError: The store cannot tell now.
        """


class Why(Protocol):
    """What explains rules."""

    async def why(self, rule: str, customer_id: str, at_ms: int | None = None) -> Mapping[str, Any]:
        """Why the rule has fired for the customer, or has not; see why.py.

        Raises:
            UnknownError: There is no such rule or customer.
            StreamsError: The store cannot tell now.
        """


def answered(body: object, status: int = 200) -> web.Response:
    """JSON, or what is JSON already."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return web.Response(status=status, body=data, content_type="application/json")


def add_reading(routes: web.UrlDispatcher, reader: Reader) -> None:
    async def customer(request: web.Request) -> web.Response:
        customer_id = request.match_info["id"]
        view = await reader.customer(customer_id) if len(customer_id) <= ID_CHARS_MAX else None
        if view is None:
            return problem(404, "unknown_customer", f"there is no customer {customer_id!r} here")
        return answered(view)

    async def actions(request: web.Request) -> web.Response:
        limit = limit_of(request)
        if limit is None:
            return bad_limit(request)
        return answered({"actions": list(await reader.actions(limit))})

    async def alerts(request: web.Request) -> web.Response:
        limit = limit_of(request)
        if limit is None:
            return bad_limit(request)
        newest = await reader.actions(ACTIONS_LISTED_MAX)
        found = [each for each in newest if each["target"]["kind"] == "alert"]
        return answered({"alerts": found[:limit]})

    routes.add_get("/v1/customers/{id:[^/]+}", customer)  # by itself `{id}` takes no brackets
    routes.add_get("/v1/actions", actions)
    routes.add_get("/v1/alerts", alerts)


def add_why(routes: web.UrlDispatcher, explainer: Why) -> None:
    async def why(request: web.Request) -> web.Response:
        rule, customer_id = request.match_info["rule"], request.match_info["customer_id"]
        if len(customer_id) > ID_CHARS_MAX:
            return problem(404, "unknown_customer", str(UnknownError("customer", customer_id)))
        try:
            at_ms = time_ms(request.query["at"]) if "at" in request.query else None
            return answered(await explainer.why(rule, customer_id, at_ms))
        except TimeTextError as error:
            return problem(400, "bad_time", str(error))
        except UnknownError as error:
            return problem(404, f"unknown_{error.what}", str(error))

    routes.add_get("/v1/rules/{rule:[^/]+}/why/{customer_id:[^/]+}", why)


def limit_of(request: web.Request) -> int | None:
    """How many a caller wants; None: what it says is no such number."""
    given = request.query.get("limit", str(ACTIONS_LISTED))
    limit = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0  # noqa: PLR2004  digits
    return limit if 1 <= limit <= ACTIONS_LISTED_MAX else None


def bad_limit(request: web.Request) -> web.Response:
    detail = f"limit is {request.query['limit']!r}; it must be from 1 to {ACTIONS_LISTED_MAX}"
    return problem(400, "bad_limit", detail)
