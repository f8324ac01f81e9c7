"""The fault: what is wrong with a record, in words that tell its sender how to mend it.

Promise   `explain` finds a fault exactly where `decode` refuses, and the same one each time: it depends
          on the bytes and the record's time alone. The gateway asks it too, so that a sender is told at
          once, in the same words, what the engine would say later.
How       First the bytes (size, UTF-8, depth, NUL), then the decoder, then what depends on several
          fields. The first fault found is told.
Limits    Those of event.py. Work is linear in the record's size, whatever is in it.
Not here  The limits themselves, and the checks that the decoder makes of them (event.py).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from processors.event import (
    AMOUNT_MAX,
    CONSENTS_MAX,
    DEPTH_MAX,
    EVENT_BYTES_MAX,
    EVENTS,
    FUTURE_MS_MAX,
    ID_CHARS_MAX,
    KINDS,
    NAME_CHARS_MAX,
    NUMBER_FIELDS,
    TEXT_CHARS_MAX,
    TEXT_FIELDS,
    TIME_MS_MIN,
    Event,
)

# Stable: metrics, dashboards and scripts count by these words.
REASONS: Final = (
    "empty",  # no value, no bytes, or JSON's null
    "too_large",
    "bad_utf8",
    "too_deep",
    "nul",
    "malformed",  # not one JSON value: truncated, NaN, trailing data
    "wrong_type",
    "missing",
    "too_long",
    "control_character",
    "out_of_range",
    "unknown_kind",
    "before_2000",
    "in_the_future",
)

MONEY_ACTIONS: Final = frozenset({"placed", "paid", "refunded", "chargeback"})
SCALES: Final = {"csat": (1.0, 5.0), "nps": (0.0, 10.0)}  # what an answer's score may be
INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**63 - 1  # of attributes: views are written with 64-bit integers
FOUND_CHARS_MAX: Final = 60  # of a bad value, quoted in a sentence

_SECONDS: Final = re.compile(rb"([1-3][0-9]{9}|9[5-9][0-9]{7})(?:\.[0-9]*)?")  # from 2000 on

_ID = f"a text of 1 to {ID_CHARS_MAX} characters without control characters"
_NAME = f"a text of 1 to {NAME_CHARS_MAX} characters without control characters"
_QUANTITY = f"a number from 0 to {AMOUNT_MAX:.0f}"
# What each field may be; the JSON Schema says the same.
ALLOWED: Final[dict[str, str]] = {
    "id": _ID,
    "type": "one of " + ", ".join(KINDS),
    "action": _NAME,
    "customer_id": _ID,
    "at_ms": (
        f"the time in whole milliseconds since 1970, from {TIME_MS_MIN} (the year 2000) to a day"
        " after the record's own time"
    ),
    "amount": _QUANTITY + " (a refund is positive, with an action of its own)",
    "items_count": _QUANTITY,
    "score": "a number; from 1 to 5 for csat, from 0 to 10 for nps",
    "sentiment": "a number from -1 to 1",
    **dict.fromkeys(TEXT_FIELDS, f"a text of at most {TEXT_CHARS_MAX} characters"),
    "attributes": "an object whose integers fit 64 bits and whose numbers are finite",
    "consent": (
        f"an object of at most {CONSENTS_MAX} channels, each true or false; a channel is {_NAME}"
    ),
}

assert set(ALLOWED) == set(Event.__struct_fields__), "each field is explained"
assert set(NUMBER_FIELDS) < set(ALLOWED), "numbers are fields"

_BACKSLASH: Final = ord("\\")
_BRACKET: Final = ord("[")
_LATIN: Final = 0xC2  # begins U+0080 to U+00BF in UTF-8, and so every control character above ASCII
_NAMES = ("id", "action", "customer_id")
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])  # checks that all of it is JSON
# A string that is not closed runs to the end: looking for its end once per quote would be quadratic.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # behind an even number of backslashes
_CONTROL = re.compile("[\x00-\x1f\x80-\x9f]")
_COLON = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record cannot be an event."""

    reason: str  # one of REASONS
    field: str  # the field at fault, or ""
    detail: str  # a sentence: what was found and what is allowed
    at_byte: int | None = None  # where in the record, when known


def explain(value: bytes | None, time_ms: int) -> Fault | None:
    """The fault of a record that arrived at `time_ms`, or None when it is a good event.

    >>> explain(b'{"id": 7}', time_ms=0).detail
    'id is 7; it must be a text of 1 to 100 characters without control characters'
    """
    if value is not None and len(value) > EVENT_BYTES_MAX:
        detail = f"the record has {len(value)} bytes; at most {EVENT_BYTES_MAX} are allowed"
        return Fault("too_large", "", detail, EVENT_BYTES_MAX)
    if value is None or value.strip() in {b"", b"null"}:
        found = "has no value" if value is None else "is null" if value.strip() else "is empty"
        return Fault("empty", "", f"the record {found}; it must be one JSON object")
    fault = bytes_fault(value)
    if fault is not None:
        return fault
    try:
        fields = _FIELDS.decode(value)
    except msgspec.ValidationError:
        return Fault(
            "wrong_type", "", f"the record is {_quoted(value)}; it must be a JSON object", 0
        )
    except msgspec.DecodeError as error:
        place = re.search(r" \(byte (\d+)\)$", str(error))
        at_byte = int(place[1]) if place else len(value)
        return Fault("malformed", "", f"the record must be one JSON object: {error}", at_byte)
    try:
        event = EVENTS.decode(value)
    except msgspec.ValidationError as error:
        return _refusal(str(error), fields, value)
    return event_fault(event, value, time_ms)


