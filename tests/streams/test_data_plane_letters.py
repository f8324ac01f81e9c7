"""Dead letters on their way: their shard waits for them, the other shards and the thread do not."""

from streams.ownership import Target
from tests.streams.plane_bench import Bench, filled

BOTH = frozenset({0, 1})


def poisoned() -> Bench:
    """Two shards with a record each; the dead letters of shard 0 are on their way."""
    bench = Bench(filled(("clicks", 0, 1), ("clicks", 1, 1)))
    bench.store.poisoned.add(0)
    bench.plane.aim(Target(1, BOTH))
    bench.turn(2)
    assert bench.store.folded == {1: [b"clicks 1"]}
    return bench


def test_others_are_committed_while_letters_are_on_their_way() -> None:
    """One record in ten may be poison: who waits for each would be late for all."""
    bench = poisoned()
    bench.log.append("clicks", 1, b"more", 2)
    bench.turn(2)

    assert bench.store.folded == {1: [b"clicks 1", b"more"]}


def test_its_own_shard_folds_nothing_more_before_they_are_there() -> None:
    """Commits are in order, and the table is ahead of Redis by one step at most."""
    bench = poisoned()
    bench.log.append("clicks", 0, b"more", 2)
    bench.turn(2)
    assert bench.store.owners[0].steps_count == 1

    bench.store.poisoned.clear()
    bench.turn(2)
    assert bench.store.folded[0] == [b"clicks 1", b"more"]
    assert not bench.plane.busy


def test_timers_of_the_shard_wait_too() -> None:
    """They are judged on what is committed."""
    bench = poisoned()
    bench.store.timers = {0: [bench.now_ms - 5]}
    bench.turn(2)
    assert bench.store.fired == []

    bench.store.poisoned.clear()
    bench.turn(20)
    assert bench.store.fired == [bench.now_ms - 5]


def test_who_takes_the_shards_away_waits_and_what_is_in_hand_is_committed_first() -> None:
    """A clean stop repeats nothing, and no letter comes twice."""
    bench = poisoned()
    held = bench.plane.busy
    bench.plane.aim(Target())
    bench.turn()

    assert (held, bench.plane.busy) == (True, False)
    assert bench.store.folded[0] == [b"clicks 1"]
    assert bench.plane.positions[0]["clicks"] == 1
    assert bench.store.owners[0].is_closed


def test_a_shard_that_somebody_else_has_claimed_drops_what_waits() -> None:
    """Its next owner folds the records again."""
    bench = poisoned()
    theirs = bench.store.claim(0, 2, False)
    bench.store.poisoned.clear()
    bench.turn(2)

    assert bench.store.owners[0] is theirs
    assert 0 not in bench.store.folded
    assert not bench.plane.busy
