"""What the web application does about rules: shows them, reads them anew, and changes their life.

Promise   As web.py promises. Who may POST here may do so everywhere: see access.py.
Limits    BODY_BYTES_MAX of a request; HISTORY_SHOWN_MAX entries an answer (rule_life.py).
Not here  What the changes are (rule_life.py). Why a rule has fired (web_reading.py).

Routes
    GET  /v1/rules                {"rules": [{"name", "version", "stage", …}, …], "error": null, or what is
                                  wrong with the files, so that older rules are still in force}
    POST /v1/rules/reload         the same, after reading the files again; 422 when they have mistakes
    GET  /v1/rules/history?rule=RULE&limit=N   {"history": [{"at_ms", "by", "what", …}, …]}, newest first
    POST /v1/rules/{rule}/promote {"to", "share", "expect"}: all may be left out
    POST /v1/rules/{rule}/pause   {"why"}
    POST /v1/rules/{rule}/resume  {"customer_id"}
    POST /v1/rules/{rule}/snooze  {"until": TIME or "for": "2d", "customer_id"}
                                  each with "by"; the answer is the entry of the history, 404 for a rule
                                  that there is not, 400 for what cannot be read, 409 for what cannot
                                  be done to it now
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec
from aiohttp import web

from streams.asked import UnknownError
from streams.clock import Clock
from streams.controls import AskError, ControlError
from streams.problem import problem
from streams.rule_life import RuleLife, Who, until_of
from streams.web_reading import answered, bad_limit, limit_of

BODY_BYTES_MAX: Final = 65_536
BY_HTTP: Final = "http"

Told: TypeAlias = Mapping[str, Any]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"for_": "for"}):
    """What a caller may say; each route reads its own."""

    to: str | None = None
    share: str | None = None
    expect: str | None = None
    why: str = ""
    customer_id: str | None = None
    until: str | int | None = None
    for_: str | None = None
    by: str = BY_HTTP


_Ask: TypeAlias = Callable[[str, Who, Request], Awaitable[Told]]


def add_rules(
    routes: web.UrlDispatcher,
    rules: Callable[[], Told],
    reload: Callable[[], Awaitable[bool]] | None,
) -> None:
    async def told(_: web.Request) -> web.Response:
        return answered(rules())

    async def reloaded(_: web.Request) -> web.Response:
        assert reload is not None, "else there is no such route"
        is_in_force = await reload()
        found = rules()
        if is_in_force:
            return answered(found)
        detail = f"the older rules stay in force, for the files have mistakes:\n{found['error']}"
        return problem(422, "bad_rules", detail)

    routes.add_get("/v1/rules", told)
    if reload is not None:
        routes.add_post("/v1/rules/reload", reloaded)


def add_life(routes: web.UrlDispatcher, life: RuleLife, clock: Clock) -> None:
    def post(what: str, ask: _Ask) -> None:
        async def handler(request: web.Request) -> web.Response:
            body = await request.read()  # aiohttp refuses what is larger than a mebibyte
            if len(body) > BODY_BYTES_MAX:
                return problem(413, "too_large", f"{BODY_BYTES_MAX} bytes are the most")
            try:
                asked = msgspec.json.decode(body or b"{}", type=Request)
                who = Who(asked.by, clock.now_ms())
                return answered(await ask(request.match_info["rule"], who, asked))
            except msgspec.MsgspecError as error:
                return problem(400, "malformed", f"the body cannot be read: {error}")
            except UnknownError as error:
                return problem(404, f"unknown_{error.what}", str(error))
            except AskError as error:
                return problem(400, "malformed", str(error))
            except ControlError as error:
                return problem(409, "refused", str(error))

        routes.add_post(f"/v1/rules/{{rule:[^/]+}}/{what}", handler)

    async def history(request: web.Request) -> web.Response:
        limit = limit_of(request)
        if limit is None:
            return bad_limit(request)
        try:
            return answered({"history": await life.history(request.query.get("rule"), limit)})
        except UnknownError as error:
            return problem(404, f"unknown_{error.what}", str(error))

    def snooze(rule: str, who: Who, asked: Request) -> Awaitable[Told]:
        until = None if asked.until is None else str(asked.until)
        until_ms = until_of(who.at_ms, until, asked.for_)
        return life.snooze(rule, who, until_ms, asked.customer_id)

    post("promote", lambda rule, who, its: life.promote(rule, who, its.to, its.share, its.expect))
    post("pause", lambda rule, who, its: life.pause(rule, who, its.why))
    post("resume", lambda rule, who, its: life.resume(rule, who, its.customer_id))
    post("snooze", snooze)
    routes.add_get("/v1/rules/history", history)
