"""Offsets that are missing: a record that the client leaves out is read, a hole of the log is passed over."""

import random
from collections.abc import Iterable

import pytest

from streams.align import LANE_RECORDS_MAX
from streams.feed import SILENT_LOOKS_MAX
from streams.holes import MARKERS_MAX
from streams.ownership import Target
from tests.streams.plane_bench import TOPICS, Bench, filled

TOPIC = TOPICS[0]


def bench_of(count: int, *, holes: Iterable[int] = (), chunk: int = 1_000) -> Bench:
    """One shard with so many records in one topic, some of them no records."""
    bench = Bench(filled(*((TOPIC, 0, at_ms) for at_ms in range(count))), chunk=chunk)
    bench.log.holes |= {(TOPIC, 0, offset) for offset in holes}
    bench.plane.aim(Target(1, frozenset({0})))
    return bench


def told(offsets: Iterable[int]) -> list[bytes]:
    return [f"{TOPIC} {each}".encode() for each in offsets]


@pytest.mark.parametrize("left_out", [[0], [3], [9], [3, 4, 5], [2, 7]])
@pytest.mark.parametrize("chunk", [1, 4, 1_000])
def test_what_the_client_leaves_out_is_read_all_the_same(left_out: list[int], chunk: int) -> None:
    """The fence would pass it by, and nobody would ever know."""
    bench = bench_of(10, chunk=chunk)
    bench.consumer.left_out |= {(TOPIC, 0, offset) for offset in left_out}
    bench.log.append(TOPIC, 0, f"{TOPIC} 10".encode(), 10)  # a hole is seen by what comes after it
    bench.turn(30)

    assert bench.store.folded[0] == told(range(11))


def test_a_hole_of_the_log_is_passed_over_when_it_comes_twice() -> None:
    """Who reads a compacted topic, or one with a transaction that was given up."""
    holes = range(3, 40)
    bench = bench_of(50, holes=holes)
    bench.turn(5)

    assert bench.store.folded[0] == told(each for each in range(50) if each not in holes)
    assert bench.consumer.assigned_count == len(TOPICS) + 1


def test_markers_of_transactions_cost_one_second_reading_and_no_more() -> None:
    """A producer with transactions leaves a marker each few records."""
    holes = range(4, 1_000, 5)
    bench = bench_of(1_000, holes=holes, chunk=7)
    bench.turn(300)

    assert bench.store.folded[0] == told(each for each in range(1_000) if each not in holes)
    assert bench.consumer.assigned_count == len(TOPICS) + 1


def test_a_hole_too_large_for_markers_is_doubted_also_where_there_are_transactions() -> None:
    """What is taken for a marker is lost, so not everything may be."""
    bench = bench_of(100, holes=[4])
    bench.consumer.left_out |= {(TOPIC, 0, 20 + each) for each in range(MARKERS_MAX + 1)}
    bench.turn(10)

    assert bench.store.folded[0] == told(each for each in range(100) if each != 4)


def test_other_partitions_of_the_same_poll_are_not_read_again() -> None:
    """A transaction spans topics; each has holes of its own."""
    bench = Bench(filled(*((topic, 0, at_ms) for topic in TOPICS for at_ms in range(10))))
    bench.consumer.left_out |= {(TOPICS[0], 0, 2), (TOPICS[2], 0, 5)}
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn(10)

    assert sorted(bench.store.folded[0]) == sorted(
        f"{topic} {at_ms}".encode() for topic in TOPICS for at_ms in range(10)
    )
    assert bench.consumer.assigned_count == len(TOPICS) + 2


def test_a_lane_that_is_full_is_paused_again_when_its_partition_is_read_again() -> None:
    """Assigned anew it is not paused any more, and the memory has a bound."""
    count, chunk = LANE_RECORDS_MAX + 1_000, 500
    bench = bench_of(count, chunk=chunk)
    bench.consumer.left_out.add((TOPIC, 0, LANE_RECORDS_MAX + 5))
    bench.store.full.add(0)
    bench.turn(200)
    waiting = bench.plane._feeds[0].alignment.buffered
    assert bench.consumer.paused == {(TOPIC, 0)}
    bench.store.full.clear()
    bench.turn(30)

    assert LANE_RECORDS_MAX <= waiting < LANE_RECORDS_MAX + chunk
    assert bench.store.folded[0] == told(range(count))


