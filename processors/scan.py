"""Scan: plain records to columns in one pass over their bytes, without an object an event.

Promise   A record that it calls plain is one that `decode` accepts, and each column has exactly what the
          event's field would have. What is unusual in any way it leaves to the decoder: it never refuses.
How       One kernel walks over all records of a batch, joined. Plain is: one flat object of printable
          ASCII without escapes (tokens.py), no field twice, all limits of event.py kept, and none of what
          fault.py looks at several fields for.
          Texts are told by where they stand; hashes of ids are made on the way.
Limits    `size` records; the columns are overwritten by the next batch.
Not here  What is not plain (decode.py). Texts to registers (columns.py).
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from processors.batch import RECORDS_MAX
from processors.compiled import compiled
from processors.event import (
    EVENT_BYTES_MAX,
    FUTURE_MS_MAX,
    NUMBER_FIELDS,
    TIME_MS_MAX,
    TIME_MS_MIN,
)
from processors.hashing import xxh64
from processors.scan_fields import (
    AMOUNT,
    ANY_SCALE,
    AT_MS,
    HIGHS,
    ID,
    LEAST,
    LOWS,
    MOST,
    NUMBERS,
    ORDER,
    REQUIRED,
    SCORE,
    SERVICE,
    TYPE,
    field_of,
    kind_of,
)
from processors.spans import SPANS, Columns
from processors.tokens import (
    MINUS,
    NINE,
    NULL,
    POWERS,
    QUOTE,
    ZERO,
    closing_quote,
    literal_end,
    number_end,
    skipped,
)

_COLON, _COMMA, _OPEN, _CLOSE = ord(":"), ord(","), ord("{"), ord("}")

Bytes: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
Spans: TypeAlias = npt.NDArray[np.int32]


@compiled("i8(u1[::1], i8, i8, i8, i8, i4[:, :, ::1], i8[::1])")
def _text_value(
    data: Bytes,
    at: int,
    end: int,
    field: int,
    index: int,
    spans: Spans,
    kinds: Integers,
) -> int:
    """Take the text at `at`; where it ends, or -1."""
    quote = closing_quote(data, at + 1, end)
    length = quote - at - 1
    if quote < 0:
        return -1
    if 0 <= field < NUMBERS:
        if length < LEAST[field] or length > MOST[field]:
            return -1
        spans[index, field, 0] = at + 1
        spans[index, field, 1] = length
    elif field == TYPE:
        kinds[index] = kind_of(data, at + 1, length)
        if kinds[index] < 0:
            return -1
    elif field >= 0:
        return -1
    return quote + 1


@compiled("i8(u1[::1], i8, i8, i8, i8, i8[::1], f8[:, ::1], i8[::1])")
def _other_value(
    data: Bytes,
    at: int,
    end: int,
    field: int,
    index: int,
    at_ms: Integers,
    numbers: Floats,
    whole: Integers,
) -> int:
    """Take the number, null, true or false at `at`; where it ends, or -1."""
    if data[at] != MINUS and not ZERO <= data[at] <= NINE:
        is_null = data[at] == NULL
        if field >= 0 and (not is_null or REQUIRED >> field & 1):
            return -1
        return literal_end(data, at, end)
    at = number_end(data, at, end, whole)
    if at < 0:
        return -1
    if NUMBERS <= field < TYPE:
        number = field - NUMBERS
        value = whole[0] / POWERS[whole[1]]
        if value < LOWS[number] or value > HIGHS[number]:
            return -1
        numbers[index, number] = value
    elif field == AT_MS:
        if whole[1] or whole[0] < TIME_MS_MIN or whole[0] > TIME_MS_MAX:
            return -1
        at_ms[index] = whole[0]
    elif field >= 0:
        return -1
    return at


@compiled("b1(u1[::1], i8, i8, i8, i8[::1], i8[::1], f8[:, ::1], i4[:, :, ::1], i8[::1])")
def _scan_one(
    data: Bytes,
    at: int,
    end: int,
    index: int,
    kinds: Integers,
    at_ms: Integers,
    numbers: Floats,
    spans: Spans,
    whole: Integers,
) -> bool:
    """Take all fields of one record; whether it is plain so far."""
    seen = 0
    at = skipped(data, at, end)
    if at >= end or data[at] != _OPEN:
        return False
    while True:
        at = skipped(data, at + 1, end)
        if at >= end or data[at] != QUOTE:
            return False
        quote = closing_quote(data, at + 1, end)
        if quote < 0:
            return False
        field = field_of(data, at + 1, quote - at - 1)
        if field >= 0:
            if seen >> field & 1:
                return False
            seen |= 1 << field
        at = skipped(data, quote + 1, end)
        if at >= end or data[at] != _COLON:
            return False
        at = skipped(data, at + 1, end)
        if at >= end:
            return False
        if data[at] == QUOTE:
            at = _text_value(data, at, end, field, index, spans, kinds)
        else:
            at = _other_value(data, at, end, field, index, at_ms, numbers, whole)
        if at < 0:
            return False
        at = skipped(data, at, end)
        if at >= end or data[at] != _COMMA:
            break
    is_closed = at < end and data[at] == _CLOSE and skipped(data, at + 1, end) == end
    return is_closed and seen & REQUIRED == REQUIRED


@compiled("b1(i8, i8, f8, f8, i8)")
def _is_in_scale(kind: int, at_ms: int, amount: float, score: float, time_ms: int) -> bool:
    """Whether what depends on several fields is surely good (fault.event_fault)."""
    if at_ms > time_ms + FUTURE_MS_MAX or (kind == ORDER and np.isnan(amount)):
        return False
    return not (kind == SERVICE and (score < ANY_SCALE[0] or score > ANY_SCALE[1]))


@compiled(
    "i8(u1[::1], i8[::1], i8[::1], u1[::1], i8[::1], i8[::1], i8[::1], f8[:, ::1], i4[:, :, ::1], i8[::1])"
)
def _scan(
    data: Bytes,
    ends: Integers,
    times_ms: Integers,
    is_plain: Bytes,
    kinds: Integers,
    at_ms: Integers,
    id_hashes: Integers,
    numbers: Floats,
    spans: Spans,
    whole: Integers,
) -> int:
    """Fill the columns of all records; how many are plain."""
    begin = 0
    found = 0
    for index in range(ends.shape[0]):
        numbers[index] = np.nan
        spans[index, :, 1] = -1
        end = ends[index]
        good = end - begin <= EVENT_BYTES_MAX and _scan_one(
            data, begin, end, index, kinds, at_ms, numbers, spans, whole
        )
        amount, score = numbers[index, AMOUNT], numbers[index, SCORE]
        if good and _is_in_scale(kinds[index], at_ms[index], amount, score, times_ms[index]):
            hashed = xxh64(data, spans[index, ID, 0], spans[index, ID, 1], np.uint64(0))
            id_hashes[index] = np.int64(max(hashed >> np.uint64(1), np.uint64(1)))
            is_plain[index] = 1
            found += 1
        else:
            is_plain[index] = 0
            spans[index, :, 1] = -1
        begin = end
    return found


assert RECORDS_MAX * EVENT_BYTES_MAX < 2**31, "where a text stands must fit 32 bits"


class Scan:
    """The columns of one batch after another; each has room for `size` records."""

    def __init__(self, size: int = RECORDS_MAX) -> None:
        """Make room."""
        self._is_plain = np.zeros(size, dtype=np.uint8)
        self._kinds = np.zeros(size, dtype=np.int64)
        self._at_ms = np.zeros(size, dtype=np.int64)
        self._id_hashes = np.zeros(size, dtype=np.int64)
        self._numbers = np.zeros((size, len(NUMBER_FIELDS)))
        self._spans = np.zeros((size, len(SPANS), 2), dtype=np.int32)
        self._whole = np.zeros(2, dtype=np.int64)

    def read(self, values: Sequence[bytes | None], times_ms: Sequence[int]) -> Columns:
        """The columns of these records; those that are not plain are told by `unusual`."""
        there = [value or b"" for value in values]
        sizes = np.fromiter(map(len, there), dtype=np.int64, count=len(there))
        if sizes.max() > EVENT_BYTES_MAX:  # what is too large is not even joined
            there = [value if len(value) <= EVENT_BYTES_MAX else b"" for value in there]
            sizes[sizes > EVENT_BYTES_MAX] = 0
        joined = bytearray().join(there)
        data = np.frombuffer(joined, dtype=np.uint8)
        with np.errstate(over="ignore"):  # where numba is off, numpy warns of hashes that wrap
            plain = _scan(
                data,
                np.cumsum(sizes),
                np.array(times_ms, dtype=np.int64),
                *(self._is_plain, self._kinds, self._at_ms, self._id_hashes, self._numbers),
                *(self._spans, self._whole),
            )
        count = len(values)
        unusual = np.flatnonzero(self._is_plain[:count] == 0).tolist() if plain < count else []
        return Columns(
            data,
            joined.decode("latin-1"),
            unusual,
            self._kinds[:count],
            self._at_ms[:count],
            self._id_hashes[:count],
            self._numbers[:count],
            self._spans[:count],
        )
