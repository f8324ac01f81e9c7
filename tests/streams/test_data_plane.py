"""The data plane: each record is folded once, in order, whatever the group, Redis and the log do."""

import pytest
from confluent_kafka import TopicPartition

from streams.align import LANE_RECORDS_MAX
from streams.batch_size import BATCH_MS_MAX
from streams.beginnings import ASK_MS
from streams.errors import DamagedError, LogDownError, StaleError, StoreDownError
from streams.ownership import RETRY_MS, Target
from streams.polling import POLL_RECORDS_MAX
from streams.probes import STALL_MS_MAX, stalled
from tests.streams.plane_bench import PATIENCE_MS, Bench, down, filled


def test_a_shard_reads_its_topics_in_the_order_of_time_and_stores_where_it_is() -> None:
    """Position and state move together, or a crash loses or repeats what is between them."""
    bench = Bench(filled(("clicks", 0, 30), ("orders", 0, 10), ("service", 0, 20)))
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn(2)

    assert bench.store.folded[0] == [b"orders 10", b"service 20", b"clicks 30"]
    assert bench.store.fences[0] == {"clicks": "1", "orders": "1", "service": "1"}
    assert bench.plane.positions[0] == {"clicks": 1, "orders": 1, "service": 1}


def test_a_shard_begins_at_its_fence() -> None:
    """Kafka's committed offsets may be ahead of a Redis that was rolled back."""
    bench = Bench(filled(("clicks", 0, 1), ("clicks", 0, 2), ("orders", 0, 3)))
    bench.store.fences[0] = {"clicks": "1"}
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn(2)

    assert bench.store.folded[0] == [b"clicks 2", b"orders 3"]


def test_what_is_in_flight_when_the_target_changes_is_dropped_and_read_again() -> None:
    """The next owner begins at the fence; what we still hold is no longer ours to fold."""
    bench = Bench(filled(*(("clicks", 0, at_ms) for at_ms in range(10))), chunk=5)
    bench.plane.aim(Target(1, frozenset({0})))
    bench.store.on_commit = lambda _number: bench.plane.aim(Target(2, frozenset({0})))
    bench.turn()
    bench.store.on_commit = lambda _number: None
    first = bench.store.owners[0]
    bench.turn(4)

    assert first.is_closed
    assert bench.store.claims == [(0, 1, False), (0, 2, False)]
    assert bench.store.folded[0] == [f"clicks {at_ms}".encode() for at_ms in range(10)]


def test_with_no_target_nothing_is_read_and_positions_stay_to_be_committed() -> None:
    """The control plane commits to Kafka after it has taken the shards away."""
    bench = Bench(filled(("clicks", 0, 1)))
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn()
    bench.plane.aim(Target())
    bench.log.append("clicks", 0, b"later", 2)
    bench.turn(2)

    assert bench.store.folded[0] == [b"clicks 1"]
    assert bench.plane.positions == {0: {"clicks": 1, "orders": 0, "service": 0}}
    assert bench.consumer.positions == {}
    assert not bench.plane.busy


