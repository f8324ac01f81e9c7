"""Timers in the data plane: on time, never ahead of the log, and not held back by a stream without end."""

import pytest

from streams.feed import Beginning, Feed
from streams.ownership import Target
from streams.polling import SECONDS_IDLE
from tests.streams.memory_log import MemoryConsumer, MemoryLog
from tests.streams.plane_bench import FIRED_MAX, Bench, down, filled


def waiting(*dues_ms: int) -> Bench:
    """A bench whose shard has read its log, and whose timers are due so many ms from now."""
    bench = Bench(filled(("clicks", 0, 1)))
    bench.store.timers[0] = [bench.now_ms + each for each in dues_ms]
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn(2)
    return bench


def waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each poll may take, from now on; and so much time passes."""
    seen: list[float] = []
    consume = bench.consumer.consume

    def consuming(num_messages: int = 1, timeout: float = -1) -> list[object]:
        if timeout:
            seen.append(timeout)
        found = consume(num_messages, timeout)
        if not found:
            bench.now_ms += round(timeout * 1_000)
        return list(found)

    monkeypatch.setattr(bench.consumer, "consume", consuming)
    return seen


def test_a_wait_for_messages_ends_when_a_timer_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """No event comes that would end it; and a loop that asks all the time would burn a core."""
    bench = waiting(30, 250)
    polls = waits(bench, monkeypatch)
    start_ms = bench.now_ms
    fired_at = []
    for _ in range(10):
        before = len(bench.store.fired)
        bench.turn()
        fired_at += [bench.now_ms - start_ms] * (len(bench.store.fired) - before)

    assert fired_at == [30, 250]
    assert polls[:4] == [0.03, SECONDS_IDLE, SECONDS_IDLE, 0.02]
    assert all(each == SECONDS_IDLE for each in polls[4:])


def test_without_timers_polls_are_as_long_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no rule that waits pays nothing."""
    bench = waiting()
    polls = waits(bench, monkeypatch)
    bench.turn(3)

    assert polls == [SECONDS_IDLE] * 3


def test_what_is_due_at_once_comes_in_parts_with_events_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten thousand timers must not hold up the event that comes now."""
    bench = waiting(*[10] * (2 * FIRED_MAX + 1))
    polls = waits(bench, monkeypatch)
    bench.turn()
    assert len(bench.store.fired) == FIRED_MAX
    bench.log.append("clicks", 0, b"now", 2)
    bench.turn()
    assert bench.store.folded[0] == [b"clicks 1", b"now"]
    bench.turn()

    assert len(bench.store.fired) == 2 * FIRED_MAX + 1
    assert polls == [0.01]  # and then none until all have fired


def test_timers_wait_while_the_log_has_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits there may be what a rule waits for: to fire before it is to be wrong."""
    bench = Bench(filled(*(("clicks", 0, at_ms) for at_ms in range(50))), chunk=10)
    bench.store.timers[0] = [bench.now_ms - 5]
    bench.plane.aim(Target(1, frozenset({0})))
    counts = []
    for _ in range(8):
        bench.turn()
        counts.append((len(bench.store.folded.get(0, [])), len(bench.store.fired)))

    assert [folded for folded, fired in counts if not fired] == [11, 22, 33, 44]
    assert counts[4] == (50, 1)


def test_a_stream_without_end_does_not_hold_timers_back() -> None:
    """Some records are always on their way; what had come when the timer was due is what counts."""
    bench = Bench(filled(("clicks", 0, 0)), chunk=5)
    bench.plane.aim(Target(1, frozenset({0})))
    bench.turn(2)
    bench.store.timers[0] = [bench.now_ms + 3]
    turns = 0
    while not bench.store.fired:
        turns += 1
        bench.now_ms += 1
        for _ in range(
            5
        ):  # as many as a turn reads, and one more: the log is never read to its end
            bench.log.append("clicks", 0, b"more", bench.now_ms)
        bench.consumer.seen_ends["clicks", 0] = len(bench.log.records["clicks", 0]) + 1
        bench.turn()
        assert turns < 20

    assert turns <= 6


