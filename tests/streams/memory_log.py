"""A log in memory, with the part of a librdkafka consumer that the data plane uses.

It keeps to what was seen of the real one: nothing is fetched of a paused partition, a pause outlives
whatever is assigned, an offset that is not there gives one error message and then silence, the known end
is that of the last fetch, and where a fetch brings nothing the end is told, once.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_CREATE_TIME,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

UNKNOWN = -1001

Place = tuple[str, int]


@dataclass
class MemoryLog:
    """Topics and partitions; `chunk` bounds what one poll brings of one partition."""

    records: dict[Place, list[tuple[bytes, int]]] = field(default_factory=lambda: defaultdict(list))
    firsts: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    holes: set[tuple[str, int, int]] = field(default_factory=set)  # topic, partition, offset

    def append(self, topic: str, number: int, value: bytes, at_ms: int) -> None:
        self.records[topic, number].append((value, at_ms))

    def there(self, place: Place, start: int, end: int, most: int) -> list[int]:
        """The first offsets between these two that are records."""
        every = range(start, end) if self.holes else range(start, min(end, start + most))
        return [each for each in every if (*place, each) not in self.holes][:most]

    def message(self, place: Place, offset: int) -> Message:
        value, at_ms = self.records[place][offset]
        return Message(
            topic=place[0],
            partition=place[1],
            offset=offset,
            key=b"key",
            value=value,
            headers=[("h", b"1")],
            timestamp=(TIMESTAMP_CREATE_TIME, at_ms),
        )


class MemoryConsumer:
    """Reads a MemoryLog. `chunk` records of a partition a poll at most."""

    def __init__(self, log: MemoryLog, chunk: int = 1_000) -> None:
        self.log = log
        self.chunk = chunk
        self.positions: dict[Place, int] = {}
        self.paused: set[Place] = set()
        self.seen_ends: dict[Place, int] = {}
        self.told_ends: dict[Place, int] = {}
        self.left_out: set[tuple[str, int, int]] = set()  # as librdkafka did: not given, once
        self.assigned_count = 0
        self.silent: set[Place] = set()  # their broker gives nothing
        self.is_down = False
        self.is_closed = False

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
        assert timeout >= 0, "waiting for ever would never see a new target"
        found: list[Message] = []
        for place, position in list(self.positions.items()):
            if place in self.paused | self.silent or self.is_down or position == UNKNOWN:
                continue
            end = len(self.log.records[place])
            self.seen_ends[place] = end
            if not self.log.firsts[place] <= position <= end:
                error = KafkaError(KafkaError._AUTO_OFFSET_RESET)
                found.append(Message(topic=place[0], partition=place[1], error=error))
                self.positions[place] = UNKNOWN
                continue
            room = min(self.chunk, num_messages - len(found))
            if room and position == end != self.told_ends.get(place):
                self.told_ends[place] = end
                error = KafkaError(KafkaError._PARTITION_EOF)
                found.append(Message(topic=place[0], partition=place[1], offset=end, error=error))
                continue
            there = self.log.there(place, position, end, room)
            for offset in there:
                if (*place, offset) in self.left_out:
                    self.left_out.remove((*place, offset))
                else:
                    found.append(self.log.message(place, offset))
            if room:
                self.positions[place] = there[-1] + 1 if there else end
        return found

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        for each in partitions:
            assert (each.topic, each.partition) not in self.positions, "assigned twice"
            self.positions[each.topic, each.partition] = each.offset
            self.told_ends.pop((each.topic, each.partition), None)
            self.assigned_count += 1

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        for each in partitions:
            del self.positions[each.topic, each.partition]

    def unassign(self) -> None:
        self.positions.clear()

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused |= {(each.topic, each.partition) for each in partitions}

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused -= {(each.topic, each.partition) for each in partitions}

    def get_watermark_offsets(
        self, partition: TopicPartition, *, cached: bool = False
    ) -> tuple[int, int]:
        assert cached, "asking the broker would block the thread"
        end = self.seen_ends.get((partition.topic, partition.partition), UNKNOWN)
        return (UNKNOWN, end)

    def offsets_for_times(
        self, partitions: list[TopicPartition], timeout: float = -1
    ) -> list[TopicPartition]:
        assert timeout >= 0, "waiting for ever would never see a new target"
        if self.is_down:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return [
            TopicPartition(
                each.topic,
                each.partition,
                self.log.firsts[each.topic, each.partition]
                if each.offset == OFFSET_BEGINNING
                else max(
                    len(self.log.records[each.topic, each.partition]),
                    self.seen_ends.get((each.topic, each.partition), 0),
                ),
            )
            for each in partitions
        ]

    def close(self) -> None:
        self.is_closed = True
