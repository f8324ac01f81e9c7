"""The text table: codes of texts that lie in an array, looked up by a kernel.

Promise   The code that a text was added with, or "not here"; two texts are never taken for one.
How       XXH64 and open addressing; the bytes are compared. A *seed* tells equal texts of different kinds
          apart, such as the actions of orders and of clicks.
Limits    What is added stays; whoever adds bounds how much (columns.py).
Not here  What a text means (columns.py).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled
from processors.hashing import xxh64

NOT_HERE: Final = -1
_CODES_AT_FIRST: Final = 64
_BYTES_AT_FIRST: Final = 1024

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Spans = npt.NDArray[np.int32]


@compiled("i8(u1[::1], i8, i8, i8, i8[:, ::1], i8[:, ::1], u1[::1])")
def _place(
    data: Bytes, start: int, length: int, seed: int, places: Integers, known: Integers, kept: Bytes
) -> int:
    """The place of this text in `places`: where it is, or where it would be."""
    hashed = np.int64(xxh64(data, start, length, np.uint64(seed)) >> np.uint64(1))
    mask = places.shape[0] - 1
    at = hashed & mask
    while places[at, 1] >= 0:
        if places[at, 0] == hashed:
            entry = known[places[at, 1]]
            is_same = entry[1] == length and entry[2] == seed
            k = 0
            while is_same and k < length:
                is_same = kept[entry[0] + k] == data[start + k]
                k += 1
            if is_same:
                return int(at)
        at = (at + 1) & mask
    places[at, 0] = hashed
    return int(at)


@compiled("i8(u1[::1], i4[:, :, ::1], i8, i8[::1], i8[:, ::1], i8[:, ::1], u1[::1], i8, i8[::1])")
def _look_up(
    data: Bytes,
    spans: Spans,
    span: int,
    seeds: Integers,
    places: Integers,
    known: Integers,
    kept: Bytes,
    absent: int,
    codes: Integers,
) -> int:
    """Fill in the codes; how many are not here."""
    missed = 0
    for index in range(codes.shape[0]):
        length = spans[index, span, 1]
        if length < 0:
            codes[index] = absent
            continue
        seed = seeds[index] if seeds.shape[0] else 0
        at = _place(data, spans[index, span, 0], length, seed, places, known, kept)
        entry = places[at, 1]
        codes[index] = known[entry, 3] if entry >= 0 else NOT_HERE
        missed += entry < 0
    return missed


class TextTable:
    """Texts, each with its seed and its code."""

    def __init__(self) -> None:
        """Make an empty table."""
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self._count = self._used = 0
        # Places: hash and number of the entry. Known: first byte, length, seed, code.
        self._places = _empty(2 * _CODES_AT_FIRST)
        self._known = np.zeros((_CODES_AT_FIRST, 4), dtype=np.int64)
        self._kept = np.zeros(_BYTES_AT_FIRST, dtype=np.uint8)

    def add(self, text: bytes, seed: int, code: int) -> None:
        """Add a text that is not here."""
        if self._count == len(self._known):
            self._grow()
        end = self._used + len(text)
        if end > len(self._kept):
            room = np.zeros(max(2 * len(self._kept), end), dtype=np.uint8)
            room[: self._used] = self._kept[: self._used]
            self._kept = room
        self._kept[self._used : end] = np.frombuffer(text, dtype=np.uint8)
        self._known[self._count] = (self._used, len(text), seed, code)
        self._used = end
        self._put(self._count)
        self._count += 1

    def _put(self, number: int) -> None:
        start, length, seed, _ = self._known[number].tolist()
        with np.errstate(over="ignore"):
            at = _place(self._kept, start, length, seed, self._places, self._known, self._kept)
        assert self._places[at, 1] < 0, "the text is not here yet"
        self._places[at, 1] = number

    def _grow(self) -> None:
        self._known = np.concatenate([self._known, np.zeros_like(self._known)])
        self._places = _empty(2 * len(self._known))
        for number in range(self._count):
            self._put(number)

    def look_up(
        self,
        data: Bytes,
        spans: Spans,
        span: int,
        seeds: Integers,
        absent: int,
        codes: Integers,
    ) -> int:
        """Fill in the codes of texts within `data`; how many are NOT_HERE.

        Args:
            data: bytes in which the texts stand.
            spans: shape (as many as codes, fields, 2): where each text begins, and its bytes; below zero
                there is none.
            span: which of the fields to look at.
            seeds: of each text, or empty for zeros.
            absent: the code where there is no text.
            codes: filled.
        """
        with np.errstate(over="ignore"):
            return _look_up(
                data, spans, span, seeds, self._places, self._known, self._kept, absent, codes
            )


def _empty(size: int) -> Integers:
    return np.full((size, 2), NOT_HERE, dtype=np.int64)
