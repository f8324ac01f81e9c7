"""The view's JSON, written by a kernel: names stay the same, and only numbers change.

Promise   The same JSON as the structs of view_fields.py give, for a fifth of the price: rendering views
          was a third of all work in the step.
How       The texts between the numbers lie in one array; numbers are whole hundredths, or millionths of
          money, so that their shortest decimals are those of integers.
Limits    Few views, customers with anomalies, and sums that are tiny or beyond AMOUNT_MAX are left to the
          general way (None).
Not here  Gathering the numbers, and the general way (view.py).
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson

from processors.compiled import compiled
from processors.health import BAND_TEXTS
from processors.view_fields import (
    ANOMALIES,
    BAND,
    COMPUTED_MS,
    CONFIDENCE,
    EVENTS_COUNT,
    FIRST_MS,
    INTEGERS,
    LAST_MS,
    LEVEL,
    NUMBERS,
    ORDERS,
    ORDERS_AMOUNT,
    REASONS,
    REASONS_MAX,
    RETURNS,
    RETURNS_AMOUNT,
    TICKETS,
    TREND,
    ShownCustomer,
)

VIEWS_AT_ONCE: Final = 256  # customers in the scratch space
_VIEWS_MIN: Final = 4  # for fewer the general way is faster
AMOUNT_MIN: Final = 1e-3  # below it, but for 0, a float's shortest form has an exponent
AMOUNT_MAX: Final = 1e9  # up to 15 digits, with the millionths, a decimal and its float are one
_NUMBER_BYTES_MAX: Final = 24
_MICRO: Final = 1e6
_HUNDREDTHS: Final = 100.0

# The texts, by number: one before each field's value, the end, null, bands, then reasons.
_FIELDS: Final = len(ShownCustomer.__struct_fields__)
_END: Final = _FIELDS
_NULL: Final = _FIELDS + 1
_BANDS: Final = _FIELDS + 2
_REASONS: Final = _BANDS + len(BAND_TEXTS)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@compiled("i8(u1[::1], i8, u1[::1], i8[::1], i8)")
def put_text(out: Bytes, at: int, texts: Bytes, starts: Integers, number: int) -> int:
    """Write one text; where it ends."""
    for k in range(starts[number], starts[number + 1]):
        out[at] = texts[k]
        at += 1
    return at


@compiled("i8(u1[::1], i8, i8)")
def put_integer(out: Bytes, at: int, value: int) -> int:
    """Write a whole number."""
    if value < 0:
        out[at] = 45  # -
        at += 1
        value = -value
    digits = 1
    rest = value // 10
    while rest > 0:
        digits += 1
        rest //= 10
    for k in range(at + digits - 1, at - 1, -1):
        out[k] = 48 + value % 10
        value //= 10
    return at + digits


@compiled("i8(u1[::1], i8, i8, i8)")
def put_decimal(out: Bytes, at: int, value: int, unit: int) -> int:
    """Write value / unit as the shortest decimal with a point; the unit is a power of ten."""
    if value < 0:
        out[at] = 45
        at += 1
        value = -value
    at = put_integer(out, at, value // unit)
    out[at] = 46  # .
    at += 1
    rest = value % unit
    unit //= 10
    while True:
        out[at] = 48 + rest // unit
        at += 1
        rest %= unit
        if rest == 0:
            return at
        unit //= 10


@compiled("i8(u1[::1], i8, u1[::1], i8[::1], f8)")
def put_hundredths(out: Bytes, at: int, texts: Bytes, starts: Integers, value: float) -> int:
    """Write a number that is rounded to hundredths, or null."""
    if not math.isfinite(value):
        return put_text(out, at, texts, starts, _NULL)
    return put_decimal(out, at, int(np.rint(value * _HUNDREDTHS)), 100)


@compiled("i8(u1[::1], i8, u1[::1], i8[::1], f8[:, ::1], i8[:, ::1], i8)")
def put_reasons(
    out: Bytes, at: int, texts: Bytes, starts: Integers, numbers: Floats, integers: Integers, k: int
) -> int:
    """Write the reasons, as a list."""
    out[at] = 91  # [
    at += 1
    for reason in range(integers[k, REASONS]):
        points = numbers[k, NUMBERS + reason]
        if reason > 0:
            out[at] = 44  # ,
            at += 1
        number = _REASONS + 2 * integers[k, INTEGERS + reason] + (1 if points < 0.0 else 0)
        at = put_text(out, at, texts, starts, number)
        at = put_hundredths(out, at, texts, starts, points)
        out[at] = 125  # }
        at += 1
    out[at] = 93
    return at + 1


@compiled("i8(u1[::1], i8, u1[::1], i8[::1], f8[:, ::1], i8[:, ::1], i8)")
def put_totals(
    out: Bytes, at: int, texts: Bytes, starts: Integers, numbers: Floats, integers: Integers, k: int
) -> int:
    """Write everything behind the anomalies; the fields' order is that of ShownCustomer."""
    at = put_text(out, at, texts, starts, 7)
    at = put_integer(out, at, integers[k, EVENTS_COUNT])
    at = put_text(out, at, texts, starts, 8)
    at = put_integer(out, at, integers[k, ORDERS])
    at = put_text(out, at, texts, starts, 9)
    at = put_decimal(out, at, int(np.rint(numbers[k, ORDERS_AMOUNT] * _MICRO)), 1_000_000)
    at = put_text(out, at, texts, starts, 10)
    at = put_integer(out, at, integers[k, RETURNS])
    at = put_text(out, at, texts, starts, 11)
    at = put_decimal(out, at, int(np.rint(numbers[k, RETURNS_AMOUNT] * _MICRO)), 1_000_000)
    at = put_text(out, at, texts, starts, 12)
    at = put_integer(out, at, integers[k, TICKETS])
    at = put_text(out, at, texts, starts, 13)
    at = put_integer(out, at, integers[k, FIRST_MS])
    at = put_text(out, at, texts, starts, 14)
    at = put_integer(out, at, integers[k, LAST_MS])
    at = put_text(out, at, texts, starts, 15)
    at = put_text(out, at, texts, starts, 16)
    at = put_integer(out, at, integers[k, COMPUTED_MS])
    return put_text(out, at, texts, starts, _END)


