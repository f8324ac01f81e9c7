"""Hashing: XXH64 of bytes that lie in an array, for kernels that never make them objects.

Promise   The same numbers as every other XXH64, on every machine (tested against the xxhash package).
How       github.com/Cyan4973/xxHash, doc/xxhash_spec.md, section "XXH64 algorithm description".
Limits    None on the length.
Not here  What is hashed: ids of events (scan.py), texts (text_table.py).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from processors.compiled import compiled

_P1: Final = np.uint64(0x9E3779B185EBCA87)
_P2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_P3: Final = np.uint64(0x165667B19E3779F9)
_P4: Final = np.uint64(0x85EBCA77C2B2AE63)
_P5: Final = np.uint64(0x27D4EB2F165667C5)
_STRIPE: Final = 32
_WORD: Final = 8
_HALF: Final = 4

Bytes = npt.NDArray[np.uint8]


@compiled("u8(u8, i8)")
def _turned(value: np.uint64, bits: int) -> np.uint64:
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@compiled("u8(u1[::1], i8, i8)")
def _little(data: Bytes, at: int, size: int) -> np.uint64:
    found = np.uint64(0)
    for k in range(size):
        found |= np.uint64(data[at + k]) << np.uint64(8 * k)
    return found


@compiled("u8(u1[::1], i8)")
def _word(data: Bytes, at: int) -> np.uint64:
    low = np.uint64(data[at]) | np.uint64(data[at + 1]) << np.uint64(8)
    low |= np.uint64(data[at + 2]) << np.uint64(16) | np.uint64(data[at + 3]) << np.uint64(24)
    high = np.uint64(data[at + 4]) | np.uint64(data[at + 5]) << np.uint64(8)
    high |= np.uint64(data[at + 6]) << np.uint64(16) | np.uint64(data[at + 7]) << np.uint64(24)
    return low | high << np.uint64(32)


@compiled("u8(u8, u8)")
def _round(lane: np.uint64, word: np.uint64) -> np.uint64:
    return _turned(lane + word * _P2, 31) * _P1


@compiled("u8(u8, u8)")
def _merged(found: np.uint64, lane: np.uint64) -> np.uint64:
    return (found ^ _round(np.uint64(0), lane)) * _P1 + _P4


@compiled("u8(u1[::1], i8, i8, u8)")
def _stripes(data: Bytes, at: int, end: int, seed: np.uint64) -> np.uint64:
    one, two, three, four = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
    while at + _STRIPE <= end:
        one = _round(one, _word(data, at))
        two = _round(two, _word(data, at + 8))
        three = _round(three, _word(data, at + 16))
        four = _round(four, _word(data, at + 24))
        at += _STRIPE
    found = _turned(one, 1) + _turned(two, 7) + _turned(three, 12) + _turned(four, 18)
    return _merged(_merged(_merged(_merged(found, one), two), three), four)


@compiled("u8(u1[::1], i8, i8, u8)")
def xxh64(data: Bytes, start: int, length: int, seed: np.uint64) -> np.uint64:
    """XXH64 of `data[start : start + length]`."""
    at, end = start, start + length
    if length >= _STRIPE:
        found = _stripes(data, at, end, seed)
        at += length // _STRIPE * _STRIPE
    else:
        found = seed + _P5
    found += np.uint64(length)
    while at + _WORD <= end:
        found = _turned(found ^ _round(np.uint64(0), _word(data, at)), 27) * _P1 + _P4
        at += _WORD
    if at + _HALF <= end:
        found = _turned(found ^ (_little(data, at, _HALF) * _P1), 23) * _P2 + _P3
        at += _HALF
    while at < end:
        found = _turned(found ^ (np.uint64(data[at]) * _P5), 11) * _P1
        at += 1
    found = (found ^ (found >> np.uint64(33))) * _P2
    found = (found ^ (found >> np.uint64(29))) * _P3
    return found ^ (found >> np.uint64(32))
