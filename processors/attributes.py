"""Attributes: what a customer's events tell of the customer, as registers of the event.

Promise   A register holds what this event tells: an attribute's number, the code of its text, or whether
          consent was given; missing where the event does not tell, or is not of the kind `customer`.
          What was told last is kept by aggregates (plan.py).
How       Told in an object, such an event is never plain, so only those that the scan has left to the
          decoder are looked at; and none where no rule asks.
Limits    Codes of texts have CODE_BITS bits: two of a million texts share one with a chance of 1 in 9,000.
Not here  Which registers there are (plan.py). Time zones (zones.py). Limits of the fields (event.py).
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from processors.batch import Events
from processors.event import Event
from processors.register import Told
from processors.spans import Columns

CODE_BITS: Final = 52  # exact in a float64
_KIND: Final = "customer"
_MISSING: Final = float("nan")

Floats = npt.NDArray[np.float64]


def text_code(text: str) -> float:
    """The number that stands for a text: a hash of CODE_BITS bits, never 0, the same on every machine.

    >>> text_code("shoes") == text_code("shoes") != text_code("hats")
    True
    """
    return float((xxh3_64_intdigest(text.encode()) & ((1 << CODE_BITS) - 1)) or 1)


def _number(event: Event, name: str) -> float:
    value = event.attributes.get(name) if event.attributes else None
    return float(value) if isinstance(value, int | float) else _MISSING  # True is an int, and 1.0


def _text(event: Event, name: str) -> float:
    value = event.attributes.get(name) if event.attributes else None
    return text_code(value) if isinstance(value, str) else _MISSING


def _consent(event: Event, channel: str) -> float:
    value = event.consent.get(channel) if event.consent else None
    return _MISSING if value is None else float(value)


_READ: Final[Mapping[Told, Callable[[Event, str], float]]] = {
    Told.NUMBER: _number,
    Told.TEXT: _text,
    Told.CONSENT: _consent,
}


class ToldColumns:
    """Fills the registers of what events tell of their customers."""

    def __init__(self, told: Mapping[tuple[Told, str], int]) -> None:
        """Prepare for what was asked, by register."""
        self._asked = [(_READ[what], name, number) for (what, name), number in told.items()]
        self._targets = np.array(list(told.values()), dtype=np.int64)

    def fill(self, events: Events, registers: Floats, columns: Columns | None) -> None:
        """Write them for these events; `columns` as for `EventColumns.fill`."""
        count = len(events)
        registers[self._targets, :count] = _MISSING
        for index in range(count) if columns is None else columns.unusual:
            event = events[index]
            if event.type == _KIND and (event.attributes or event.consent):
                for read, name, number in self._asked:
                    registers[number, index] = read(event, name)
