"""Alignment: the topics of one shard advance together in time.

Promise   Records leave in the order of (time, topic, position), as one sequential replay sorted by
          time would read them, whatever the chunks they arrived in; so a backlog decides the same
          as the live stream did. The order within a topic is always kept.
How       A k-way merge over what is buffered. A topic's time is a clock that never runs backwards:
          a record older than the one before it takes that one's time. Nothing overtakes a topic
          that is behind (the log holds more of it than we do): it may go no further than where that
          topic is known to be. A topic at its end holds nobody up.
Limits    LANE_RECORDS_MAX records and LANE_BYTES_MAX bytes a topic, then `full` asks for a pause:
          what one poll brings may come on top. A topic that is behind and silent is waited for while
          others' records keep coming, but no longer than STALL_MS_MAX, and WAIT_MS_MAX in which the
          log had nothing else to give. Then nobody waits for it until it speaks, and it comes late.
Not here  Asking a log what it holds, pausing it, and the clocks (feed.py, data_plane.py).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Final, Generic, TypeVar

import msgspec
import numpy as np

LANE_RECORDS_MAX: Final = 32_768  # two batches: one is worked on while the next arrives
LANE_BYTES_MAX: Final = 16 * 1024 * 1024  # two batches of events of half the largest allowed size
WAIT_MS_MAX: Final = 2_000  # a fetch takes milliseconds; a broker that fails over, about a second
STALL_MS_MAX: Final = (
    60_000  # in a backlog, fetched records of others may lie before it for seconds
)

_NUMPY_MIN: Final = 64  # from here on numpy sorts faster

Record = TypeVar("Record")


class Now(msgspec.Struct, frozen=True):
    """Two clocks that never run backwards; they only bound the waiting."""

    ms: int
    quiet_ms: int  # runs only while the log has nothing to give that it has not given


@dataclass(slots=True)
class Lane(Generic[Record]):
    """What is buffered of one topic, oldest first; the lists are of one length."""

    records: list[Record] = field(default_factory=list)
    times: list[int] = field(default_factory=list)  # by the topic's clock: never decreasing
    are_exact: bool = True  # the times are the records' own
    size_bytes: int = 0  # shared evenly among the records, so exact when empty
    clock: int | None = None  # of the newest record ever buffered; None before the first
    behind: bool = True  # the log holds, or may hold, more than is buffered
    silent_since: Now | None = None  # since when others wait for it
    given_up: bool = False  # waited for long enough


class Taken(msgspec.Struct, Generic[Record], frozen=True):
    """The next records in order, and by topic how many of them came from it, and the last of those."""

    records: list[Record]
    times: list[int]  # by the topics' clocks
    are_exact: bool  # these are the records' own times
    counts: list[int]
    lasts: dict[int, Record]


class Alignment(Generic[Record]):
    """The buffered records of one shard's topics, by topic index.

    >>> shard = Alignment[str](2)
    >>> shard.add(0, ["a", "c"], [10, 30], size_bytes=2)
    >>> shard.take(10, Now(0, 0)).records  # topic 1 may hold something older
    []
    >>> shard.add(1, ["b"], [20], size_bytes=1)
    >>> shard.take(10, Now(0, 0)).records
    ['a', 'b']
    >>> shard.reach(1, behind=False)
    >>> shard.take(10, Now(0, 0)).records  # nothing older can come
    ['c']
    """

    def __init__(self, topic_count: int, *, aligned: bool = True) -> None:
        if topic_count <= 0:
            raise ValueError(f"topic_count must be positive, got {topic_count}")
        self.aligned = aligned  # False: order of arrival; for the test that shows why not
        self.lanes = [Lane[Record]() for _ in range(topic_count)]
        self.buffered = 0  # records in all lanes
        self._arrivals = 0

    def add(
        self, topic: int, records: Sequence[Record], times_ms: Iterable[int], *, size_bytes: int
    ) -> None:
        """Buffer the next records of a topic, in its order, with their record times."""
        if not records:
            return
        lane = self.lanes[topic]
        if self.aligned:
            times = list(times_ms)
            clock = times[0] if lane.clock is None else lane.clock
            # Nearly always in order already, and sorting what is sorted is the fastest way to see it.
            if times[0] < clock or times != sorted(times):
                times = list(accumulate(times, max, initial=clock))[1:]
                lane.are_exact = False
            lane.times += times
        else:
            lane.times.extend(range(self._arrivals, self._arrivals + len(records)))
            lane.are_exact = False
        self._arrivals += len(records)
        lane.records.extend(records)
        assert len(lane.times) == len(lane.records), "a time for each record"
        lane.clock = lane.times[-1]
        lane.size_bytes += size_bytes
        lane.silent_since = None
        lane.given_up = False
        self.buffered += len(records)

    def reach(self, topic: int, *, behind: bool) -> None:
        """Say whether the log holds, or may hold, more of a topic than was added."""
        lane = self.lanes[topic]
        lane.behind = behind
        if not behind:
            lane.silent_since = None
            lane.given_up = False

    def full(self, topic: int) -> bool:
        """Whether the topic has run far ahead and is to be paused."""
        lane = self.lanes[topic]
        return len(lane.records) >= LANE_RECORDS_MAX or lane.size_bytes >= LANE_BYTES_MAX

    def drained(self, topic: int) -> bool:
        """Whether a paused topic has room again: half, so that it is not paused at every turn."""
        lane = self.lanes[topic]
        return len(lane.records) <= LANE_RECORDS_MAX // 2 and lane.size_bytes <= LANE_BYTES_MAX // 2

    def take(self, limit: int, now: Now) -> Taken[Record]:
        """Remove and return at most `limit` of the records whose turn is certain."""
        if not self.buffered:
            return Taken([], [], are_exact=True, counts=[0] * len(self.lanes), lasts={})
        counts = self._certain(limit, now)
        sources = [topic for topic, count in enumerate(counts) if count]
        if len(sources) == 1:
            lane, count = self.lanes[sources[0]], counts[sources[0]]
            records, times = lane.records[:count], lane.times[:count]
        else:
            records, times, counts = self._merged(counts, limit)
        lasts = {}
        are_exact = all(self.lanes[topic].are_exact for topic in sources)
        for topic in sources:
            if counts[topic]:  # the limit may have left nothing for it
                lasts[topic] = self.lanes[topic].records[counts[topic] - 1]
                self._drop(self.lanes[topic], counts[topic])
        self.buffered -= len(records)
        return Taken(records, times, are_exact, counts, lasts)

    def _certain(self, limit: int, now: Now) -> list[int]:
        """How many records of each topic, `limit` at most, nothing older can precede.

        What is still to come of a topic that is behind sorts after its (clock, topic); the smallest
        such pair is how far everyone may go.
        """
        horizon: tuple[int, int] | None = None
        if self.aligned:
            for topic, lane in enumerate(self.lanes):
                if not lane.behind or self._silent_too_long(lane, now):
                    continue
                if lane.clock is None:
                    return [0] * len(self.lanes)
                if horizon is None or (lane.clock, topic) < horizon:
                    horizon = (lane.clock, topic)
        if horizon is None:
            return [min(limit, len(lane.records)) for lane in self.lanes]
        time, last = horizon
        return [
            min(limit, (bisect_right if topic <= last else bisect_left)(lane.times, time))
            for topic, lane in enumerate(self.lanes)
        ]

    def _silent_too_long(self, lane: Lane[Record], now: Now) -> bool:
        if lane.records:
            return False
        since = lane.silent_since = lane.silent_since or now
        lane.given_up = (
            lane.given_up
            or now.quiet_ms - since.quiet_ms >= WAIT_MS_MAX
            or now.ms - since.ms >= STALL_MS_MAX
        )
        return lane.given_up

    def _merged(self, counts: list[int], limit: int) -> tuple[list[Record], list[int], list[int]]:
        """Merge the first `counts` records of the topics: the first `limit`, their times and counts.

        The sort is stable and sees the topics in their order, each already sorted: it merges runs,
        and ties stay in the order of the topics.
        """
        records: list[Record] = []
        times: list[int] = []
        for lane, count in zip(self.lanes, counts, strict=True):
            records += lane.records[:count]
            times += lane.times[:count]
        if len(times) >= _NUMPY_MIN:
            order = np.argsort(np.array(times, dtype=np.int64), kind="stable")[:limit].tolist()
        else:
            order = sorted(range(len(times)), key=times.__getitem__)[:limit]
        if len(order) < len(records):
            ends = list(accumulate(counts))
            cut = sorted(order)
            upto = [bisect_left(cut, end) for end in ends]
            counts = [end - start for start, end in pairwise([0, *upto])]
        return [records[index] for index in order], [times[index] for index in order], counts

    @staticmethod
    def _drop(lane: Lane[Record], count: int) -> None:
        lane.size_bytes -= lane.size_bytes * count // len(lane.records)
        del lane.records[:count]
        del lane.times[:count]
        if not lane.records:
            lane.are_exact = True
