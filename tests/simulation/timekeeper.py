"""The timekeeper: who waits for a time at each state of Redis, and what has fired by then.

Promise   Goes back when Redis does. Knows of whom a fast clock has fired timers before their time: after a
          rollback, events that have come since may decide otherwise, and rightly.
Not here  What the rules mean (waiting.py). Looking at writes (witness.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.simulation.memory_commands import Data, Scores
from tests.simulation.waiting import Cause, Event, Waiting


@dataclass(slots=True)
class Timekeeper:
    now_ms: Callable[[], int] = lambda: 0
    """What the clock of the world says."""
    untils: dict[tuple[str, int], int] = field(default_factory=dict)
    """By what time who fires timers of a shard."""
    shards: dict[int, Waiting] = field(default_factory=dict)
    hasty: set[tuple[int, str]] = field(default_factory=set)
    """Shards and customers whose timers somebody has fired before their time."""
    _past: list[tuple[int, int, Waiting]] = field(default_factory=list)

    def committed(self, who: str, number: int, events: Sequence[Event], *, is_fired: bool) -> None:
        """A commit with these events, or with the timers that its owner has fired."""
        waiting = self.shards.setdefault(number, Waiting())
        for event in events:
            waiting.event(event)
        if is_fired:
            until_ms, now_ms = self.untils[who, number], self.now_ms()
            waiting.until(min(now_ms, until_ms))
            early = {name for name, due_ms in waiting.waits.items() if due_ms <= until_ms}
            self.hasty |= {(number, name) for name in early}
            waiting.until(until_ms)

    def keep(self, number: int, writes_count: int) -> None:
        """Note how it is after so many writes."""
        self._past.append((writes_count, number, self.shards[number].copy()))

    def went_back(self, writes_count: int) -> None:
        self._past = [each for each in self._past if each[0] <= writes_count]
        self.shards = {number: waiting.copy() for _, number, waiting in self._past}

    def causes(self, number: int) -> list[Cause]:
        return self.shards[number].causes if number in self.shards else []

    def waits(self, number: int) -> dict[str, int]:
        """Who waits, and until when."""
        return self.shards[number].waits if number in self.shards else {}

    def forgotten(self, data: Data, number: int) -> list[str]:
        """Who waits, and is not found by the index in time."""
        index = data.get(b"rapport:{%d}:timers" % number, Scores())
        assert isinstance(index, Scores), "the index is a sorted set"
        return [
            name
            for name, due_ms in self.waits(number).items()
            if index.get(name.encode(), float("inf")) > due_ms
        ]
