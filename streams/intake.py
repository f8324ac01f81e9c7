"""The intake: `POST /v1/events`, which says 200 only when the events are durable.

Promise   200 means that the accepted events are in the log, as durable as the log makes them; every
          other answer means that the request may be sent again as it is: ids tell repetitions.
How       The body is read within bounds, taken apart (ingest.py), and appended in calls of the size
          that a log takes, one after the other; what the log refuses joins what was rejected.
Limits    BODIES_BYTES_MAX over all requests at once, then 503; BODY_SECONDS_MAX to send a body.
          Of ids, a customer's last `duplicates_kept` (64) are remembered: send again soon, before more
          events of that customer than these; a later repetition, or a longer one, counts twice.
          PARSING_MAX large bodies are parsed at once, each up to INFLATED_BYTES_MAX; the rest wait.
Not here  What is in a body (ingest.py). The logs: redis_appender.py, kafka_producer.py.

Answers
    200  {"accepted": n, "rejected": [{"index", "reason", "field", "detail", "at_byte"}, …]}: at least
         one event was accepted, or there was none to accept; mend what was rejected and send that
    400  the body as a whole is of no use             408  it did not come in time
    413  it is too large, or has too many events      415  it is encoded in a way that we do not know
    422  no event was accepted; `rejected` as above
    503  the log cannot take more now, or did not say that it has: send all of it again, after
         `Retry-After` seconds
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import orjson
from aiohttp import web

from processors.event import Event
from streams.appender import APPEND_BYTES_MAX, APPEND_EVENTS_MAX, Appender
from streams.clock import Clock
from streams.errors import LogFullError, StreamsError
from streams.inflate import GZIP_MAGIC
from streams.ingest import BODY_BYTES_MAX, INFLATED_BYTES_MAX, Body, BodyError, Rejected, parse
from streams.metrics import Metrics
from streams.problem import problem

BODIES_BYTES_MAX: Final = 64 * 1024 * 1024  # of all requests at once: what senders can make us hold
BODY_SECONDS_MAX: Final = 30.0
APPEND_SECONDS_MAX: Final = 10.0  # a log that takes longer is down; Kafka's own retries fit in
RETRY_SECONDS: Final = 1
INLINE_BYTES_MAX: Final = 64 * 1024  # parsing more would hold up the other requests
PARSING_MAX: Final = 2  # of the large or packed ones at once: until parsed, their size is not known
GZIPPED: Final = frozenset({"gzip", "x-gzip"})
YES: Final = frozenset({"1", "true", "yes"})
NO: Final = frozenset({"0", "false", "no"})

assert BODIES_BYTES_MAX >= BODY_BYTES_MAX + INFLATED_BYTES_MAX, "one request of any size fits"


def _encoding(request: web.Request) -> str:
    return request.headers.get("Content-Encoding", "identity").strip().lower()


def _check_packed(request: web.Request, body: bytes) -> None:
    """Where gzip was said, the body is that, or JSON that a proxy has inflated without saying so.

    Raises:
        BodyError: It is neither.
    """
    if _encoding(request) in GZIPPED and not body.lstrip().startswith((GZIP_MAGIC, b"{", b"[")):
        raise BodyError(
            "malformed",
            f"Content-Encoding is {_encoding(request)}, but the body is not gzip: it begins with"
            f" {body[:8]!r}; compress it, or leave the header out",
        )


def _fill(request: web.Request) -> bool:
    """Whether a missing id or at_ms is to be filled in.

    Raises:
        BodyError: `fill` is neither yes nor no.
    """
    given = request.query.get("fill", "0")
    if given not in YES | NO:
        raise BodyError("bad_fill", f"fill is {given[:80]!r}; it must be 1 or 0")
    return given in YES


class Intake:
    """The handler, with what it may hold."""

    def __init__(self, appender: Appender, clock: Clock, metrics: Metrics) -> None:
        """Take the ports."""
        self._appender = appender
        self._clock = clock
        self._metrics = metrics
        self._pool = _Pool()
        self._parsing = asyncio.Semaphore(PARSING_MAX)

    async def post(self, request: web.Request) -> web.Response:
        """Answer one request."""
        encoding = _encoding(request)
        if encoding not in {"identity", *GZIPPED}:
            detail = f"the body is encoded as {encoding}; send it plain or as gzip"
            headers = {"Accept-Encoding": "gzip"}
            return problem(415, "unknown_encoding", detail, headers=headers)
        if (request.content_length or 0) > BODY_BYTES_MAX:
            return _too_large()
        held = _Held(self._pool)
        try:
            return await self._receive(request, held)
        except web.RequestPayloadError as error:
            return problem(400, "malformed", f"the body broke off: {error}")
        except BodyError as error:
            status = 413 if error.reason in {"too_large", "too_many"} else 400
            return problem(status, error.reason, str(error))
        finally:
            held.release()

    async def _receive(self, request: web.Request, held: "_Held") -> web.Response:
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(BODY_SECONDS_MAX):
                async for chunk in request.content.iter_any():
                    if not held.take(len(chunk)):
                        return _busy("too many bodies are being received")
                    if held.taken_bytes > BODY_BYTES_MAX:
                        return _too_large()
                    chunks.append(chunk)
        except TimeoutError:
            detail = f"the body did not come within {BODY_SECONDS_MAX:g} s"
            return problem(408, "too_slow", detail)
        parsed = await self._parse(request, b"".join(chunks))
        if not held.take(sum(len(value) for _, value in parsed.accepted)):
            return _busy("too many bodies are being received")
        return await self._append(parsed)

    async def _parse(self, request: web.Request, body: bytes) -> Body:
        content_type, now_ms = request.content_type, self._clock.now_ms()
        fill = _fill(request)
        _check_packed(request, body)
        if len(body) <= INLINE_BYTES_MAX and not body.startswith(GZIP_MAGIC):
            return parse(body, content_type=content_type, now_ms=now_ms, fill=fill)
        async with self._parsing:
            return await asyncio.to_thread(
                parse, body, content_type=content_type, now_ms=now_ms, fill=fill
            )

    async def _append(self, body: Body) -> web.Response:
        rejected = list(body.rejected)
        try:
            async with asyncio.timeout(APPEND_SECONDS_MAX):
                for first, call in _calls(body.accepted):
                    for each in await self._appender.append(call):
                        index = body.indexes[first + each.index]
                        rejected.append(Rejected(index, each.reason, "", each.detail, None))
        except LogFullError as error:
            return _busy(str(error), reason="log_full")
        except TimeoutError:
            return _busy(f"the log did not answer within {APPEND_SECONDS_MAX:g} s")
        except StreamsError as error:
            return _busy(str(error))
        rejected.sort(key=lambda each: each.index)
        accepted = len(body.accepted) + len(body.rejected) - len(rejected)
        self._metrics.ingested(accepted=accepted, rejected=[each.reason for each in rejected])
        return _answer(accepted, rejected)


def _calls(
    records: Sequence[tuple[Event, bytes]],
) -> Iterator[tuple[int, Sequence[tuple[Event, bytes]]]]:
    """The records in calls of the size that an appender takes, each with the index of its first."""
    first, size = 0, 0
    for index, (_, value) in enumerate(records):
        if index - first == APPEND_EVENTS_MAX or size + len(value) > APPEND_BYTES_MAX:
            yield first, records[first:index]
            first, size = index, 0
        size += len(value)
    if records:
        yield first, records[first:]


def _answer(accepted: int, rejected: Sequence[Rejected]) -> web.Response:
    listed = [asdict(each) for each in rejected]
    if rejected and not accepted:
        of_many = f"none of the {len(rejected)} events was accepted; first"
        what = "the event was not accepted" if len(rejected) == 1 else of_many
        detail = f"{what}: {rejected[0].detail}"
        return problem(422, "rejected", detail, accepted=0, rejected=listed)
    answer = orjson.dumps({"accepted": accepted, "rejected": listed})
    return web.Response(body=answer, content_type="application/json")


class _Held:
    """What one request holds of the bytes that all requests may hold."""

    def __init__(self, pool: "_Pool") -> None:
        """Hold nothing yet."""
        self._pool = pool
        self.taken_bytes = 0

    def take(self, count: int) -> bool:
        """Whether there was room for so many more; a refusal takes nothing."""
        if self._pool.held_bytes + count > BODIES_BYTES_MAX:
            return False
        self._pool.held_bytes += count
        self.taken_bytes += count
        return True

    def release(self) -> None:
        self._pool.held_bytes -= self.taken_bytes
        self.taken_bytes = 0


@dataclass(slots=True)
class _Pool:
    held_bytes: int = 0


def _too_large() -> web.Response:
    detail = f"the body has more than {BODY_BYTES_MAX} bytes; send the events in several requests"
    return problem(413, "too_large", detail)


def _busy(detail: str, reason: str = "unavailable") -> web.Response:
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return problem(503, reason, detail + "; send the same request again", headers=headers)