@pytest.mark.parametrize("error", [down(), LogDownError("delivery", "no answer")])
def test_the_same_work_is_committed_again_while_redis_or_the_log_is_down(
    error: StoreDownError | LogDownError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been stored; computing it again would fold it twice into the table."""
    bench = Bench(filled(("clicks", 0, 1)))
    monkeypatch.setattr(bench.plane._halted, "wait", lambda _seconds: False)
    bench.store.errors = [error] * 3
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn()

    assert bench.store.folded[0] == [b"clicks 1"]
    assert bench.store.owners[0].steps_count == 1


def test_a_target_taken_away_ends_the_waiting_for_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebalance waits for its slowest member; Redis may be away for minutes."""
    bench = Bench(filled(("clicks", 0, 1)))
    bench.store.errors = [down()] * 1_000
    bench.plane.aim(Target(1, frozenset({0})))

    def taken_away(_seconds: float) -> bool:
        bench.plane.aim(Target())
        return False

    monkeypatch.setattr(bench.plane._halted, "wait", taken_away)
    bench.turn()

    assert not bench.plane.busy
    assert len(bench.store.errors) == 999


def test_a_shard_that_somebody_else_has_claimed_is_claimed_again_at_its_fence() -> None:
    """Either we were a zombie, and learn of our next target, or they were."""
    bench = Bench(filled(("clicks", 0, 1)))
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn()
    theirs = bench.store.claim(0, 2, False)
    bench.log.append("clicks", 0, b"two", 2)
    bench.turn()
    assert bench.consumer.positions == {}
    bench.turn()
    assert bench.store.owners[0] is theirs

    bench.now_ms += RETRY_MS
    bench.turn(2)
    assert bench.store.owners[0] is not theirs
    assert bench.store.folded[0] == [b"clicks 1", b"two"]


def test_a_claim_that_is_refused_as_late_is_repeated_and_at_last_forced() -> None:
    """A group that was deleted starts its generations anew, and nobody could ever claim again."""
    bench = Bench(filled(("clicks", 0, 1)))
    bench.plane.aim(Target(1, frozenset({0})))
    bench.store.claim_errors = [StaleError(0, 1, 9), down()]
    bench.turn()
    bench.now_ms += RETRY_MS
    bench.turn()
    bench.now_ms += PATIENCE_MS
    bench.turn()

    assert bench.store.claims == [(0, 1, False), (0, 1, False), (0, 1, True)]
    assert bench.store.folded[0] == [b"clicks 1"]


def test_a_damaged_row_stops_its_shard_and_says_why() -> None:
    """Trying again cannot help, and overwriting what is not ours would be worse."""
    bench = Bench(filled(("clicks", 0, 1), ("clicks", 1, 1)))
    bench.store.errors = [DamagedError(b"rapport:{0}:row:", "is not ours")]
    bench.plane.aim(Target(1, frozenset({0, 1})))
    bench.turn(2)
    bench.plane.observe()

    assert [each.state for each in bench.plane.statuses] == ["stopped", "running"]
    assert bench.store.folded == {1: [b"clicks 1"]}


def test_while_actions_wait_for_delivery_nothing_is_read() -> None:
    """The outbox is bounded; what does not fit must stay in the log."""
    bench = Bench(filled(("clicks", 0, 1)))
    bench.store.full = {0}
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn(3)
    assert 0 not in bench.store.folded

    bench.store.full = set()
    bench.turn()
    assert bench.store.folded[0] == [b"clicks 1"]


def test_while_actions_wait_for_delivery_memory_stays_bounded() -> None:
    """A receiver may be down for hours, and Kafka hold a day's events."""
    bench = Bench(filled(*(("clicks", 0, 1) for _ in range(2 * LANE_RECORDS_MAX))), chunk=4_000)
    bench.store.full = {0}
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn(12)
    assert bench.plane._feeds[0].alignment.buffered <= LANE_RECORDS_MAX + bench.chunk

    bench.store.full = set()
    bench.turn(20)
    assert len(bench.store.folded[0]) == 2 * LANE_RECORDS_MAX


def test_the_backlog_of_one_shard_stays_bounded_beside_many_others() -> None:
    """A turn takes batches for all shards, and all that waits may be of one."""
    bench = Bench(filled(*(("clicks", 0, 1) for _ in range(3 * LANE_RECORDS_MAX))), chunk=1 << 20)
    bench.store.full = {0}
    bench.plane.aim(Target(1, frozenset(range(16))))
    bench.turn(4)

    assert bench.plane._feeds[0].alignment.buffered <= LANE_RECORDS_MAX + POLL_RECORDS_MAX


def test_a_topic_far_ahead_is_paused_and_goes_on_when_there_is_room() -> None:
    """One topic's backlog must not fill the memory while another is waited for."""
    count = LANE_RECORDS_MAX + 8_000
    log = filled(*(("clicks", 0, at_ms) for at_ms in range(count)), ("orders", 0, 5))
    bench = Bench(log, chunk=8_000)
    bench.consumer.silent.add(("orders", 0))
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn(8)
    assert ("clicks", 0) in bench.consumer.paused
    assert 0 not in bench.store.folded

    bench.consumer.silent.discard(("orders", 0))
    bench.turn(20)
    assert len(bench.store.folded[0]) == count + 1
    assert bench.store.folded[0][6] == b"orders 5"


def test_batches_become_smaller_when_they_take_too_long() -> None:
    """Other shards, and the group, wait for this thread."""
    bench = Bench(filled(*(("clicks", 0, at_ms) for at_ms in range(1_000))))

    def slow(_number: int) -> None:
        bench.now_ms += BATCH_MS_MAX + 1

    bench.store.on_commit = slow
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn()
    before = bench.plane._limit
    bench.turn()
    bench.store.on_commit = lambda _number: None

    assert before == 500
    bench.log.append("clicks", 0, b"last", 1_000)
    bench.turn(2)
    assert bench.plane._limit > before


def test_the_status_tells_how_far_behind_each_topic_is() -> None:
    """On call at night, lag in records and in seconds is the first question."""
    bench = Bench(filled(*(("clicks", 0, at_ms) for at_ms in range(10))), chunk=4)
    bench.store.full = {0}
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn()
    bench.now_ms += 1_000
    bench.plane.observe()

    status = bench.plane.statuses[0]
    assert status.lag_records == 10
    assert status.lag_ms == bench.now_ms
    assert status.lag["orders"].records == 0


def test_a_shard_that_had_nothing_to_do_is_not_stalled_by_the_first_record() -> None:
    """Probes look at any moment; a restart each time that a quiet shop wakes up helps nobody."""
    bench = Bench(filled(("clicks", 0, 1)))
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn()
    bench.now_ms += 10 * STALL_MS_MAX
    bench.plane.observe()
    bench.consumer.seen_ends["clicks", 0] = 2  # a fetch has told of one more
    bench.plane.observe()

    assert bench.plane.statuses[0].lag_records == 1
    assert stalled(bench.plane.statuses, bench.now_ms) == []

    bench.now_ms += STALL_MS_MAX + 1
    bench.plane.observe()
    assert len(stalled(bench.plane.statuses, bench.now_ms)) == 1


def test_without_alignment_records_are_folded_as_they_arrive() -> None:
    """The switch is for the test that shows what alignment is for."""
    log = filled(("clicks", 0, 30), ("orders", 0, 10))
    bench = Bench(log, aligned=False)
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn()

    assert bench.store.folded[0] == [b"clicks 30", b"orders 10"]


def test_the_end_of_the_loop_lets_go_of_everything() -> None:
    """Connections that stay open look like an owner."""
    bench = Bench(filled(("clicks", 0, 1)))
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn()
    bench.plane.halt()
    bench.plane.run()

    assert bench.store.owners[0].is_closed
    assert bench.consumer.is_closed


def test_a_partition_without_a_leader_is_asked_for_at_intervals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each question may block for seconds, and all other shards wait for this thread."""
    bench = Bench(filled(("clicks", 0, 1)))
    asked: list[set[int]] = []
    answer = bench.consumer.offsets_for_times

    def asking(partitions: list[TopicPartition], timeout: float = -1) -> list[TopicPartition]:
        asked.append({each.partition for each in partitions})
        bench.now_ms += ASK_MS
        return answer(partitions, timeout)

    monkeypatch.setattr(bench.consumer, "offsets_for_times", asking)
    bench.consumer.is_down = True
    bench.store.claim_errors = [down()]
    bench.plane.aim(Target(1, frozenset({0, 1})))
    bench.turn(3)
    assert asked == [{1}, {0}]  # of new claims at once

    bench.turn(3)
    bench.now_ms += ASK_MS
    bench.consumer.is_down = False
    bench.turn(2)
    assert asked[2:] == [{0, 1}, {0, 1}]  # first and end offsets
    assert bench.store.folded[0] == [b"clicks 1"]