@compiled("b1(f8)")
def is_plain(amount: float) -> bool:
    """Whether the amount is written as here by everybody."""
    return amount == 0.0 or AMOUNT_MIN <= abs(amount) < AMOUNT_MAX


@compiled("i8(u1[::1], i8[::1], u1[::1], i8[::1], f8[:, ::1], i8[:, ::1], u1[::1], i8[::1], i8)")
def write_views(
    texts: Bytes,
    starts: Integers,
    ids: Bytes,
    id_starts: Integers,
    numbers: Floats,
    integers: Integers,
    out: Bytes,
    ends: Integers,
    count: int,
) -> int:
    """Write `count` views one after the other; an end equal to the one before says "not by me"."""
    at = 0
    for k in range(count):
        ends[k] = at
        plain = is_plain(numbers[k, ORDERS_AMOUNT]) and is_plain(numbers[k, RETURNS_AMOUNT])
        if integers[k, ANOMALIES] != 0 or not plain:
            continue
        at = put_text(out, at, texts, starts, 0)
        at = put_text(out, at, ids, id_starts, k)
        at = put_text(out, at, texts, starts, 1)
        at = put_hundredths(out, at, texts, starts, numbers[k, LEVEL])
        at = put_text(out, at, texts, starts, 2)
        at = put_text(out, at, texts, starts, _BANDS + integers[k, BAND])
        at = put_text(out, at, texts, starts, 3)
        at = put_hundredths(out, at, texts, starts, numbers[k, TREND])
        at = put_text(out, at, texts, starts, 4)
        at = put_hundredths(out, at, texts, starts, numbers[k, CONFIDENCE])
        at = put_text(out, at, texts, starts, 5)
        at = put_reasons(out, at, texts, starts, numbers, integers, k)
        at = put_text(out, at, texts, starts, 6)
        at = put_totals(out, at, texts, starts, numbers, integers, k)
        ends[k] = at
    return at


class ViewText:
    """The texts of one model's views, and scratch space: one thread uses it at a time."""

    def __init__(
        self, model_id: str, phrases: Sequence[tuple[tuple[str, str], tuple[str, str]]]
    ) -> None:
        """Lay out the texts.

        Args:
            model_id: as the views show it.
            phrases: of each signal, phrase and component where it gives points, and where it costs.
        """
        before = [f',"{name}":' for name in ShownCustomer.__struct_fields__]
        before[0] = "{" + before[0][1:]
        before[6] += "[]"  # customers with anomalies are not written here
        before[15] += orjson.dumps(model_id).decode()
        reasons = [
            f'{{"reason":{orjson.dumps(phrase).decode()},"component":{orjson.dumps(component).decode()}'
            ',"points":'
            for signal in phrases
            for phrase, component in signal
        ]
        texts = [*before, "}", "null", *(f'"{band}"' for band in BAND_TEXTS), *reasons]
        self._texts, self._starts = _joined([text.encode() for text in texts])
        longest = max(map(len, reasons), default=0) + _NUMBER_BYTES_MAX
        self._bytes_max = sum(map(len, before)) + REASONS_MAX * longest + 20 * _NUMBER_BYTES_MAX
        self._ends = np.zeros(VIEWS_AT_ONCE, dtype=np.int64)

    def write(
        self, customer_ids: Sequence[str], numbers: Floats, integers: Integers
    ) -> list[bytes | None]:
        """The views of at most VIEWS_AT_ONCE customers; None for those to be written in general."""
        count = len(customer_ids)
        if count < _VIEWS_MIN:
            return [None] * count
        ids, id_starts = _joined([orjson.dumps(each) for each in customer_ids])
        out = np.empty(len(ids) + count * self._bytes_max, dtype=np.uint8)
        of = (self._texts, self._starts, ids, id_starts, numbers, integers)
        data = out[: write_views(*of, out, self._ends, count)].tobytes()
        ends = self._ends[:count].tolist()
        return [data[start:end] if end > start else None for start, end in pairwise([0, *ends])]


def _joined(texts: Sequence[bytes]) -> tuple[Bytes, Integers]:
    """All texts in one array, and where each starts; the last is where all end."""
    starts = np.zeros(len(texts) + 1, dtype=np.int64)
    starts[1:] = np.cumsum([len(text) for text in texts])
    return np.frombuffer(bytearray(b"".join(texts)), dtype=np.uint8), starts


assert ShownCustomer.__struct_fields__[5:8] == ("reasons", "anomalies", "events_count")
assert ShownCustomer.__struct_fields__[13:] == (
    "first_at_ms",
    "last_at_ms",
    "model",
    "computed_at_ms",
)
