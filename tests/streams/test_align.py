"""Alignment: a backlog must decide the same as the live stream did."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.align import (
    LANE_BYTES_MAX,
    LANE_RECORDS_MAX,
    STALL_MS_MAX,
    WAIT_MS_MAX,
    Alignment,
    Now,
)

TIMES = st.lists(st.integers(0, 40), max_size=30)
LOGS = st.lists(TIMES, min_size=1, max_size=4)
START = Now(0, 0)


def quiet(ms: int) -> Now:
    """So long after the start, in which the log had nothing to give."""
    return Now(ms, ms)


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One record of a topic; the clock is its place in time by the definition below."""

    clock: int
    topic: int
    position: int


def by_definition(logs: list[list[int]]) -> list[Entry]:
    """All records sorted by (clock, topic, position); a topic's clock never runs backwards."""
    return sorted(
        Entry(clock, topic, position)
        for topic, times in enumerate(logs)
        for position, clock in enumerate(accumulate(times, max))
    )


class Reader:
    """Feeds an alignment from logs, a chunk at a time, saying truly which topics are behind."""

    def __init__(self, logs: list[list[int]], shard: Alignment[Entry]) -> None:
        self.logs = logs
        self.shard = shard
        self.read = [0] * len(logs)
        for topic in range(len(logs)):
            self.tell(topic)

    def chunk(self, topic: int, size: int) -> None:
        start = self.read[topic]
        times = self.logs[topic][start : start + size]
        clocks = list(accumulate(self.logs[topic], max))
        entries = [Entry(clocks[start + i], topic, start + i) for i in range(len(times))]
        self.shard.add(topic, entries, times, size_bytes=len(entries))
        self.read[topic] = start + len(entries)
        self.tell(topic)

    def tell(self, topic: int) -> None:
        self.shard.reach(topic, behind=self.read[topic] < len(self.logs[topic]))


@given(LOGS, st.data())
def test_the_order_is_that_of_a_sorted_replay_whatever_the_chunks(
    logs: list[list[int]], data: st.DataObject
) -> None:
    """Chunks depend on fetches and luck; if order did, then so would what customers receive."""
    shard = Alignment[Entry](len(logs))
    reader = Reader(logs, shard)
    out: list[Entry] = []
    while len(out) < sum(map(len, logs)):
        unread = [t for t, times in enumerate(logs) if reader.read[t] < len(times)]
        if unread:
            reader.chunk(data.draw(st.sampled_from(unread)), data.draw(st.integers(1, 7)))
        out += shard.take(data.draw(st.integers(1, 9)), START).records

    assert out == by_definition(logs)
    assert shard.buffered == 0


@given(LOGS, st.data())
def test_the_counts_say_how_far_each_topic_has_come(
    logs: list[list[int]], data: st.DataObject
) -> None:
    """The fence stores positions per topic; a wrong count loses or repeats records."""
    shard = Alignment[Entry](len(logs))
    reader = Reader(logs, shard)
    for topic, times in enumerate(logs):
        reader.chunk(topic, len(times))
    positions = [0] * len(logs)
    while shard.buffered:
        taken = shard.take(data.draw(st.integers(1, 9)), START)
        for topic, count in enumerate(taken.counts):
            mine = [entry.position for entry in taken.records if entry.topic == topic]
            assert mine == list(range(positions[topic], positions[topic] + count))
            last = taken.lasts.get(topic)
            assert ([] if last is None else [last.position]) == mine[-1:]
            positions[topic] += count

    assert positions == [len(times) for times in logs]


@given(LOGS)
def test_a_topic_that_stays_silent_delays_the_others_only_so_long(logs: list[list[int]]) -> None:
    """A log may promise records that never come: control records, a broker that is down."""
    shard = Alignment[Entry](len(logs) + 1)
    for topic, times in enumerate(logs):
        entries = [Entry(clock, topic, i) for i, clock in enumerate(accumulate(times, max))]
        shard.add(topic, entries, times, size_bytes=0)
        shard.reach(topic, behind=False)
    expected = by_definition(logs)

    assert shard.take(1_000, quiet(5)).records == []
    assert shard.take(1_000, quiet(4 + WAIT_MS_MAX)).records == []
    assert shard.take(1_000, quiet(5 + WAIT_MS_MAX)).records == expected


def test_a_topic_is_waited_for_longer_while_the_log_gives_others_records() -> None:
    """What was fetched first is given first: seconds of other records may lie before its own."""
    shard = Alignment[str](2)
    shard.add(0, ["a"], [10], size_bytes=0)
    assert shard.take(1, START).records == []
    assert shard.take(1, Now(STALL_MS_MAX - 1, WAIT_MS_MAX - 1)).records == []
    assert shard.take(1, Now(STALL_MS_MAX, WAIT_MS_MAX - 1)).records == ["a"]


