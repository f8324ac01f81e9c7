"""The holding: what a data plane has in hand of the shards that it owns.

Promise   A shard that is let go leaves nothing behind; what was read of it is nobody's, for the fence knows
          where to begin.
Not here  Which shards, and what is done with them: data_plane.py.
"""

from dataclasses import dataclass, field

from streams.errors import GapError, StoreError
from streams.feed import Feed
from streams.flight import Flight
from streams.ownership import HeldShard, LogConsumer


@dataclass(frozen=True, slots=True)
class Holding:
    """By shard."""

    consumer: LogConsumer
    shards: dict[int, HeldShard] = field(default_factory=dict)  # claimed
    feeds: dict[int, Feed] = field(default_factory=dict)  # of those, the ones that read
    flights: dict[int, Flight] = field(
        default_factory=dict
    )  # of those, the ones with a commit under way
    stopped: dict[int, StoreError | GapError] = field(
        default_factory=dict
    )  # by what only a person can mend
    progress_ms: dict[int, int] = field(default_factory=dict)

    def release(self, number: int) -> None:
        """Let go of one shard."""
        self.flights.pop(number, None)
        feed = self.feeds.pop(number, None)
        if feed is not None:
            self.consumer.incremental_unassign(feed.partitions)
        shard = self.shards.pop(number, None)
        if shard is not None:
            shard.close()

    def drop(self) -> None:
        """Let go of all."""
        if self.feeds:
            self.consumer.unassign()
        for number in list(self.shards):
            self.shards.pop(number).close()
        self.flights.clear()
        self.feeds.clear()
        self.stopped.clear()
        self.progress_ms.clear()
