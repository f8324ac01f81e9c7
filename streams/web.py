"""The web application: ingest, what others read, probes and metrics, over HTTP.

Promise   Every answer is JSON (an error is a problem, see problem.py) except that of /metrics. What
          this process has no port for has no route. What is no HTTP at all is refused with 400 in plain
          words, and is no line in the log.
How       aiohttp; handlers are thin: a port answers, the handler writes it down.
Limits    ACTIONS_LISTED_MAX actions an answer; CONNECTIONS_MAX connections; bodies see intake.py.
Not here  Ingest (intake.py). Customers, actions and why (web_reading.py). Rules (web_rules.py). Who
          may come in (access.py).
          What alive and ready mean (probes.py).

Routes
    POST /v1/events               see intake.py
    GET  /v1/customers/{id}       the customer's view as stored, or 404; escape a / in the id as %2F
    GET  /v1/actions?limit=N      {"actions": [{"id", "rule", "version", "customer_id", "reason",
                                  "at_ms", "status", …}, …]}, newest first; N is 100 when not given
    GET  /v1/rules/{rule}/why/{customer_id}?at=TIME   why.py; TIME in ms or ISO 8601, now when not given
    …    /v1/rules…               see web_rules.py
    GET  /v1/alerts?limit=N       {"alerts": […]}: of the newest ACTIONS_LISTED_MAX actions those that
                                  are alerts, as above
    GET  /livez, /readyz          {"ok", "checks": {part: {"ok", "detail"}}}, 200 or 503
    GET  /metrics                 Prometheus
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from streams.access import guard
from streams.appender import Appender
from streams.clock import Clock
from streams.errors import StreamsError
from streams.given import Address
from streams.intake import Intake
from streams.metrics import Metrics
from streams.probes import Check, Probe, ask, fence, stalled
from streams.problem import problem
from streams.rule_life import RuleLife
from streams.shard_status import ShardStatus
from streams.web_reading import Reader, Why, add_reading, add_why, answered
from streams.web_rules import add_life, add_rules

CONNECTIONS_MAX: Final = 512  # half of the 1,024 descriptors of most processes: we need some too
IDLE_SECONDS_MAX: Final = 75.0  # without a whole request; proxies give up sooner, mostly after 60 s
PATH_TOLD_MAX: Final = 200  # characters
SHUTDOWN_SECONDS_MAX: Final = 1.5  # `rapport up` ends within 2 s

_log = logging.getLogger("rapport.web")


class ListenError(StreamsError):
    """Nobody can be served at this address."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What the application stands on; what is None has no route."""

    metrics: Metrics
    clock: Clock
    monotonic_ms: Callable[[], int]
    appender: Appender | None = None
    reader: Reader | None = None
    why: Why | None = None
    rules: Callable[[], Mapping[str, Any]] | None = None  # and what is wrong with their files
    reload: Callable[[], Awaitable[bool]] | None = None  # whether the files are in force now
    life: RuleLife | None = None
    shards: Callable[[], Sequence[ShardStatus]] | None = None
    probes: Mapping[str, Probe] = field(default_factory=dict)  # redis, log


def application(ports: Ports, address: Address, token: str | None) -> web.Application:
    """Make the application that is to listen at `address`.

    Raises:
        ValueError: A token is needed there, and there is none.
    """
    made = web.Application(middlewares=[_observed(ports.metrics), guard(address, token)])
    routes = made.router
    if ports.appender is not None:
        routes.add_post("/v1/events", Intake(ports.appender, ports.clock, ports.metrics).post)
    if ports.reader is not None:
        add_reading(routes, ports.reader)
    if ports.why is not None:
        add_why(routes, ports.why)
    if ports.rules is not None:
        add_rules(routes, ports.rules, ports.reload)
    if ports.life is not None:
        add_life(routes, ports.life, ports.clock)
    _add_operation(routes, ports)
    return made


