"""The poison corpus: records that must become dead letters, and odd ones that must not.

For every test that feeds bad input anywhere: the decoder, the gateway, both logs, the fault tests.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

RECORD_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z: when all these records arrive
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Poison:
    name: str
    value: bytes | None
    reason: str
    field: str


def good(**fields: Any) -> dict[str, Any]:  # noqa: ANN401  the corpus is about values of all types
    """A good order, with fields replaced; None leaves one out."""
    event: dict[str, Any] = {
        "id": "e-1",
        "type": "order",
        "action": "placed",
        "customer_id": "c-1",
        "at_ms": RECORD_MS - 1_000,
        "amount": 25.5,
        "currency": "EUR",
    }
    event.update(fields)
    return {key: value for key, value in event.items() if value is not None}


def record(**fields: Any) -> bytes:  # noqa: ANN401  the same
    """A good order as it comes from a log, with fields replaced; None leaves one out."""
    return json.dumps(good(**fields)).encode()


def raw(field: str, value: bytes) -> bytes:
    """A good order in which one field has a value that Python's json would not write."""
    return record(**{field: "\x01here"}).replace(b'"\\u0001here"', value)


def service(action: str, **fields: Any) -> bytes:  # noqa: ANN401  the same
    return record(type="service", action=action, amount=None, **fields)


def nested(depth: int, before: str = "[", after: str = "]") -> bytes:
    """An event of that depth: the event itself counts as the first object."""
    return raw("unknown", (before * (depth - 1) + "1" + after * (depth - 1)).encode())


def sized(size: int) -> bytes:
    """An event of that many bytes, most of them in a field that we do not know."""
    return record(unknown="x" * (size - len(record(unknown=""))))


