"""The feed: what one shard reads of its topics, from the consumer's messages to batches in order.

Promise   Each record of the shard's partitions is handed out once, in the order of alignment, from
          the positions at which the feed began; and with each batch the positions after it.
How       Messages stay librdkafka's own objects until their batch is cut (messages.py). A topic is
          behind while the broker is known to hold more of it than was read. Markers of transactions have
          offsets and are given to nobody; the client tells when it has come to the end, behind them.
Limits    Those of align.py a topic; a topic that fills its lane is paused until half is used.
Not here  Where to begin (beginnings.py). Owning the shard, committing (data_plane.py). Offsets that are
          missing (holes.py).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
from confluent_kafka import OFFSET_END, KafkaException, Message, TopicPartition

from processors.batch import Records
from streams.align import Alignment, Now
from streams.holes import Holes
from streams.messages import offset_of, records_of, times_of
from streams.offsets import Offsets, offsets_of

ASK_SECONDS_MAX: Final = 0.2  # an answer takes milliseconds; without one the timers of a shard wait

SILENT_LOOKS_MAX: Final = 30  # as long as a thread may be silent before its worker counts as stuck

logger = logging.getLogger(__name__)


class Partitions(Offsets, Protocol):
    """The part of a librdkafka consumer that a feed uses; tests have another."""

    def get_watermark_offsets(
        self, partition: TopicPartition, *, cached: bool = False
    ) -> tuple[int, int]: ...
    def pause(self, partitions: list[TopicPartition]) -> None: ...
    def resume(self, partitions: list[TopicPartition]) -> None: ...
    def incremental_assign(self, partitions: list[TopicPartition]) -> None: ...
    def incremental_unassign(self, partitions: list[TopicPartition]) -> None: ...


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where to begin in one partition, and where it ended when we asked."""

    topic: str
    position: int
    end: int


class Batch(msgspec.Struct, frozen=True):
    """Records to fold, and the position after them in every topic."""

    records: Records
    positions: dict[str, int]

    @property
    def offsets(self) -> dict[str, str]:
        """The positions as the fence keeps them."""
        return {topic: str(position) for topic, position in self.positions.items()}


@dataclass(frozen=True, slots=True)
class Lag:
    """What of one partition waits: records, and the age of the oldest that has been fetched."""

    records: int
    age_ms: int


