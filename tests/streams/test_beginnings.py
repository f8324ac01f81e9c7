"""Where a shard begins: at its fence, or not at all where the log no longer holds that."""

from streams.beginnings import ASK_MS
from streams.ownership import RETRY_MS, Target
from tests.streams.plane_bench import Bench, filled


def test_a_gap_between_fence_and_log_stops_its_shard_and_no_other() -> None:
    """Going on would silently leave events out; stopping all would let one topic stop the shop."""
    bench = Bench(filled(("clicks", 0, 1), ("clicks", 0, 2), ("clicks", 1, 3)))
    bench.store.fences[0] = {"clicks": "0", "orders": "0", "service": "0"}
    bench.log.firsts["clicks", 0] = 1
    bench.plane.aim(Target(1, frozenset({0, 1})))
    bench.turn(3)
    bench.plane.observe()

    assert 0 not in bench.store.folded
    assert bench.store.folded[1] == [b"clicks 3"]
    stopped, running = bench.plane.statuses
    assert (stopped.state, running.state) == ("stopped", "running")
    assert "--accept-gap" in stopped.detail


def test_an_accepted_gap_goes_on_at_the_start_of_the_log() -> None:
    """An operator who knows what is lost must be able to go on."""
    bench = Bench(filled(("clicks", 0, 1), ("clicks", 0, 2)), accept_gap=True)
    bench.store.fences[0] = {"clicks": "0"}
    bench.log.firsts["clicks", 0] = 1
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn(2)

    assert bench.store.folded[0] == [b"clicks 2"]


def test_a_fence_beyond_the_end_of_the_log_is_a_gap_too() -> None:
    """The topic was made anew: positions start again, and what they meant is gone."""
    bench = Bench(filled(("clicks", 0, 1)))
    bench.store.fences[0] = {"clicks": "7"}
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn()
    bench.plane.observe()

    assert bench.plane.statuses[0].state == "stopped"


def test_retention_that_overtakes_a_running_shard_is_found() -> None:
    """The client library says it once and is then silent for ever."""
    bench = Bench(filled(*(("clicks", 0, at_ms) for at_ms in range(100))), chunk=5)
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn()
    bench.log.firsts["clicks", 0] = 95
    bench.turn(2)
    bench.now_ms += RETRY_MS
    bench.turn()
    bench.plane.observe()

    assert bench.plane.statuses[0].state == "stopped"


def test_without_a_broker_a_shard_begins_later() -> None:
    """Where the log begins and ends is asked once; the answer may take a while."""
    bench = Bench(filled(("clicks", 0, 1)))
    bench.consumer.is_down = True
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn(3)
    bench.consumer.is_down = False
    bench.now_ms += ASK_MS
    bench.turn()

    assert bench.store.claims == [(0, 1, False)]
    assert bench.store.folded[0] == [b"clicks 1"]
