"""The holding: what a data plane has in hand of the shards that it owns.

Promise   A shard that is let go leaves nothing behind; what was read of it is nobody's, for the fence knows
          where to begin.
Not here  Which shards, and what is done with them: data_plane.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import KafkaError, Message

from processors.batch import RECORDS_MAX
from streams.errors import GapError, StoreError
from streams.feed import Feed
from streams.firing import is_due
from streams.flight import Flight
from streams.messages import offset_of, runs
from streams.ownership import HeldShard, LogConsumer
from streams.shard_status import ShardStatus, statuses_of

UNDER_WAY_MAX: Final = RECORDS_MAX // 2  # records folded and not committed: 3 KB each until then


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

    def sort_in(
        self, messages: list[Message], on_error: Callable[[int | None, KafkaError], None]
    ) -> None:
        """Sort what was polled into the feeds; read again what is missing, and pause what is full."""
        certain: dict[int, bool] = {}
        for number, topic, error, run in runs(messages):
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  librdkafka's name for it
                on_error(number, error)
            elif number is not None and topic is not None and number in self.feeds:
                feed = self.feeds[number]
                is_certain = (
                    feed.add(topic, run)
                    if error is None
                    else feed.at_end(topic, offset_of(run[-1]))
                )
                certain[number] = certain.get(number, True) and is_certain
        for number, is_certain in certain.items():
            if number in self.feeds:  # else an error behind it has cost us the shard
                if not is_certain:
                    self.feeds[number].read_again(self.consumer)
                self.feeds[number].regulate(self.consumer)

    def free(self) -> list[tuple[int, Feed]]:
        """The feeds of shards with no commit under way."""
        return [each for each in self.feeds.items() if each[0] not in self.flights]

    def due(self, wall_ms: int) -> list[tuple[int, Feed]]:
        """Those of them with timers that may be due by then."""
        return [each for each in self.free() if is_due(self.shards[each[0]], wall_ms)]

    def waiting(self) -> list[tuple[int, Flight]]:
        """The flights that cannot begin before their letters are there: in a millisecond or two."""
        return [each for each in self.flights.items() if each[1].is_waiting]

    def surplus(self) -> list[tuple[int, Flight]]:
        """The flights to land before more is folded: the oldest, never the newest, while there is much."""
        found = []
        records_count = sum(each.records_count for each in self.flights.values())
        for number, flight in list(self.flights.items())[:-1]:
            if records_count < UNDER_WAY_MAX:
                break
            if not flight.is_waiting:
                found.append((number, flight))
                records_count -= flight.records_count
        return found

    def wake(self) -> None:
        """Read on where reading was held back, and need not be any more."""
        for feed in self.feeds.values():
            feed.wake(self.consumer)

    def resting(self) -> dict[int, HeldShard]:
        """The shards that have nothing to fold."""
        return {n: self.shards[n] for n, each in self.feeds.items() if not each.alignment.buffered}

    def observe(self, wanted: frozenset[int], wall_ms: int, now_ms: int) -> tuple[ShardStatus, ...]:
        """How the wanted shards are; whoever has nothing to read makes progress."""
        lags = {number: feed.lag(self.consumer, wall_ms) for number, feed in self.feeds.items()}
        idle = [n for n, lag in lags.items() if not any(each.records for each in lag.values())]
        self.progress_ms.update(dict.fromkeys(idle, now_ms))
        return statuses_of(wanted, self.stopped, self.progress_ms, lags)

    def release(self, number: int) -> None:
        """Let go of one shard."""
        self.flights.pop(number, None)
        feed = self.feeds.pop(number, None)
        if feed is not None:
            self.consumer.incremental_unassign(feed.partitions)
        shard = self.shards.pop(number, None)
        if shard is not None:
            shard.close()

    def stop(self, number: int, error: StoreError | GapError) -> None:
        """Let go of a shard that only a person can mend."""
        self.release(number)
        self.stopped[number] = error

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