def bytes_fault(value: bytes) -> Fault | None:
    """What the decoder lets pass although it does harm: found without decoding."""
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError as error:
            detail = f"byte 0x{value[error.start]:02x} is not UTF-8: {error.reason}"
            return Fault("bad_utf8", "", detail, error.start)
    nested = _BRACKET in value or value.rfind(b"{") > 0
    if nested and value.count(b"{") + value.count(b"[") > DEPTH_MAX:
        at_byte = _too_deep_at(value)
        if at_byte is not None:
            detail = f"more than {DEPTH_MAX} objects and arrays are nested"
            return Fault("too_deep", "", detail, at_byte)
    if _BACKSLASH in value and b"\\u0000" in value:
        nul = _NUL.search(value)
        if nul is not None:
            return Fault("nul", "", "there is a NUL (\\u0000) in a key or a text", nul.end() - 6)
    return None


def event_fault(event: Event, value: bytes, time_ms: int) -> Fault | None:
    """What depends on several fields or on the record's time."""
    field, reason = "", "out_of_range"
    scale = SCALES.get(event.action) if event.type == "service" else None
    if event.type not in KINDS:
        field, reason = "type", "unknown_kind"
    elif event.at_ms > time_ms + FUTURE_MS_MAX:
        field, reason = "at_ms", "in_the_future"
    elif event.type == "order" and event.amount is None and event.action in MONEY_ACTIONS:
        detail = f"amount is missing; order.{event.action} must have {ALLOWED['amount']}"
        return Fault("missing", "amount", detail)
    elif scale and event.score is not None and not scale[0] <= event.score <= scale[1]:
        field = "score"
    elif event.attributes and not _fits_64_bits(event.attributes):
        field = "attributes"
    elif _BACKSLASH in value or _LATIN in value:  # without them there is no control character
        field, reason = _control_in(event), "control_character"
    if not field:
        return None
    found = repr(getattr(event, field)) if field != "attributes" else "an object with a larger one"
    detail = f"{field} is {found[:FOUND_CHARS_MAX]}; it must be {ALLOWED[field]}"
    return Fault(reason, field, detail, _value_at(value, field))


def _control_in(event: Event) -> str:
    """The field with a control character, or ""."""
    channels = "".join(event.consent or ())
    if (event.id + event.action + event.customer_id + channels).isprintable():
        return ""
    if _CONTROL.search(channels):
        return "consent"
    return next((name for name in _NAMES if _CONTROL.search(getattr(event, name))), "")


def _refusal(message: str, fields: dict[str, msgspec.Raw], value: bytes) -> Fault:
    """Put the decoder's refusal into our words; its own words only say which field it is."""
    named = re.search(r"required field `(\w+)`|(?:at|in) `\$\.(\w+)", message)
    if named is None:
        return Fault("wrong_type", "", f"the decoder refuses the record: {message}")
    field = named[1] or named[2]
    raw = bytes(fields[field]) if field in fields else None
    if raw is None or (raw == b"null" and "null`" in message):
        found = "missing" if raw is None else "null"
        return Fault("missing", field, f"{field} is {found}; it must be {ALLOWED[field]}")
    detail = f"{field} is {_quoted(raw)}; it must be {ALLOWED[field]}"
    if field == "at_ms" and (seconds := _SECONDS.fullmatch(raw)):
        detail += f"; this looks like seconds, send {seconds[1].decode()}000"
    return Fault(_reason(message, field), field, detail, _value_at(value, field))


def _reason(message: str, field: str) -> str:
    if "of length >=" in message:
        return "missing"
    if "of length <=" in message:
        return "too_long"
    if field == "at_ms" and "` <= " in message:
        return "in_the_future"
    if field == "at_ms" and "` >= " in message:
        return "before_2000"
    too_far = "` >= " in message or "` <= " in message or message.startswith("Number out of range")
    return "out_of_range" if too_far else "wrong_type"


def _quoted(raw: bytes) -> str:
    text = raw.strip().decode(errors="replace")
    return text if len(text) <= FOUND_CHARS_MAX else text[: FOUND_CHARS_MAX - 1] + "…"


def _fits_64_bits(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_fits_64_bits, value.values()))
    if isinstance(value, list):
        return all(map(_fits_64_bits, value))
    return not isinstance(value, int) or INTEGER_MIN <= value <= INTEGER_MAX


def _too_deep_at(value: bytes) -> int | None:
    """Where nesting exceeds DEPTH_MAX, or None.

    Balanced brackets of depth d vanish after removing the innermost pairs d times: that is fast.
    What is left is too deep, or not balanced: only then the tokens are looked at one by one.
    """
    left = _STRING.sub(b"", value).translate(_ONE_KIND_OF_BRACKET, _NOT_BRACKETS)
    for _ in range(DEPTH_MAX):
        left = left.replace(b"[]", b"")
    if not left:
        return None
    return next((at for at, depth, _ in _tokens(value) if depth > DEPTH_MAX), None)


def _tokens(value: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Position, depth and bytes of each bracket and string."""
    depth = 0
    for token in _TOKEN.finditer(value):
        depth += token[0] in (b"[", b"{")
        yield token.start(), depth, token[0]
        depth -= token[0] in (b"]", b"}")


def _value_at(value: bytes, field: str) -> int | None:
    """Where the value of a top-level key begins; of a repeated key the last, as the decoder does."""
    key, found = f'"{field}"'.encode(), None
    for at, depth, token in _tokens(value):
        if depth == 1 and token == key:
            colon = _COLON.match(value, at + len(key))
            found = colon.end() if colon else found
    return found
