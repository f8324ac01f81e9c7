"""Appenders in memory, which break off, refuse, or are full for a while."""

from collections.abc import Sequence

from processors.event import Event
from streams.appender import AppendError, Refused
from streams.errors import LogFullError


class MemoryAppender:
    """Keeps what it is given, and breaks off when told to."""

    def __init__(self, breaks_after: int | None = None, refuses: str = "") -> None:
        self.events: list[Event] = []
        self.sizes: list[tuple[int, int]] = []
        self.breaks_after = breaks_after
        self.refuses = refuses

    async def append(self, records: Sequence[tuple[Event, bytes]]) -> Sequence[Refused]:
        if self.breaks_after is not None and len(self.sizes) >= self.breaks_after:
            raise AppendError("gone")
        self.sizes.append((len(records), sum(len(value) for _, value in records)))
        self.events += [event for event, _ in records if event.id != self.refuses]
        return [
            Refused(index, "full", "the shelf is full")
            for index, (event, _) in enumerate(records)
            if event.id == self.refuses
        ]


class FullAppender(MemoryAppender):
    """Is full for a while."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def append(self, records: Sequence[tuple[Event, bytes]]) -> Sequence[Refused]:
        self.times -= 1
        if self.times >= 0:
            raise LogFullError(0, 250_000)
        return await super().append(records)
