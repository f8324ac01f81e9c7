"""The reader: records of a batch to its events, in columns where there are many.

Promise   What `decode` would say of the same records: the same events in the same order, the same dead
          letters, and columns that hold exactly what the events have.
How       Many records are scanned (scan.py), and an event is made only when somebody asks for it; those
          that are not plain, and few records, are decoded one by one.
Limits    RECORDS_MAX records; columns are valid until the next batch is read.
Not here  What is plain (scan.py), what is refused (decode.py).
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from processors.batch import DeadLetter, Decoded, Origin, Records
from processors.columns import id_hashes
from processors.decode import decode
from processors.event import EVENTS, KINDS, NUMBER_FIELDS, Event
from processors.scan import Scan
from processors.spans import Columns

SCANNED_MIN: Final = 16  # below it, the calls cost more than they save


class _Later:
    """Events of scanned records, each decoded when it is asked for."""

    def __init__(
        self, values: Sequence[bytes | None], indexes: Sequence[int], known: dict[int, Event]
    ) -> None:
        """Take the records, those of them that are events, and those that are decoded, by record."""
        self._values = values
        self._indexes = indexes
        self._known = known

    def __len__(self) -> int:
        return len(self._indexes)

    def __getitem__(self, index: int, /) -> Event:
        record = self._indexes[index]
        event = self._known.get(record)
        if event is None:
            event = self._known[record] = EVENTS.decode(self._values[record] or b"")
        return event

    def __iter__(self) -> Iterator[Event]:
        return (self[index] for index in range(len(self._indexes)))


class Reader:
    """Reads one batch after another; one thread at a time."""

    def __init__(self) -> None:
        """Make room for the columns."""
        self._scan = Scan()

    def read(self, records: Records) -> Decoded:
        """The events of a batch, with columns where there are many."""
        if len(records.values) < SCANNED_MIN:
            return decode(records)
        columns = self._scan.read(records.values, records.times_ms)
        if not columns.unusual:
            indexes = list(range(len(records.values)))
            events = _Later(records.values, indexes, {})
            return Decoded(events, indexes, columns.texts("customer_id"), [], columns)
        return _with_unusual(records, columns)


def _with_unusual(records: Records, columns: Columns) -> Decoded:
    """The same where some records are to be decoded one by one."""
    unusual = columns.unusual

    def origin(index: int) -> Origin:
        return records.origin(unusual[index])

    chosen = Records(
        [records.values[index] for index in unusual],
        [records.times_ms[index] for index in unusual],
        origin,
    )
    found = decode(chosen)
    known = {
        unusual[index]: event for index, event in zip(found.indexes, found.events, strict=True)
    }
    customer_ids = columns.texts("customer_id")
    for index, event in known.items():
        _fill(columns, index, event)
        customer_ids[index] = event.customer_id
    indexes = list(range(len(records.values)))
    dead: list[DeadLetter] = found.dead
    if dead:
        refused = frozenset(unusual) - known.keys()
        indexes = [index for index in indexes if index not in refused]
        columns = columns.chosen(np.array(indexes, dtype=np.int64))
        customer_ids = [customer_ids[index] for index in indexes]
    left = [position for position, index in enumerate(indexes) if index in known]
    return Decoded(
        _Later(records.values, indexes, known), indexes, customer_ids, dead, columns.left(left)
    )


def _fill(columns: Columns, index: int, event: Event) -> None:
    columns.kinds[index] = KINDS.index(event.type)
    columns.at_ms[index] = event.at_ms
    columns.id_hashes[index] = id_hashes([event])[0]
    for number, name in enumerate(NUMBER_FIELDS):
        value = getattr(event, name)
        columns.numbers[index, number] = np.nan if value is None else value