async def serve(made: web.Application, address: Address) -> tuple[web.AppRunner, Address]:
    """Listen; the address that comes back has the port that was chosen when 0 was asked for.

    `await runner.cleanup()` ends it: requests under way have SHUTDOWN_SECONDS_MAX to end.

    Raises:
        OSError: The address cannot be listened at.
    """
    runner = web.AppRunner(
        made,
        access_log=None,
        logger=_Noted(logging.getLogger("aiohttp.server"), {}),
        auto_decompress=False,  # intake.py does, within its bounds
        shutdown_timeout=SHUTDOWN_SECONDS_MAX,
        keepalive_timeout=IDLE_SECONDS_MAX,  # it runs from the first moment of a connection
    )
    await runner.setup()
    try:
        await _Site(runner, address.host, address.port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, Address(address.host, runner.addresses[0][1])


class _Noted(logging.LoggerAdapter[logging.Logger]):
    """Else each caller who talks nonsense would write a trace into our log, as often as it likes."""

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:  # noqa: ANN401  as logging has it
        is_theirs = isinstance(kwargs.get("exc_info"), HttpProcessingError)
        (self.debug if is_theirs else self.error)(msg, *args, **kwargs)


class _Site(web.TCPSite):
    """When it is full, who has long said nothing goes, for who comes: a probe is answered all the same.

    Where all are being answered who comes is turned away, without a word: it takes a descriptor to say one.
    """

    async def start(self) -> None:
        await web.BaseSite.start(self)
        server = self._runner.server
        assert server is not None, "the runner is set up"

        def come() -> asyncio.BaseProtocol:
            there = server.connections
            if len(there) >= CONNECTIONS_MAX:
                idle = [each for each in there if _is_idle(each)]
                if not idle:
                    return _TurnedAway()
                min(idle, key=_idle_until).force_close()
            return server()

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(come, self._host, self._port)


def _is_idle(connection: web.RequestHandler) -> bool:
    """Whether it waits for a request, or for the rest of its headers."""
    waiter = connection._waiter  # noqa: SLF001  as aiohttp decides whom its keep-alive time closes
    return waiter is not None and not waiter.done()


def _idle_until(connection: web.RequestHandler) -> float:
    return connection._next_keepalive_close_time  # noqa: SLF001


class _TurnedAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def listening(
    ports: Ports, address: Address, token: str | None
) -> tuple[web.AppRunner, Address]:
    """Make the application and listen, as `serve` does.

    Raises:
        ListenError: It cannot be; the sentence says how to mend it.
    """
    try:
        return await serve(application(ports, address, token), address)
    except ValueError as error:
        raise ListenError(str(error)) from error
    except OSError as error:
        raise ListenError(
            f"{address.host}:{address.port} cannot be listened at ({os.strerror(error.errno or 0)});"
            " stop who does, or name another address with --http HOST:PORT"
        ) from error


def _misdirected(request: web.Request, error: web.HTTPException) -> str:
    """What is wrong with where a request went, and where it may go."""
    there = f"{request.method} {request.path[:PATH_TOLD_MAX]}"
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{there}: this path takes {', '.join(sorted(error.allowed_methods))}"
    if isinstance(error, web.HTTPNotFound):
        paths = dict.fromkeys(each.canonical for each in request.app.router.resources())
        return f"{there}: nothing is here; paths are {', '.join(paths)}"
    return f"{there}: {error.reason.lower()}"


def _observed(metrics: Metrics) -> Middleware:
    """Count every request, and turn every error into a problem."""

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = perf_counter()
        try:
            answer = await handler(request)
        except web.HTTPException as error:
            allow = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
            reason = error.reason.lower().replace(" ", "_")
            answer = problem(error.status, reason, _misdirected(request, error), headers=allow)
        except StreamsError as error:
            answer = problem(503, "unavailable", str(error), headers={"Retry-After": "1"})
        except Exception:  # noqa: BLE001  the edge: a caller always gets an answer, and the log the trace
            _log.exception("%s %s failed", request.method, request.path)
            answer = problem(500, "internal", "this is a fault of ours; the log tells more")
        resource = request.match_info.route.resource
        metrics.request(
            method=request.method if resource is not None else "other",
            route=resource.canonical if resource is not None else "other",
            status=answer.status,
            seconds=perf_counter() - started,
        )
        return answer

    return observe


def _add_operation(routes: web.UrlDispatcher, ports: Ports) -> None:
    async def livez(_: web.Request) -> web.Response:
        statuses = ports.shards() if ports.shards is not None else ()
        stuck = stalled(statuses, ports.monotonic_ms())
        ports.metrics.live(is_live=not stuck)
        return _told({"shards": Check(not stuck, "; ".join(stuck))})

    async def readyz(_: web.Request) -> web.Response:
        checks = await ask(ports.probes)
        if ports.shards is not None:
            checks["fence"] = fence(ports.shards())
        ports.metrics.ready({part: check.ok for part, check in checks.items()})
        return _told(checks)

    async def metrics(request: web.Request) -> web.Response:
        if ports.shards is not None:
            ports.metrics.shards(ports.shards())
        content_type, body = ports.metrics.text(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    routes.add_get("/livez", livez)
    routes.add_get("/readyz", readyz)
    routes.add_get("/metrics", metrics)


def _told(checks: Mapping[str, Check]) -> web.Response:
    ok = all(check.ok for check in checks.values())
    told = {part: {"ok": check.ok, "detail": check.detail} for part, check in checks.items()}
    return answered({"ok": ok, "checks": told}, 200 if ok else 503)
