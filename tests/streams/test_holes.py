"""Offsets that are missing: a record that the client leaves out is read, a hole of the log is passed over."""

import random
from collections.abc import Iterable

import pytest

from streams.align import LANE_RECORDS_MAX
from streams.data_plane import OBSERVE_MS
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


def test_a_lane_that_is_full_stays_paused_when_its_partition_is_read_again() -> None:
    """Assigned anew it is not paused any more, and the memory has a bound."""
    count = LANE_RECORDS_MAX + 10
    bench = bench_of(count, chunk=count)
    bench.consumer.left_out.add((TOPIC, 0, LANE_RECORDS_MAX + 5))
    bench.store.full.add(0)
    bench.turn(10)
    waiting = bench.plane._feeds[0].alignment.buffered
    bench.store.full.clear()
    bench.turn(30)

    assert waiting <= count
    assert bench.store.folded[0] == told(range(count))


def test_records_that_were_taken_for_markers_are_read_when_the_client_wakes() -> None:
    """1 the log tells of three records; 2 they do not come for seconds; 3 markers, we say; 4 they come."""
    bench = bench_of(1)
    bench.turn(2)
    feed, consumer = bench.plane._feeds[0], bench.consumer
    consumer.positions[TOPIC, 0] = -1001  # librdkafka has forgotten the partition
    for at_ms in (1, 2, 3):
        bench.log.append(TOPIC, 0, f"{TOPIC} {at_ms}".encode(), at_ms)
    consumer.seen_ends[TOPIC, 0] = 4
    feed._markers[0] = 3
    for _ in range(SILENT_LOOKS_MAX + 1):
        bench.now_ms += OBSERVE_MS
        bench.turn()
    bench.turn(2)

    assert bench.store.folded[0] == told(range(4))
    assert feed._markers[0] == 0


def test_markers_that_the_log_has_dropped_are_not_asked_for_again() -> None:
    """They are no gap: nobody has lost anything, and nobody is to be asked to accept it."""
    bench = bench_of(1)
    bench.turn(2)
    bench.log.holes |= {(TOPIC, 0, 1)}
    bench.log.append(TOPIC, 0, b"a marker", 1)
    bench.log.firsts[TOPIC, 0] = 2
    bench.consumer.positions[TOPIC, 0] = 2
    bench.plane._feeds[0]._markers[0] = 1
    for _ in range(SILENT_LOOKS_MAX + 1):
        bench.now_ms += OBSERVE_MS
        bench.turn()

    assert bench.plane._holding.stopped == {}
    assert bench.store.claims == [(0, 1, False)]


def test_whatever_is_left_out_and_whatever_is_missing_each_record_is_folded_once() -> None:
    """Any mixture, in any cuts."""
    chance = random.Random(7)
    for _ in range(200):
        count, chunk = chance.randrange(2, 80), chance.randrange(1, 30)
        holes = {each for each in range(count) if chance.random() < 0.1}
        bench = bench_of(count, holes=holes, chunk=chunk)
        bench.log.append(TOPIC, 0, f"{TOPIC} {count}".encode(), count)
        if not holes:  # among small holes a small loss cannot be told from one of them
            bench.consumer.left_out |= {
                (TOPIC, 0, each) for each in range(count) if chance.random() < 0.2
            }
        bench.turn(4 * count)
        assert bench.store.folded[0] == told(e for e in range(count + 1) if e not in holes)
