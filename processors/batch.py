"""The batch: records of one shard on their way into the step, and what could not go on.

Promise   The order of a batch is the order of folding; nothing in here knows which log it came from.
How       Parallel lists, because building one object a record costs more than decoding it.
Limits    RECORDS_MAX records a batch.
Not here  The order between topics (streams/align.py). Reading bytes (decode.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from processors.event import Event
from processors.spans import Columns

RECORDS_MAX: Final = 16_384  # bounds a batch: its memory, its time, and the size of one commit


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one record came from; made only for records that become dead letters."""

    topic: str
    partition: int
    position: str  # a Kafka offset, or the id of a Redis stream entry
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    at_ms: int  # record time


class Records(msgspec.Struct, frozen=True):
    """Records of one shard in folding order; the lists are of one length."""

    values: list[bytes | None]
    times_ms: list[int]  # record time: when it arrived in the log
    origin: Callable[[int], Origin]  # of the i-th record


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be folded, with what is needed to mend it and to send it again."""

    origin: Origin
    value: bytes | None
    reason: str  # a stable word: metrics and scripts count by it
    field: str  # the field at fault, or ""
    detail: str  # a sentence that says what was found and what is allowed
    at_byte: int | None  # where in the value, when the decoder knows


class Events(Protocol):
    """Events by number; some are decoded only when they are asked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Event: ...
    def __iter__(self) -> Iterator[Event]: ...


class Decoded(msgspec.Struct, frozen=True):
    """The events of a batch, the index of the record that each came from, and its customer."""

    events: Events
    indexes: list[int]
    customer_ids: list[str]
    dead: list[DeadLetter]
    columns: Columns | None = None  # of the events, where they were scanned; until the next batch
