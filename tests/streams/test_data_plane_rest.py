"""Shards at rest: what Redis loses of theirs is found out before their next record."""

import pytest

from streams.batch_size import BATCH_MS_MAX
from streams.data_plane import OBSERVE_MS
from streams.errors import DamagedError
from streams.feed import SILENT_LOOKS_MAX
from streams.ownership import RETRY_MS, Target
from tests.streams.memory_log import UNKNOWN
from tests.streams.plane_bench import Bench, down, filled


def resting(shards: int = 1) -> Bench:
    """A bench whose shards have committed all that there is."""
    bench = Bench(filled(*(("clicks", number, 1) for number in range(shards))))
    bench.plane.aim(Target(1, frozenset(range(shards))))
    bench.turn(2)
    assert len(bench.store.folded) == shards
    return bench


def later(bench: Bench, delay_ms: int) -> None:
    bench.now_ms += delay_ms
    bench.turn(2)


def test_what_redis_lost_of_a_shard_at_rest_is_read_again_without_a_new_record() -> None:
    """A night without events must not be a night with a wrong profile and a lost action."""
    bench = resting()
    bench.store.fences.clear()
    bench.store.folded.clear()
    later(bench, OBSERVE_MS)
    later(bench, RETRY_MS)

    assert bench.store.folded == {0: [b"clicks 1"]}
    assert bench.store.claims == [(0, 1, False), (0, 1, False)]


def test_shards_that_are_as_they_were_left_are_let_be() -> None:
    """Looking must not become claiming: each claim makes a table anew."""
    bench = resting()
    later(bench, OBSERVE_MS)
    later(bench, OBSERVE_MS)

    assert bench.store.claims == [(0, 1, False)]


def test_a_redis_that_cannot_be_looked_at_is_looked_at_later_and_asked_once() -> None:
    """Each question to a frozen Redis costs seconds of the thread that all shards share."""
    bench = resting(shards=2)
    bench.store.look_errors = [down(), down()]
    later(bench, OBSERVE_MS)
    left = len(bench.store.look_errors)
    bench.store.look_errors.clear()
    later(bench, OBSERVE_MS)

    assert left == 1
    assert [each[0] for each in bench.store.claims] == [0, 1]


def test_a_fence_that_is_damaged_meanwhile_stops_its_shard() -> None:
    """As it would at the next commit."""
    bench = resting()
    bench.store.look_errors = [DamagedError(b"fence", "is no fence of ours")]
    later(bench, OBSERVE_MS)

    assert [each.state for each in bench.plane.statuses] == ["stopped"]


def test_a_shard_that_waits_for_receivers_makes_progress() -> None:
    """They may be away for hours; a restart would bring nothing but another claim."""
    bench = Bench(filled(("clicks", 0, 1)))
    bench.store.full = {0}
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn()
    bench.now_ms += 60_000
    bench.turn()
    bench.plane.observe()

    assert bench.plane.statuses[0].progress_ms == bench.now_ms


def test_one_shard_is_folded_while_the_commit_of_another_is_under_way() -> None:
    """Else the thread would wait for Redis, once a shard."""
    bench = Bench(filled(("clicks", 0, 1), ("clicks", 1, 1)))
    folded: list[list[int]] = []

    def stored(_number: int) -> None:
        folded.append([shard.steps_count for shard in bench.store.owners.values()])

    bench.store.on_commit = stored
    bench.plane.aim(Target(1, frozenset({0, 1})))
    bench.turn()

    assert folded == [[1, 1], [1, 1]]


def test_in_a_backlog_few_batches_are_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shard has a whole batch, and what is folded is kept until it is committed."""
    monkeypatch.setattr("streams.holding.UNDER_WAY_MAX", 3)
    bench = Bench(filled(*(("clicks", number, 1) for number in (0, 1, 2, 3) for _ in range(2))))
    under_way: list[int] = []

    def stored(_number: int) -> None:
        folded = sum(shard.steps_count for shard in bench.store.owners.values())
        under_way.append(folded - len(under_way))

    bench.store.on_commit = stored
    bench.plane.aim(Target(1, frozenset(range(4))))
    bench.turn()

    assert under_way == [2, 2, 2, 1]


def test_a_partition_that_the_client_has_forgotten_is_read_again() -> None:
    """A broker was away, and librdkafka says nothing of its partition any more."""
    bench = resting()
    place = ("clicks", 0)
    bench.consumer.positions[place] = UNKNOWN  # it fetches nothing, and no error comes
    bench.log.append(*place, b"later", 2)
    for _ in range(SILENT_LOOKS_MAX):
        bench.now_ms += OBSERVE_MS
        bench.turn()
    bench.turn()

    assert bench.store.folded[0] == [b"clicks 1", b"later"]
    assert bench.store.claims == [(0, 1, False)]


def test_the_slowest_shard_of_a_turn_says_how_large_batches_may_be() -> None:
    """One record of another shard beside it must not make all batches small."""
    bench = Bench(filled(*(("clicks", 0, 1) for _ in range(1_000)), ("clicks", 1, 1)))

    def slow(number: int) -> None:
        bench.now_ms += BATCH_MS_MAX + 1 if number == 0 else 1

    bench.store.on_commit = slow
    bench.plane.aim(Target(1, frozenset({0, 1})))
    bench.turn()

    assert bench.plane._limit == 500
    bench.turn()
    assert bench.plane._limit == 500  # nothing came, and nothing was learned