@pytest.mark.parametrize("way", ["another target", "lost", "read again", "silent"])
def test_a_partition_that_was_paused_is_read_when_it_is_assigned_anew(way: str) -> None:
    """Librdkafka keeps the pause over unassigning and assigning: it would never be read again."""
    bench = bench_of(LANE_RECORDS_MAX + 1_000)
    bench.store.full.add(0)
    bench.turn(100)
    assert bench.consumer.paused == {(TOPIC, 0)}
    feed = bench.plane._feeds[0]
    if way == "another target":
        bench.plane.aim(Target(2, frozenset({0})))
    elif way == "lost":
        bench.plane._lose(0)
    elif way == "read again":
        feed._holes[0].is_in_doubt = True
        feed.read_again(bench.consumer)
    else:
        feed._paused.clear()
        feed._silent = [SILENT_LOOKS_MAX] * len(TOPICS)
        feed.wake(bench.consumer)
    bench.now_ms += 60_000
    bench.store.full.clear()
    bench.turn(100)

    assert bench.store.folded[0] == told(range(LANE_RECORDS_MAX + 1_000))


def test_markers_at_the_end_are_passed_over_and_the_fence_goes_with_them() -> None:
    """The log may drop them: they are no gap, and nobody is to be asked to accept it."""
    bench = bench_of(1)
    bench.log.holes |= {(TOPIC, 0, 1)}
    bench.log.append(TOPIC, 0, b"a marker", 1)
    bench.turn(10)
    bench.log.append(TOPICS[1], 0, b"an order", 2)
    bench.turn(2)
    assert bench.store.fences[0][TOPIC] == "2"

    bench.log.firsts[TOPIC, 0] = 2
    bench.log.append(TOPIC, 0, b"one more", 3)
    bench.plane.aim(Target(2, frozenset({0})))
    bench.turn(5)

    assert bench.plane._holding.stopped == {}
    assert bench.store.folded[0] == [*told([0]), b"an order", b"one more"]


def test_what_is_left_out_at_the_end_is_read_before_the_end_is_believed() -> None:
    """Else the fence would pass it by with the next batch."""
    bench = bench_of(5)
    bench.consumer.left_out |= {(TOPIC, 0, 3), (TOPIC, 0, 4)}
    bench.turn(8)
    bench.log.append(TOPICS[1], 0, b"an order", 9)
    bench.turn(2)

    assert bench.store.folded[0] == [*told(range(5)), b"an order"]


def test_a_hole_that_grows_while_it_is_read_again_is_passed_all_the_same() -> None:
    """A producer gives up one transaction after the other: each reading ends somewhere else."""
    bench = bench_of(1)
    bench.turn(3)
    bench.store.timers[0] = [bench.now_ms]
    for _ in range(20):
        start = len(bench.log.records[TOPIC, 0])
        for offset in range(start, start + 2 * MARKERS_MAX):
            bench.log.holes.add((TOPIC, 0, offset))
            bench.log.append(TOPIC, 0, b"given up", offset)
        bench.now_ms += 1
        bench.turn(2)  # all is read, and then the end is told
    assert bench.plane._feeds[0]._read[0] >= 1 + 14 * 2 * MARKERS_MAX
    assert bench.store.fired


def test_many_large_holes_of_a_compacted_topic_cost_a_reading_again_a_poll() -> None:
    """One for each hole would take hours."""
    count = 30_000
    kept = range(0, count, MARKERS_MAX + 2)
    bench = bench_of(count, holes=set(range(count)) - set(kept), chunk=count)
    bench.turn(20)

    assert bench.store.folded[0] == told(kept)
    assert bench.consumer.assigned_count <= len(TOPICS) + 2


def test_whatever_is_left_out_and_whatever_is_missing_each_record_is_folded_once() -> None:
    """Any mixture, in any cuts."""
    chance = random.Random(7)
    for most in (0.0, 0.1) * 40:
        count, chunk = chance.randrange(2 * MARKERS_MAX, 200), chance.randrange(1, 60)
        holes = {each for each in range(count) if chance.random() < most}
        bench = bench_of(count, holes=holes, chunk=count if holes else chunk)
        left_out = {each for each in range(count) if chance.random() < 0.2}
        if holes:  # among small holes a small loss cannot be told from one of them
            start = chance.randrange(max(1, count - 2 * MARKERS_MAX))
            left_out = set(range(start, start + 2 * MARKERS_MAX))
            holes -= set(range(start - 1, start + 2 * MARKERS_MAX + 1))
            bench.log.holes = {(TOPIC, 0, each) for each in holes}
        bench.consumer.left_out |= {(TOPIC, 0, each) for each in left_out}
        bench.turn(4 * count)
        assert bench.store.folded[0] == told(each for each in range(count) if each not in holes)
