"""The layout of a profile row: which named columns stand where, and how a row becomes bytes and back.

Promise   Packing and unpacking keep a row bit for bit; a row written under another layout keeps every column
          whose name and width are the same in both, and new columns start empty.
How       A row is `words` 8-byte words. Most are zero (zero means "never happened" in every column), so
          the bytes are: fingerprint of the layout (8 bytes), one bit a word, then the words that are
          not zero, little-endian. The layout itself is kept beside the rows under its fingerprint.
Limits    ROW_WORDS_MAX words.
Not here  What a column means (plan.py, fold.py). Where rows live (profiles.py, streams/store.py).
"""

import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from processors.compiled import compiled

ROW_WORDS_MAX: Final = 65_536  # half a megabyte a customer: a plan beyond this is a mistake
_FINGERPRINT_BYTES: Final = 8
_GROUP: Final = 8  # rows are whole cache lines, and are packed eight words at a time
assert sys.byteorder == "little", "rows are stored as the words stand in memory"
ROWS_AT_ONCE: Final = 256  # the scratch area stays within the second-level cache


class LayoutError(ValueError):
    """Bytes that are no row of the layout that they name."""


class _Columns(msgspec.Struct, frozen=True):
    columns: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns by name: their first word and how many; `fingerprint` names the arrangement."""

    columns: dict[str, tuple[int, int]]  # name -> (first word, words)
    words: int
    fingerprint: bytes

    @classmethod
    def of(cls, columns: Iterable[tuple[str, int]]) -> Self:
        """Lay the columns out one after the other.

        Raises:
            ValueError: Two columns of one name, or more than ROW_WORDS_MAX words.

        >>> Layout.of([("newest", 1), ("ring", 4)]).columns
        {'newest': (0, 1), 'ring': (1, 4)}
        """
        placed: dict[str, tuple[int, int]] = {}
        words = 0
        for name, count in columns:
            if name in placed:
                raise ValueError(f"the column {name!r} is there twice")
            placed[name] = (words, count)
            words += count
        words = -(-words // _GROUP) * _GROUP
        if words > ROW_WORDS_MAX:
            raise ValueError(
                f"a profile row would have {words} words, at most {ROW_WORDS_MAX} are allowed: "
                "ask for fewer aggregates, or fewer exact events in them"
            )
        listed = [(name, count) for name, (_, count) in placed.items()]
        digest = hashlib.blake2b(
            msgspec.json.encode(listed), digest_size=_FINGERPRINT_BYTES
        ).digest()
        return cls(placed, words, digest)

    def encode(self) -> bytes:
        """The layout as JSON, to be kept beside the rows that were written with it."""
        listed = [(name, count) for name, (_, count) in self.columns.items()]
        return msgspec.json.encode(_Columns(listed))

    @classmethod
    def decode(cls, stored: bytes) -> Self:
        """Read what `encode` wrote.

        Raises:
            LayoutError: It is something else.
        """
        try:
            return cls.of(msgspec.json.decode(stored, type=_Columns).columns)
        except (msgspec.MsgspecError, ValueError) as error:
            raise LayoutError(f"not a stored row layout: {error}") from error


def fingerprint_of(blob: bytes) -> bytes:
    """Which layout a packed row was written with."""
    return blob[:_FINGERPRINT_BYTES]


@compiled("i8(i8[:, ::1], i8[::1], i8, i8[:, ::1], i8, u1[::1], i8[::1], i8[::1], i8[::1])")
def _pack(
    rows: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int64],
    fingerprint: int,
    bodies: npt.NDArray[np.int64],
    first_body: int,
    present: npt.NDArray[np.uint8],
    groups: npt.NDArray[np.int64],
    out: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
) -> int:
    """Write fingerprint, bitmap and words that are not zero of each row; fill in where each ends.

    Most groups of eight words are zero: whether a word is present is first written as a byte each,
    which vectorises, and then looked at eight at a time. `groups` is the memory of `present`, as int64.
    """
    words = rows.shape[1]
    at = 0
    for k in range(slots.shape[0]):
        row = rows[slots[k]]
        for word in range(first_body):
            present[word] = row[word] != 0
        present[first_body:words] = 0
        for body in range(bodies.shape[0]):
            if row[bodies[body, 0]] != 0:
                for word in range(bodies[body, 1], bodies[body, 1] + bodies[body, 2]):
                    present[word] = row[word] != 0
        out[at] = fingerprint
        bitmap = at + 1
        at = bitmap + groups.shape[0] // 8
        bits = np.int64(0)
        for group in range(groups.shape[0]):
            if groups[group] != 0:
                mask = np.int64(0)
                for bit in range(8):  # the lowest bit of byte 0, 1, … becomes bit 0, 1, …
                    mask |= (groups[group] >> (7 * bit)) & (1 << bit)
                bits |= mask << np.int64(8 * (group & 7))
                for bit in range(8):
                    out[at] = row[8 * group + bit]
                    at += (mask >> bit) & 1
            if group & 7 == 7:  # noqa: PLR2004  eight groups make a word of the bitmap
                out[bitmap + (group >> 3)] = bits
                bits = np.int64(0)
        ends[k] = at
    return at


class Packer:
    """Packs rows of one layout; has scratch space of its own, so one thread uses it at a time."""

    def __init__(self, layout: Layout, bodies: npt.NDArray[np.int64] | None = None) -> None:
        """Make room for ROWS_AT_ONCE rows.

        Args:
            layout: of the rows.
            bodies: shape (bodies, 3): head, first word, words. Columns at the row's end that are all
                zero where the word at their head is zero: most are, and are then not looked at.
        """
        self._bodies = np.zeros((0, 3), dtype=np.int64) if bodies is None else bodies
        self._first_body = int(self._bodies[:, 1].min()) if len(self._bodies) else layout.words
        map_words = (layout.words + 63) // 64
        self._words = layout.words
        self._fingerprint = int.from_bytes(layout.fingerprint, "little", signed=True)
        self._present = np.zeros(64 * map_words, dtype=np.uint8)
        self._groups = self._present.view(np.int64)
        self._out = np.empty(ROWS_AT_ONCE * (1 + map_words + layout.words) + _GROUP, dtype=np.int64)
        self._ends = np.empty(ROWS_AT_ONCE, dtype=np.int64)

    def pack(self, rows: npt.NDArray[np.int64], slots: npt.NDArray[np.int64]) -> list[bytes]:
        """The rows at `slots` as bytes, in that order."""
        assert rows.shape[1] == self._words, "rows are of the layout"
        packed: list[bytes] = []
        for first in range(0, len(slots), ROWS_AT_ONCE):
            part = slots[first : first + ROWS_AT_ONCE]
            scratch = (self._present, self._groups, self._out, self._ends)
            used = _pack(rows, part, self._fingerprint, self._bodies, self._first_body, *scratch)
            data = self._out[:used].tobytes()
            if len(part) == 1:
                return [*packed, data]
            ends = (self._ends[: len(part)] * 8).tolist()
            packed += [data[start:end] for start, end in pairwise([0, *ends])]
        return packed


@compiled("i8(i8[::1], i8[::1], i8[:, ::1], i8[::1])")
def _unpack(
    data: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int64],
) -> int:
    """Fill the rows; answer with the first blob that does not fit its bitmap, or -1 where all do."""
    words = rows.shape[1]
    map_words = (words + 63) // 64
    for k in range(slots.shape[0]):
        at = starts[k] + map_words
        end = starts[k + 1]
        if at > end:
            return k
        row = rows[slots[k]]
        for word in range(words):
            bits = np.uint64(data[starts[k] + (word >> 6)])
            if (bits >> np.uint64(word & 63)) & np.uint64(1):
                if at >= end:
                    return k
                row[word] = data[at]
                at += 1
            else:
                row[word] = 0
        if at != end:
            return k
    return -1


def unpack(
    layout: Layout,
    blobs: Sequence[bytes],
    rows: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int64],
) -> None:
    """Read packed rows of this layout into `rows[slots]`, each slot wholly overwritten.

    Raises:
        LayoutError: A blob was written with another layout or is damaged; slots are then half filled.
    """
    data = bytearray()
    starts = np.zeros(len(blobs) + 1, dtype=np.int64)
    for k, blob in enumerate(blobs):
        if fingerprint_of(blob) != layout.fingerprint or len(blob) % 8:
            raise LayoutError("the row was written with another layout, or is damaged")
        data += blob[_FINGERPRINT_BYTES:]
        starts[k + 1] = len(data) // 8
    wrong = _unpack(np.frombuffer(data, dtype=np.int64), starts, rows, slots)
    if wrong >= 0:
        raise LayoutError(
            f"row {wrong} is damaged: its {len(blobs[wrong])} bytes do not fit its own bitmap"
        )


def migrate(old: Layout, new: Layout, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A row, or rows, in the new layout: columns of the same name and width are kept, others are empty.

    >>> old, new = Layout.of([("a", 1), ("b", 2)]), Layout.of([("b", 2), ("c", 1)])
    >>> migrate(old, new, np.arange(1, 9)).tolist()
    [2, 3, 0, 0, 0, 0, 0, 0]
    """
    moved = np.zeros((*rows.shape[:-1], new.words), dtype=np.int64)
    for name, (start, count) in new.columns.items():
        old_start, old_count = old.columns.get(name, (0, 0))
        if old_count == count:
            moved[..., start : start + count] = rows[..., old_start : old_start + old_count]
    return moved
