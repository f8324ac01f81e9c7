"""Scanned fields: which field a key names and which kind a type is, for kernels that read bytes.

Promise   Exactly the fields of event.py, their limits, and its kinds.
How       A perfect hash of the fields' names, found at import; the bytes are compared. Limits are
          read from the types of event.py.
Limits    Names of fields are told apart by their length and two letters; found at import or never.
Not here  Walking over a record (scan.py).
"""

from collections.abc import Sequence
from itertools import product
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec import inspect

from processors.compiled import compiled
from processors.event import KINDS, NUMBER_FIELDS, Event
from processors.fault import SCALES
from processors.spans import SPANS
from processors.tokens import equals

# Numbers of the fields: first those that are texts, then numbers, then the rest.
_FIELDS: Final = (*SPANS, *NUMBER_FIELDS, "type", "at_ms", "attributes", "consent")
_CUSTOMER: Final = _FIELDS.index("customer_id")
_ACTION: Final = _FIELDS.index("action")
ID: Final = _FIELDS.index("id")
NUMBERS: Final = len(SPANS)  # the first of them
SCORE: Final = NUMBER_FIELDS.index("score")
AMOUNT: Final = NUMBER_FIELDS.index("amount")
TYPE: Final = _FIELDS.index("type")
AT_MS: Final = _FIELDS.index("at_ms")
REQUIRED: Final = 1 << _CUSTOMER | 1 << _ACTION | 1 << ID | 1 << TYPE | 1 << AT_MS
_UNKNOWN: Final = -1
ORDER: Final = KINDS.index("order")
SERVICE: Final = KINDS.index("service")
# A score in it is good for each of them.
ANY_SCALE: Final = (
    max(low for low, _ in SCALES.values()),
    min(high for _, high in SCALES.values()),
)


Bytes: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]


def _limits() -> tuple[Integers, Integers, Floats, Floats]:
    """Of each text the fewest and most characters, of each number the least and the largest."""
    texts, numbers = {}, {}
    event = inspect.type_info(Event)
    assert isinstance(event, inspect.StructType), "it is one"
    for field in event.fields:
        kinds = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        for kind in kinds:
            if isinstance(kind, inspect.StrType):
                texts[field.name] = (kind.min_length or 0, kind.max_length)
            elif isinstance(kind, inspect.FloatType):
                numbers[field.name] = (kind.ge, kind.le)
    least, most = np.array([texts[name] for name in SPANS], dtype=np.int64).T.copy()
    lows, highs = np.array([numbers[name] for name in NUMBER_FIELDS], dtype=np.float64).T.copy()
    return least, most, lows, highs


_PLACES: Final = 128


def _place(name: bytes, factors: Sequence[int]) -> int:
    """As `field_of` has it."""
    return (
        len(name) * factors[0] + name[len(name) // 2] * factors[1] + name[-1] * factors[2]
    ) % _PLACES


def _names() -> tuple[Integers, Integers, Bytes, Integers]:
    """Factors and places of a perfect hash of the fields' names, their bytes, and their lengths."""
    names = [name.encode() for name in _FIELDS]
    factors = next(
        each
        for each in product(range(1, 64), repeat=3)
        if len({_place(name, each) for name in names}) == len(names)
    )
    places = np.full(_PLACES, _UNKNOWN, dtype=np.int64)
    letters = np.zeros((len(names), max(map(len, names))), dtype=np.uint8)
    for number, name in enumerate(names):
        places[_place(name, factors)] = number
        letters[number, : len(name)] = np.frombuffer(name, dtype=np.uint8)
    return np.array(factors), places, letters, np.array([len(name) for name in names])


LEAST, MOST, LOWS, HIGHS = _limits()
_FACTORS, _AT, _LETTERS, _LENGTHS = _names()
_KIND_CHARS: Final = max(map(len, KINDS)) + 1  # a zero comes after each
_KINDS: Final = np.array(
    [[*kind.encode().ljust(_KIND_CHARS, b"\0")] for kind in KINDS], dtype=np.uint8
)


@compiled("i8(u1[::1], i8, i8)")
def field_of(data: Bytes, start: int, length: int) -> int:
    if length == 0:
        return _UNKNOWN
    hashed = length * _FACTORS[0] + data[start + length // 2] * _FACTORS[1]
    field = _AT[(hashed + data[start + length - 1] * _FACTORS[2]) & (_PLACES - 1)]
    if field < 0 or _LENGTHS[field] != length or not equals(data, start, length, _LETTERS[field]):
        return _UNKNOWN
    return int(field)


@compiled("i8(u1[::1], i8, i8)")
def kind_of(data: Bytes, start: int, length: int) -> int:
    for kind in range(_KINDS.shape[0]):
        if (
            length < _KINDS.shape[1]
            and _KINDS[kind, length] == 0
            and equals(data, start, length, _KINDS[kind])
        ):
            return kind
    return _UNKNOWN
