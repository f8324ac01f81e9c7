"""Columns: a batch of events as the registers that a plan asks for.

Promise   A test on a text field runs once per distinct text, whatever the number of events and tests.
How       Each text field has a dictionary text -> code and a matrix of answers, one row a code; filling
          a batch is a lookup an event and one copy of answers. Texts of scanned events are looked up
          where they stand (text_table.py), and only new ones become objects.
Limits    TEXTS_MAX distinct texts a field are remembered, or TEXTS_CHARS_MAX of characters; beyond that
          the memory starts afresh.
Not here  Which registers there are (plan.py). What events tell of customers (attributes.py).
"""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from xxhash import xxh64_intdigest

from processors.attributes import ToldColumns, text_code
from processors.batch import Events
from processors.compiled import compiled
from processors.event import KINDS, NUMBER_FIELDS, Event
from processors.register import ACTION, Asked
from processors.spans import SPANS, Columns
from processors.text_table import NOT_HERE, TextTable

TEXTS_MAX: Final = 65_536
TEXTS_CHARS_MAX: Final = 4_000_000  # of a field, all texts together
_NO_SEEDS: Final = np.zeros(0, dtype=np.int64)
_ACTION_SPAN: Final = SPANS.index("action")
_MISSING: Final = float("nan")

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
TextKey = str | tuple[str, str] | None


def id_hashes(events: Iterable[Event]) -> list[int]:
    """What is remembered of each event's id: 63 bits of a hash, never zero (scan.py has the same)."""
    return [(xxh64_intdigest(event.id.encode()) >> 1) or 1 for event in events]


@compiled("void(f8[:, ::1], i8[::1], f8[:, ::1], i8[::1], i8)")
def _copy_answers(
    registers: Floats, targets: Integers, answers: Floats, codes: Integers, count: int
) -> None:
    for k in range(targets.shape[0]):
        target = targets[k]
        for i in range(count):
            registers[target, i] = answers[codes[i], k]


class _Texts(dict[TextKey, int]):
    """One text field: what has been seen of it and the answers of every test."""

    def __init__(
        self, field: str, tests: list[tuple[Callable[[str | None], bool], int]], hashed: int | None
    ) -> None:
        super().__init__()
        both = attrgetter("type", "action") if field == ACTION else attrgetter(field)
        self.get_key: Callable[[Event], TextKey] = both
        self.span = SPANS.index("action" if field == ACTION else field)
        self.table = TextTable()  # some of the same, for texts that are no objects
        self.chars_count = 0
        self.tests = [passes for passes, _ in tests]
        self.hashed = hashed is not None
        targets = [number for _, number in tests] + ([] if hashed is None else [hashed])
        self.targets = np.array(targets, dtype=np.int64)
        self.answers = np.zeros((16, len(targets)), dtype=np.float64)

    def __missing__(self, key: TextKey) -> int:
        """Ask every test about a text that has not been seen before."""
        code = len(self)
        if code == len(self.answers):
            self.answers = np.concatenate([self.answers, np.zeros_like(self.answers)])
        text = ".".join(key) if isinstance(key, tuple) else key
        answers = [float(passes(text)) for passes in self.tests]
        if self.hashed:
            answers.append(float("nan") if text is None else text_code(text))
        self.answers[code] = answers
        self[key] = code
        self.chars_count += len(text or "")
        return code

    def forget(self) -> None:
        """Start afresh."""
        self.clear()
        self.table.clear()
        self.chars_count = 0

    def look_up(self, columns: Columns, events: Events, codes: Integers) -> None:
        """Fill in the codes of a scanned batch."""
        is_action = self.span == _ACTION_SPAN
        seeds = columns.kinds if is_action else _NO_SEEDS
        absent = 0 if is_action else self[None]  # an action is absent only where it is unusual
        if self.table.look_up(columns.data, columns.spans, self.span, seeds, absent, codes):
            fresh: dict[TextKey, int] = {}
            for index in np.flatnonzero(codes == NOT_HERE).tolist():
                text = columns.text_of(self.span, index)
                key = (KINDS[columns.kinds[index]], text) if is_action else text
                if key not in fresh:
                    fresh[key] = self[key]
                    seed = int(columns.kinds[index]) if is_action else 0
                    self.table.add(text.encode(), seed, fresh[key])
                codes[index] = fresh[key]
        for index in columns.unusual:
            codes[index] = self[self.get_key(events[index])]


class EventColumns:
    """Fills the event registers of one plan; remembers the texts that it has seen."""

    def __init__(self, asked: Asked) -> None:
        """Prepare for what was asked; see `PlanBuilder`."""
        self._numbers: list[tuple[str, Callable[[Event], Any], int]] = [
            (name, attrgetter(name), number) for name, number in asked.numbers.items()
        ]
        self._texts = [
            _Texts(name, asked.tests.get(name, []), asked.hashes.get(name))
            for name in dict.fromkeys([*asked.tests, *asked.hashes])
        ]
        self._told = ToldColumns(asked.told) if asked.told else None

    def fill(
        self, events: Events, registers: Floats, codes: Integers, columns: Columns | None = None
    ) -> None:
        """Write every event register for these events.

        Args:
            events: looked at where there are no columns, and those that are unusual.
            registers: shape (registers, at least the number of events).
            codes: scratch space of at least the number of events.
            columns: of the same events, where they were scanned.
        """
        count = len(events)
        for name, get, number in self._numbers:
            if columns is not None:
                registers[number, :count] = columns.numbers[:, NUMBER_FIELDS.index(name)]
            elif count == 1:
                value = get(events[0])
                registers[number, 0] = _MISSING if value is None else value
            else:
                # numpy reads None as NaN too, but at three times the price
                registers[number, :count] = [
                    _MISSING if (value := get(event)) is None else value for event in events
                ]
        for texts in self._texts:
            if len(texts) > TEXTS_MAX or texts.chars_count > TEXTS_CHARS_MAX:
                texts.forget()
            get_key = texts.get_key
            if columns is not None:
                texts.look_up(columns, events, codes[:count])
            elif count == 1:
                codes[0] = texts[get_key(events[0])]
            else:
                codes[:count] = [texts[get_key(event)] for event in events]
            _copy_answers(registers, texts.targets, texts.answers, codes, count)
        if self._told is not None:
            self._told.fill(events, registers, columns)