POISON: Final = (
    Poison("no value", None, "empty", ""),
    Poison("no bytes", b"", "empty", ""),
    Poison("white space", b" \r\n", "empty", ""),
    Poison("null", b"null", "empty", ""),
    Poison("5 MB", record(page="x" * 5_000_000), "too_large", ""),
    Poison("a byte too many", sized(32 * 1024 + 1), "too_large", ""),
    Poison("truncated in an object", record()[:-1], "malformed", ""),
    Poison("truncated in a text", record()[:-4], "malformed", ""),
    Poison("truncated in a key", record()[:3], "malformed", ""),
    Poison("two objects", record() * 2, "malformed", ""),
    Poison("trailing bytes", record() + b"\x00", "malformed", ""),
    Poison("a single quote", record().replace(b'"', b"'"), "malformed", ""),
    Poison("NaN", raw("amount", b"NaN"), "malformed", ""),
    Poison("Infinity", raw("amount", b"-Infinity"), "malformed", ""),
    Poison("NaN in an unknown field", raw("unknown", b"NaN"), "malformed", ""),
    Poison("leading zero", raw("amount", b"007"), "malformed", ""),
    Poison("half a surrogate pair", raw("id", b'"\\ud800"'), "malformed", ""),
    Poison("raw control character", raw("page", b'"\x01"'), "malformed", ""),
    Poison("byte order mark", b"\xef\xbb\xbf" + record(), "malformed", ""),
    Poison("UTF-16", record().decode().encode("utf-16"), "bad_utf8", ""),
    Poison("not UTF-8", raw("id", b'"\xff"'), "bad_utf8", ""),
    Poison("not UTF-8 in an unknown field", raw("unknown", b'"\xc3\x28"'), "bad_utf8", ""),
    Poison("compressed", b"\x1f\x8b\x08\x00" + bytes(range(60)), "bad_utf8", ""),
    Poison("depth 17", nested(17), "too_deep", ""),
    Poison("depth 1,000", nested(1_000), "too_deep", ""),
    Poison("depth 1,000 of objects", nested(1_000, '{"a":', "}"), "too_deep", ""),
    Poison("depth 10,000, not closed", b'{"a":' * 3_000 + b"[" * 7_000, "too_deep", ""),
    Poison("deep attributes", raw("attributes", b'{"a":' * 16 + b"1" + b"}" * 16), "too_deep", ""),
    Poison("NUL in the id", record(id="e\x001"), "nul", ""),
    Poison("NUL in a text", record(page="\x00"), "nul", ""),
    Poison("NUL in a key", record(**{"a\x00b": 1}), "nul", ""),
    Poison("NUL in an attribute's key", record(attributes={"\x00": 1}), "nul", ""),
    Poison("an array", b"[" + record() + b"]", "wrong_type", ""),
    Poison("a number", b"7", "wrong_type", ""),
    Poison("a text", b'"order"', "wrong_type", ""),
    Poison("id is a number", record(id=7), "wrong_type", "id"),
    Poison("type is a number", record(type=7), "wrong_type", "type"),
    Poison("action is an object", record(action={}), "wrong_type", "action"),
    Poison("customer_id is a list", record(customer_id=["c"]), "wrong_type", "customer_id"),
    Poison("at_ms is a date", record(at_ms="2026-01-01T00:00:00Z"), "wrong_type", "at_ms"),
    Poison("at_ms has a fraction", record(at_ms=RECORD_MS - 0.5), "wrong_type", "at_ms"),
    Poison("amount is a text", record(amount="25.50"), "wrong_type", "amount"),
    Poison("amount is true", record(amount=True), "wrong_type", "amount"),
    Poison("page is a number", record(page=7), "wrong_type", "page"),
    Poison("attributes are a list", record(attributes=[1]), "wrong_type", "attributes"),
    Poison("consent is true", record(consent=True), "wrong_type", "consent"),
    Poison("consent is a list", record(consent=["phone"]), "wrong_type", "consent"),
    Poison("consent of yes", record(consent={"phone": "yes"}), "wrong_type", "consent"),
    Poison("consent of 1", record(consent={"phone": 1}), "wrong_type", "consent"),
    Poison("consent of null", record(consent={"phone": None}), "wrong_type", "consent"),
    Poison("an empty object", b"{}", "missing", "id"),
    Poison("no id", record(id=None), "missing", "id"),
    Poison("null id", raw("id", b"null"), "missing", "id"),
    Poison("empty id", record(id=""), "missing", "id"),
    Poison("no customer", record(customer_id=None), "missing", "customer_id"),
    Poison("empty customer", record(customer_id=""), "missing", "customer_id"),
    Poison("no type", record(type=None), "missing", "type"),
    Poison("no action", record(action=None), "missing", "action"),
    Poison("no time", record(at_ms=None), "missing", "at_ms"),
    Poison("consent to no channel", record(consent={"": True}), "missing", "consent"),
    Poison("an order without amount", record(amount=None), "missing", "amount"),
    Poison("a refund without amount", record(action="refunded", amount=None), "missing", "amount"),
    Poison("a null amount", raw("amount", b"null"), "missing", "amount"),
    Poison("long id", record(id="x" * 101), "too_long", "id"),
    Poison("long customer", record(customer_id="x" * 101), "too_long", "customer_id"),
    Poison("long action", record(action="x" * 65), "too_long", "action"),
    Poison("long page", record(page="x" * 1_025), "too_long", "page"),
    Poison("a long channel", record(consent={"x" * 65: True}), "too_long", "consent"),
    Poison(
        "17 channels",
        record(consent={f"c{number}": True for number in range(17)}),
        "too_long",
        "consent",
    ),
    Poison("a tab in a channel", record(consent={"a\tb": True}), "control_character", "consent"),
    Poison("a new line in the id", record(id="e\n1"), "control_character", "id"),
    Poison("a tab in the customer", record(customer_id="c\t1"), "control_character", "customer_id"),
    Poison("a control in the action", record(action="a\x1b"), "control_character", "action"),
    Poison("a C1 control in the id", raw("id", '"e\x9b1"'.encode()), "control_character", "id"),
    Poison("an escaped C1 control", raw("id", b'"e\\u00801"'), "control_character", "id"),
    Poison(
        "a C1 control in the customer",
        raw("customer_id", '"\x85"'.encode()),
        "control_character",
        "customer_id",
    ),
    Poison("1e400", raw("amount", b"1e400"), "out_of_range", "amount"),
    Poison("-1e400", raw("amount", b"-1e400"), "out_of_range", "amount"),
    Poison("2^70 amount", record(amount=2**70), "out_of_range", "amount"),
    Poison("500 digits", raw("amount", b"9" * 500), "out_of_range", "amount"),
    Poison("negative amount", record(amount=-0.01), "out_of_range", "amount"),
    Poison("negative count", record(items_count=-1), "out_of_range", "items_count"),
    Poison(
        "1e400 in attributes", raw("attributes", b'{"a":[1e400]}'), "out_of_range", "attributes"
    ),
    Poison("2^70 in attributes", record(attributes={"a": [2**70]}), "out_of_range", "attributes"),
    Poison("csat of 0", service("csat", score=0), "out_of_range", "score"),
    Poison("csat of 6", service("csat", score=6), "out_of_range", "score"),
    Poison("nps of -1", service("nps", score=-1), "out_of_range", "score"),
    Poison("nps of 11", service("nps", score=11), "out_of_range", "score"),
    Poison("sentiment", service("contact", sentiment=1.01), "out_of_range", "sentiment"),
    Poison("unknown kind", record(type="refund"), "unknown_kind", "type"),
    Poison("kind in capitals", record(type="Order"), "unknown_kind", "type"),
    Poison("time in seconds", record(at_ms=RECORD_MS // 1000), "before_2000", "at_ms"),
    Poison("negative time", record(at_ms=-1), "before_2000", "at_ms"),
    Poison("1999", record(at_ms=946_684_799_999), "before_2000", "at_ms"),
    Poison("a day and 1 ms ahead", record(at_ms=RECORD_MS + DAY_MS + 1), "in_the_future", "at_ms"),
    Poison("time in microseconds", record(at_ms=RECORD_MS * 1000), "in_the_future", "at_ms"),
    Poison("2^70 time", record(at_ms=2**70), "in_the_future", "at_ms"),
)

# Odd, but good: each must become an event.
ODD: Final[dict[str, bytes]] = {
    "all limits reached": record(
        id="x" * 100, customer_id="y" * 100, action="z" * 64, page="p" * 1_024, amount=1e10
    ),
    "as large as allowed": sized(32 * 1024),
    "as deep as allowed": nested(16),
    "wide but shallow": record(unknown=[[]] * 100, other={"a": ["[" * 40, "]]]}"]}),
    "brackets in texts": record(page='[[[[[[[[[[[[[[[[[["{{{{{{{{{{{{{{{{{{{{'),
    "an escaped backslash before u0000": raw("page", b'"\\\\u0000"'),
    "escapes": raw("page", b'"\\u00e9 \\/ \\n \\ud83d\\ude00"'),
    "no ASCII": json.dumps(good(id="ключ", category="Küche 😀"), ensure_ascii=False).encode(),
    "white space around": b" \n" + record() + b"\r\n",
    "unknown fields": record(unknown=[1, {"a": None}], type_of=2**70),
    "1e400 in an unknown field": raw("unknown", b"1e400"),
    "nulls": raw("page", b"null").replace(b'"currency": "EUR"', b'"score": null'),
    "a key twice": record().replace(b'{"id"', b'{"amount": 1, "id"'),
    "a free order": record(amount=0),
    "a returned order without amount": record(action="returned", amount=None),
    "an open action": record(type="click", action="wave", amount=None),
    "csat of 1 and sentiment of -1": service("csat", score=1, sentiment=-1),
    "nps of 10": service("nps", score=10, sentiment=1),
    "csat without a score": service("csat"),
    "attributes": record(
        type="customer", action="identify", amount=None, attributes={"a": [1, {"b": 2**63 - 1}]}
    ),
    "consent": record(
        type="customer", action="consent", amount=None, consent={"phone": True, "e-mail": False}
    ),
    "consent to as much as allowed": record(
        consent={f"{number:064}": number % 2 == 0 for number in range(16)}
    ),
    "consent to nothing": record(consent={}, attributes={}),
    "neither attributes nor consent": raw("attributes", b"null").replace(
        b'"currency": "EUR"', b'"consent": null'
    ),
    "the first moment of 2000": record(at_ms=946_684_800_000),
    "a day ahead": record(at_ms=RECORD_MS + DAY_MS),
}