def test_a_full_outbox_holds_timers_back_without_a_busy_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Receivers are away for hours, and what is due stays due."""
    bench = waiting(10)
    bench.store.full = {0}
    polls = waits(bench, monkeypatch)
    bench.turn(5)
    assert bench.store.fired == []
    assert polls[1:] == [SECONDS_IDLE] * 4
    bench.store.full = set()
    bench.turn()

    assert len(bench.store.fired) == 1


def test_timers_are_committed_again_while_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a batch is: the same work, until it is known to be stored."""
    bench = waiting(0)
    bench.store.fired.clear()
    bench.store.timers[0] = [bench.now_ms]
    monkeypatch.setattr(bench.plane._halted, "wait", lambda _seconds: False)
    bench.store.errors = [down()] * 3
    bench.turn()

    assert bench.store.fired == [bench.now_ms]
    assert bench.store.claims == [(0, 1, False)]


def test_a_shard_that_was_lost_fires_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timers are the new owner's."""
    bench = waiting(10)
    bench.plane.aim(Target())
    bench.now_ms += 100
    bench.turn(2)

    assert bench.store.fired == []


def fed(ends: int = 1) -> tuple[Feed, MemoryConsumer]:
    log = MemoryLog()
    consumer = MemoryConsumer(log)
    consumer.seen_ends["clicks", 0] = ends
    feed = Feed(0, [Beginning("clicks", 0, ends)])
    feed.begin(consumer)
    return feed, consumer


def test_markers_at_the_end_of_a_topic_hold_timers_back_until_the_client_is_behind_them() -> None:
    """The end that the broker tells lies behind the marker of a transaction, which nobody is given."""
    feed, consumer = fed()
    assert feed.reached_ms(consumer, wall_ms=1_000) == 0

    assert not feed.at_end("clicks", 1)  # once more, to be sure that it was no record
    feed.read_again(consumer)
    assert feed.at_end("clicks", 1)

    assert feed.reached_ms(consumer, wall_ms=2_000) == 2_000
    assert feed.lag(consumer, 2_000)["clicks"].records == 0


def test_what_the_client_has_not_come_to_is_waited_for() -> None:
    """Also behind markers that were seen: the next may be a record that takes the timer back."""
    feed, consumer = fed(ends=2)
    feed.at_end("clicks", 1)
    feed.read_again(consumer)
    feed.at_end("clicks", 1)
    for wall_ms in range(1_000, 100_000, 1_000):
        assert feed.reached_ms(consumer, wall_ms) == 0


def test_a_clock_that_is_set_back_reaches_nothing_that_is_to_come() -> None:
    """Timers are never early, by the clock that we have."""
    feed, consumer = fed(ends=0)

    assert feed.reached_ms(consumer, wall_ms=5_000) == 5_000
    assert feed.reached_ms(consumer, wall_ms=4_000) == 4_000


def test_what_came_while_nobody_could_fetch_is_read_before_timers_fire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a pause we may go on before the fetch does, and what it brings may take the timer back."""
    bench = waiting(30)
    consume = bench.consumer.consume
    bench.log.append("clicks", 0, b"just in time", bench.now_ms + 20)
    bench.now_ms += 1_000
    with monkeypatch.context() as frozen:
        frozen.setattr(bench.consumer, "consume", lambda *_arguments: [])
        bench.turn(3)
    assert bench.store.fired == []
    assert bench.consumer.consume == consume
    bench.turn(2)

    assert bench.store.folded[0][-1] == b"just in time"
    assert len(bench.store.fired) == 1


def test_timers_wait_while_no_broker_says_what_the_log_holds() -> None:
    """Others may reach it, and write what takes them back."""
    bench = waiting(30)
    bench.consumer.is_down = True
    bench.now_ms += 1_000
    bench.turn(3)
    assert bench.store.fired == []
    bench.consumer.is_down = False
    bench.turn()

    assert len(bench.store.fired) == 1
