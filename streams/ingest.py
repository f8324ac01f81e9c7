"""Ingest: the body of a request to events, the good and the bad apart.

Promise   Each event of the body is either accepted, with its bytes as they were sent, or rejected with
          its index and the words of processors/fault.py; a bad one never costs the others.
How       One event, an array, or lines (NDJSON), told by the content type or by the look of the body.
          Strict JSON first; only when that fails is an array cut at its commas, so that the NaN of
          one event rejects that event alone.
Limits    INFLATED_BYTES_MAX a body, EVENTS_MAX events: what has more is not taken apart to its end, or
          8 KB packed would become millions of objects.
Not here  HTTP (intake.py). Making events durable: the Appender, a port of the log.

Filling   An event without an id cannot be told from its repetition, so by default it is rejected.
          When the sender asks for it (`?fill=1`), the missing one of id and at_ms is filled in such
          that a request can still be sent twice without counting twice: an id is made of the record's
          bytes, a time is that of arrival (the id tells the repetition). Both missing is rejected.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec

from processors.batch import Origin, Records
from processors.decode import decode
from processors.event import Event
from streams.errors import StreamsError
from streams.inflate import GZIP_MAGIC, InflateError, inflate

BODY_BYTES_MAX: Final = 4 * 1024 * 1024  # as it comes over the wire
INFLATED_BYTES_MAX: Final = 8 * 1024 * 1024
EVENTS_MAX: Final = 10_000  # bounds the time of one request, and the list of its faults
COMMAS_MAX: Final = 32 * EVENTS_MAX  # an array with more is not decoded before it is known how many
LINES_TYPES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)

assert BODY_BYTES_MAX <= INFLATED_BYTES_MAX, "what fits unpacked fits packed"

_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_VALUE = msgspec.json.Decoder(msgspec.Raw)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LINE = re.compile(rb"[^ \t\n\r\f\v][^\n]*")
# A string that is not closed runs to the end, so that looking for its end stays linear.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


class BodyError(StreamsError):
    """The body as a whole is of no use; nothing of it was accepted."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason  # "empty", "too_large", "too_many", "malformed" or "bad_fill"


@dataclass(frozen=True, slots=True)
class Rejected:
    """One event that was not accepted, and why."""

    index: int  # in the body, from 0; blank lines do not count
    reason: str
    field: str
    detail: str
    at_byte: int | None  # within the event


@dataclass(frozen=True, slots=True)
class Body:
    """A body taken apart."""

    accepted: list[tuple[Event, bytes]]  # in their order, with the record to append
    indexes: list[int]  # of each accepted event, its index in the body
    rejected: list[Rejected]


def parse(body: bytes, *, content_type: str, now_ms: int, fill: bool) -> Body:
    """Take a body apart.

    Args:
        body: as it came, gzipped or not.
        content_type: without parameters, in lower case.
        now_ms: when it arrived; event times are judged against it.
        fill: whether a missing id or at_ms is to be filled in.

    Raises:
        BodyError: There are no events in it, or more than allowed.

    >>> parse(b'[{"id":"1"}, {}]', content_type="", now_ms=0, fill=False).rejected[1].field
    'id'
    """
    if body.startswith(GZIP_MAGIC):
        try:
            body = inflate(body, INFLATED_BYTES_MAX)
        except InflateError as error:
            raise BodyError(error.reason, str(error)) from error
    values = _records(body.strip(), is_lines=content_type in LINES_TYPES)
    if len(values) > EVENTS_MAX:
        raise BodyError("too_many", f"the body has more than {EVENTS_MAX} events")
    if fill:
        values = [_filled(value, now_ms) for value in values]
    decoded = decode(Records(list(values), [now_ms] * len(values), _origin(now_ms)))
    accepted = [
        (event, values[index]) for event, index in zip(decoded.events, decoded.indexes, strict=True)
    ]
    rejected = [
        Rejected(int(dead.origin.position), dead.reason, dead.field, dead.detail, dead.at_byte)
        for dead in decoded.dead
    ]
    return Body(accepted, decoded.indexes, rejected)


def _origin(now_ms: int) -> Callable[[int], Origin]:
    return lambda index: Origin("http", 0, str(index), None, (), now_ms)


def _records(body: bytes, *, is_lines: bool) -> list[bytes]:
    """The events of a body; of too many, the first EVENTS_MAX and some more."""
    if not body:
        raise BodyError("empty", "the body is empty; it must have one event, an array, or lines")
    if is_lines:
        return _lines(body)
    if body.startswith(b"["):
        if body.count(b",") > COMMAS_MAX:
            return _cut(body)
        try:
            return [bytes(value) for value in _ARRAY.decode(body)]
        except (msgspec.DecodeError, RecursionError):
            return _cut(body)
    return _lines(body) if _looks_like_lines(body) else [body]


def _lines(body: bytes) -> list[bytes]:
    """The lines that are not blank."""
    found = islice(_LINE.finditer(body), EVENTS_MAX + 1)
    return [line[0].rstrip() for line in found]


def _looks_like_lines(body: bytes) -> bool:
    """Whether a body that is no array is more than one event: each on its own line."""
    first, _, rest = body.partition(b"\n")
    if not rest or _is_json(body):
        return False
    return _is_json(first) or rest.startswith(b"{") or b"\n{" in rest


def _is_json(value: bytes) -> bool:
    try:
        _VALUE.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _cut(body: bytes) -> list[bytes]:
    """The elements of an array that is not JSON in some place: what lies between its own commas."""
    values, depth, start, end = [], 0, 1, len(body)
    for token in _TOKEN.finditer(body):
        if token[0] == b"," and depth == 1:
            values.append(body[start : token.start()].strip())
            start = token.end()
            if len(values) > EVENTS_MAX:
                return values
        depth += token[0] in {b"[", b"{"}
        depth -= token[0] in {b"]", b"}"}
        if depth == 0:
            end = token.start()
            break
    values.append(body[start:end].strip())
    trailing = body[end + 1 :].strip()
    return [*values, trailing] if trailing else values


def _filled(value: bytes, now_ms: int) -> bytes:
    """The record with its missing id or its missing time; unchanged when there is nothing to do."""
    try:
        fields = _FIELDS.decode(value)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return value  # decoding it will say what is wrong with it
    if "id" in fields and "at_ms" not in fields:
        return b'{"at_ms":%d,' % now_ms + value.lstrip()[1:]
    if "at_ms" in fields and "id" not in fields:
        digest = hashlib.blake2b(value, digest_size=16).hexdigest()
        return b'{"id":"http_%s",' % digest.encode() + value.lstrip()[1:]
    return value
