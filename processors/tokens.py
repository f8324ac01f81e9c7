"""Tokens: where the texts, numbers and literals of JSON end, for kernels that read bytes.

Promise   What they take is what JSON allows (RFC 8259); what they do not take may be good all the same.
How       Taken is printable ASCII without escapes, and numbers whose value is exact by one division
          (Clinger, "How to read floating point numbers accurately", 1990, section 5).
Limits    DIGITS_MAX digits before the point, and as many in all.
Not here  What the tokens mean (scan.py).
"""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled

QUOTE, MINUS, ZERO, NINE = ord('"'), ord("-"), ord("0"), ord("9")
NULL: Final = ord("n")
_DOT, _SPACE = ord("."), ord(" ")
_EXACT: Final = 1 << 53
DIGITS_MAX: Final = 18  # fit an int64
assert 10**DIGITS_MAX < 2**63, "the digits must fit an int64"
POWERS: Final = np.array([10.0**k for k in range(DIGITS_MAX + 1)])  # exact up to 10^22

Bytes: TypeAlias = npt.NDArray[np.uint8]
Integers: TypeAlias = npt.NDArray[np.int64]


def _ends_of_text() -> Bytes:
    """1 for each byte at which a run of plain text ends: a quote, or what makes it not plain."""
    found = np.zeros(256, dtype=np.uint8)
    found[:0x20] = found[0x7F:] = found[QUOTE] = found[ord("\\")] = 1
    return found


_TEXT_ENDS: Final = _ends_of_text()
_LITERALS: Final = np.array(
    [[*each.ljust(5, b"\0")] for each in (b"null", b"true", b"false")], dtype=np.uint8
)


@compiled("i8(u1[::1], i8, i8)")
def skipped(data: Bytes, at: int, end: int) -> int:
    """The first byte from `at` on that is not white."""
    while at < end and data[at] <= _SPACE and data[at] in (9, 10, 13, 32):
        at += 1
    return at


@compiled("i8(u1[::1], i8, i8)")
def closing_quote(data: Bytes, at: int, end: int) -> int:
    """The quote that closes the text which begins at `at`; -1 where the text is not plain."""
    while at < end and not _TEXT_ENDS[data[at]]:
        at += 1
    return at if at < end and data[at] == QUOTE else -1


@compiled("b1(u1[::1], i8, i8, Array(u1, 1, 'C', True))")  # of a constant: it is read-only
def equals(data: Bytes, start: int, length: int, name: Bytes) -> bool:
    same = 0
    while same < length and data[start + same] == name[same]:
        same += 1
    return same == length


@compiled("i8(u1[::1], i8, i8, i8[::1])")
def number_end(data: Bytes, at: int, end: int, whole: Integers) -> int:
    """Where the number at `at` ends; -1 where it is none, or its value is not surely exact.

    `whole[0]` is the number without its point, and `whole[1]` how many digits come after it.
    """
    is_negative = data[at] == MINUS
    first = at + 1 if is_negative else at
    at = first
    digits = 0
    while at < end and ZERO <= data[at] <= NINE and at - first < DIGITS_MAX:
        digits = digits * 10 + int(data[at]) - ZERO
        at += 1
    if at == first or (data[first] == ZERO and at - first > 1):
        return -1
    after = 0
    if at < end and data[at] == _DOT:
        point = at
        at += 1
        while at < end and ZERO <= data[at] <= NINE and at - first <= DIGITS_MAX:
            digits = digits * 10 + int(data[at]) - ZERO
            at += 1
        after = at - point - 1
        if after == 0:
            return -1
    if digits > _EXACT or (is_negative and digits == 0):
        return -1
    if at < end and (data[at] in (43, 45, 46, 69, 101) or ZERO <= data[at] <= NINE):
        return -1  # an exponent, or more digits than are looked at
    whole[0] = -digits if is_negative else digits
    whole[1] = after
    return at


@compiled("i8(u1[::1], i8, i8)")
def literal_end(data: Bytes, at: int, end: int) -> int:
    """Where null, true or false at `at` ends; -1 where it is none of them."""
    for k in range(_LITERALS.shape[0]):
        length = 5 if _LITERALS[k, 4] else 4
        if at + length <= end and equals(data, at, length, _LITERALS[k]):
            return at + length
    return -1