class Feed:
    """The reading side of one owned shard."""

    def __init__(
        self, number: int, beginnings: Sequence[Beginning], *, aligned: bool = True
    ) -> None:
        """Begin. `beginnings` has one entry a topic, in the order in which ties are broken."""
        self.number = number
        self.topics = {each.topic: index for index, each in enumerate(beginnings)}
        self.partitions = [TopicPartition(each.topic, number, each.position) for each in beginnings]
        self.positions = {each.topic: each.position for each in beginnings}  # handed out up to here
        self.alignment = Alignment[Message](len(beginnings), aligned=aligned)
        self._read = [each.position for each in beginnings]  # buffered up to here
        self._ends = [each.end for each in beginnings]
        self._paused: set[int] = set()
        self._holes = [Holes(f"{each.topic} {number}") for each in beginnings]
        self._missed = [0] * len(beginnings)  # records waited for in vain, as was told last
        self._silent = [0] * len(beginnings)  # looks since the topic was given or assigned last
        self._mark: tuple[int, list[int]] | None = None  # a time, and what the log held by then
        self._reached_ms = 0  # all that the log held by then is handed out

    def add(self, topic: str, messages: Sequence[Message]) -> bool:
        """Buffer messages of one partition, as they come from the consumer.

        Returns:
            False: offsets are missing; `read_again` once all that was polled is added.
        """
        index = self.topics[topic]
        holes = self._holes[index]
        messages, self._read[index] = holes.believed(self._read[index], messages)
        if messages:
            self._silent[index] = self._missed[index] = 0
            size_bytes = sum(map(len, messages))
            self.alignment.add(index, messages, times_of(messages), size_bytes=size_bytes)
        return not holes.is_in_doubt

    def at_end(self, topic: str, end: int) -> bool:
        """Learn that the client has come to the end of one partition: up to there it gives no more.

        Returns:
            False: offsets before the end are missing; `read_again` once all that was polled is added.
        """
        index = self.topics[topic]
        self._read[index] = self._holes[index].passed(self._read[index], end)
        return not self._holes[index].is_in_doubt

    def read_again(self, consumer: Partitions) -> None:
        """Read the partitions again from where offsets are missing."""
        for index, holes in enumerate(self._holes):
            if holes.is_in_doubt:
                holes.read_again()
                self._reassign(consumer, index, self._read[index])

    def batch(self, consumer: Partitions, limit: int, now: Now) -> Batch | None:
        """The next records whose turn is certain, or None.

        Topics that have run far ahead are then paused, and those with room go on.
        """
        if not self.alignment.buffered:
            return None
        self._look(consumer)
        taken = self.alignment.take(limit, now)
        self.regulate(consumer)
        self._tell_missed()
        if not taken.records:
            return None
        lasts = {self.partitions[n].topic: offset_of(last) + 1 for n, last in taken.lasts.items()}
        self.positions = {**self.positions, **lasts}
        self.positions = {topic: self._handed_out(index) for topic, index in self.topics.items()}
        times_ms = taken.times if taken.are_exact else times_of(taken.records)
        return Batch(records_of(taken.records, times_ms), self.positions)

    def _look(self, consumer: Partitions) -> None:
        """Learn how far the log goes, from what the last fetches said: no request is made."""
        for index, partition in enumerate(self.partitions):
            end = max(self._ends[index], consumer.get_watermark_offsets(partition, cached=True)[1])
            self._ends[index] = end
            self.alignment.reach(index, behind=self._read[index] < end)

    def _tell_missed(self) -> None:
        """Tell of a topic that was waited for in vain."""
        for index, lane in enumerate(self.alignment.lanes):
            missed = self._ends[index] - self._read[index]
            if lane.given_up and missed != self._missed[index]:
                self._missed[index] = missed
                logger.warning(
                    "%s %d is said to hold %d records more, and does not give them; going on",
                    self.partitions[index].topic,
                    self.number,
                    missed,
                )

    def regulate(self, consumer: Partitions) -> None:
        """Pause the topics that have run far ahead, and let those with room again go on."""
        for index, partition in enumerate(self.partitions):
            if index in self._paused:
                if self.alignment.drained(index):
                    self._paused.remove(index)
                    consumer.resume([partition])
            elif self.alignment.full(index):
                self._paused.add(index)
                consumer.pause([partition])

    def wake(self, consumer: Partitions) -> None:
        """Assign anew, from where we are, what was silent at so many looks; to be called each second.

        librdkafka may forget to fetch a partition whose broker was away (its issue 5153). What it knows
        of the partition's end is then old too: without this, nobody would ever find out.
        """
        for index in range(len(self.partitions)):
            self._silent[index] += 1
            if self._silent[index] >= SILENT_LOOKS_MAX and index not in self._paused:
                self._silent[index] = 0
                self._reassign(consumer, index, self._read[index])

    def begin(self, consumer: Partitions) -> None:
        """Let the consumer read the partitions."""
        _assign(consumer, self.partitions)

    def _reassign(self, consumer: Partitions, index: int, position: int) -> None:
        partition = self.partitions[index]
        self._paused.discard(index)
        consumer.incremental_unassign([partition])
        _assign(consumer, [TopicPartition(partition.topic, self.number, position)])

    def reached_ms(self, consumer: Partitions, wall_ms: int) -> int:
        """The newest time by the wall clock for which it holds: what the log had by then is handed out.

        The broker is asked what the log holds. What the last fetch has told is old where nothing could be
        fetched: 1. we are frozen; 2. an event comes that takes a timer back; 3. the timer's time comes; 4. we
        go on before the fetch does. Where records come all the time, some are always on their way. So the
        answer is a mark: once it is handed out, the time of the mark is reached, whatever came since.

        Args:
            consumer: who asks; for ASK_SECONDS_MAX at most.
            wall_ms: now, or a moment ago, but no later than when this is called.
        """
        for _ in range(2):  # a mark of before may be passed, and then another one is needed
            if self._mark is None and self._reached_ms < wall_ms:
                held = self._held(consumer)
                self._mark = None if held is None else (wall_ms, held)
            if self._mark is None or not self._is_handed_out(self._mark[1]):
                break
            self._reached_ms, self._mark = self._mark[0], None
        return min(self._reached_ms, wall_ms)

    def _held(self, consumer: Partitions) -> list[int] | None:
        """Where the topics end now; None: the broker does not say."""
        places = [(topic, self.number) for topic in self.topics]
        try:
            found = offsets_of(consumer, places, OFFSET_END, ASK_SECONDS_MAX)
        except KafkaException:  # it is asked again
            return None
        if len(found) < len(places):
            return None
        self._ends = [
            found[each] for each in places
        ]  # less than before where a topic was made anew
        return [max(each) for each in zip(self._ends, self._read, strict=True)]

    def _handed_out(self, index: int) -> int:
        """Up to where a topic is handed out: all that was read, where nothing of it waits."""
        waits = self.alignment.lanes[index].records
        return self.positions[self.partitions[index].topic] if waits else self._read[index]

    def _is_handed_out(self, held: Sequence[int]) -> bool:
        return all(self._handed_out(index) >= end for index, end in enumerate(held))

    def lag(self, consumer: Partitions, now_ms: int) -> dict[str, Lag]:
        """How far each topic is behind; `now_ms` is wall time."""
        self._look(consumer)
        found = {}
        for topic, index in self.topics.items():
            records = max(self._ends[index], self._read[index]) - self._handed_out(index)
            waiting = self.alignment.lanes[index].records
            oldest_ms = waiting[0].timestamp()[1] if waiting else now_ms
            found[topic] = Lag(records, max(0, now_ms - oldest_ms))
        return found


def _assign(consumer: Partitions, partitions: list[TopicPartition]) -> None:
    """Let the consumer read partitions, whatever was done with them before.

    librdkafka keeps a pause over unassigning and assigning, whichever way it is done (measured, 2.16).
    """
    consumer.incremental_assign(partitions)
    consumer.resume(partitions)