def test_a_silent_topic_is_waited_for_again_once_it_has_spoken() -> None:
    """Giving up is for one silence, not for ever: the next backlog must be in order again."""
    shard = Alignment[str](2)
    shard.add(0, ["a"], [10], size_bytes=0)
    shard.take(1, START)
    shard.add(0, ["b"], [20], size_bytes=0)
    assert shard.take(1, quiet(WAIT_MS_MAX)).records == ["a"]

    shard.add(1, ["late"], [5], size_bytes=0)
    assert shard.take(9, quiet(WAIT_MS_MAX)).records == ["late"]
    assert shard.take(9, quiet(WAIT_MS_MAX)).records == []
    assert shard.take(9, quiet(2 * WAIT_MS_MAX)).records == ["b"]


def test_a_topic_at_its_end_is_not_waited_for() -> None:
    """In live operation most topics are quiet most of the time: each wait would be latency."""
    shard = Alignment[str](2)
    shard.reach(1, behind=False)
    shard.add(0, ["a"], [10], size_bytes=0)

    assert shard.take(1, START).records == ["a"]


def test_what_is_older_than_a_topic_known_to_be_further_need_not_wait_for_it() -> None:
    """Its next record cannot be older than its last, so waiting would gain nothing."""
    shard = Alignment[str](2)
    shard.add(0, ["a"], [10], size_bytes=0)
    shard.add(1, ["x"], [50], size_bytes=0)
    assert shard.take(9, START).records == ["a"]
    shard.reach(0, behind=False)
    assert shard.take(9, START).records == ["x"]

    shard.add(0, ["b", "c", "d"], [20, 50, 51], size_bytes=0)
    assert shard.take(9, START).records == ["b", "c"]


def test_a_topic_far_ahead_is_full_until_half_of_it_is_taken() -> None:
    """Otherwise one topic's backlog fills the memory while another is waited for."""
    shard = Alignment[int](2)
    shard.add(0, range(LANE_RECORDS_MAX - 1), [1] * (LANE_RECORDS_MAX - 1), size_bytes=0)
    assert not shard.full(0)
    shard.add(0, [0], [1], size_bytes=0)
    assert shard.full(0)
    assert not shard.full(1)

    shard.reach(1, behind=False)
    shard.take(LANE_RECORDS_MAX // 2 - 1, START)
    assert not shard.drained(0)
    shard.take(1, START)
    assert shard.drained(0)


def test_large_records_fill_a_topic_by_their_bytes() -> None:
    """A broker lets megabytes through; 8,192 of those would be the end of the worker."""
    shard = Alignment[int](1)
    shard.add(0, range(4), [1] * 4, size_bytes=LANE_BYTES_MAX)
    assert shard.full(0)

    shard.take(2, START)
    assert not shard.full(0)
    assert shard.drained(0)
    shard.reach(0, behind=False)
    shard.take(2, START)
    assert shard.lanes[0].size_bytes == 0


@pytest.mark.slow
@given(LOGS, st.data())
def test_a_reader_that_obeys_full_keeps_buffers_bounded_and_loses_nothing(
    logs: list[list[int]], data: st.DataObject
) -> None:
    """Pausing must never lead to a standstill: what is full always gets its turn."""
    times = [[time for time in log for _ in range(600)] for log in logs]
    shard = Alignment[Entry](len(logs))
    reader = Reader(times, shard)
    paused: set[int] = set()
    taken = 0
    for topic in turns(len(logs)):
        paused = {t for t in range(len(logs)) if shard.full(t)} | {
            t for t in paused if not shard.drained(t)
        }
        if topic not in paused:
            reader.chunk(topic, 4_096)
        taken += len(shard.take(data.draw(st.sampled_from([500, 4_096])), START).records)
        assert all(len(lane.records) < LANE_RECORDS_MAX + 4_096 for lane in shard.lanes)
        if taken == sum(map(len, times)):
            break

    assert shard.buffered == 0


def turns(topic_count: int) -> Iterator[int]:
    """Round robin, bounded: more turns than any of the examples needs."""
    return (turn % topic_count for turn in range(2_000 * topic_count))


def test_without_alignment_records_leave_as_they_arrived() -> None:
    """The switch is for the test that shows what alignment is for; it must really switch it off."""
    shard = Alignment[str](2, aligned=False)
    shard.add(1, ["late", "later"], [90, 95], size_bytes=0)
    shard.add(0, ["early"], [1], size_bytes=0)
    shard.add(1, ["last"], [99], size_bytes=0)

    assert shard.take(9, START).records == ["late", "later", "early", "last"]


def test_a_shard_has_at_least_one_topic() -> None:
    with pytest.raises(ValueError, match="topic_count"):
        Alignment[str](0)
