"""The demo is started, ended and started again by people who watch: nothing may come twice."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams import demo as demo_module
from streams.clock import ManualClock
from streams.demo import (
    BEHIND_MS_MAX,
    RETRY_MS,
    Demo,
    DemoError,
    Overture,
    folded,
    is_history_folded,
    run_demo,
)
from streams.feed import Lag
from streams.loader import Sources
from streams.shard_status import ShardStatus
from streams.shop import event
from tests.streams.memory_appender import FullAppender, MemoryAppender

NOW_MS = 1_750_000_000_000
HISTORY = 2_500  # events: three appends


@pytest.fixture(autouse=True)
def _short_history(monkeypatch: pytest.MonkeyPatch) -> None:
    def history(seed: int, end_ms: int) -> Iterator[bytes]:
        fields = {"type": "click", "action": "view"}
        return (event(f"h-{n}", f"c-{seed}", end_ms - HISTORY + n, fields) for n in range(HISTORY))

    monkeypatch.setattr(demo_module, "history", history)


class Stage:
    """A demo on a clock that moves as fast as it is waited for."""

    def __init__(self, folder: Path, *, seed: int | None = None) -> None:
        self.clock = ManualClock(NOW_MS)
        self.checkpoint = folder / "demo.json"
        self.seed = seed
        self.curtains = 0  # how often the history was told to be done

    def play(self, appender: MemoryAppender, *, until: Callable[[], bool]) -> None:
        asyncio.run(self._play(appender, until))

    async def _play(self, appender: MemoryAppender, until: Callable[[], bool]) -> None:
        stop = asyncio.Event()

        async def done() -> None:
            self.curtains += 1

        demo = Demo(appender, self.checkpoint, self.clock, self.seed)
        running = asyncio.create_task(run_demo(demo, done, stop))
        while not running.done():
            if until():
                stop.set()
            next_ms = self.clock.next_ms()
            if next_ms is not None:
                self.clock.advance(max(0, next_ms - self.clock.now_ms()))
            await asyncio.sleep(0)
        await running


def ids(appender: MemoryAppender) -> list[str]:
    return [each.id for each in appender.events]


def test_the_history_goes_in_once_and_then_life(tmp_path: Path) -> None:
    """The order in which a person understands it."""
    appender, stage = MemoryAppender(), Stage(tmp_path)

    stage.play(appender, until=lambda: len(appender.events) >= HISTORY + 200)

    assert ids(appender)[:HISTORY] == [f"h-{number}" for number in range(HISTORY)]
    assert all(each.startswith("l1-") for each in ids(appender)[HISTORY:])
    assert stage.curtains == 1


def test_a_second_start_goes_on_with_a_new_life_and_no_second_history(tmp_path: Path) -> None:
    """Ids of the first life that came again would be passed over as duplicates."""
    first, second = MemoryAppender(), MemoryAppender()
    stage = Stage(tmp_path)
    stage.play(first, until=lambda: len(first.events) >= HISTORY + 50)

    stage.play(second, until=lambda: len(second.events) >= 50)

    assert all(each.startswith("l2-") for each in ids(second))
    assert not set(ids(first)) & set(ids(second))
    assert stage.curtains == 1
    assert is_history_folded(stage.checkpoint)


def test_an_interrupted_history_is_completed_by_the_next_start(tmp_path: Path) -> None:
    """Who presses Ctrl-C too early has lost nothing."""
    first, second = MemoryAppender(), MemoryAppender()
    stage = Stage(tmp_path)
    stage.play(first, until=lambda: len(first.events) >= 1_000)
    assert len(first.events) < HISTORY
    assert not is_history_folded(stage.checkpoint)

    stage.clock.advance(3_600_000)
    stage.play(second, until=lambda: len(second.events) > HISTORY - len(first.events))

    both = [*first.events, *second.events][:HISTORY]
    assert [each.id for each in both] == [f"h-{number}" for number in range(HISTORY)]
    assert both[-1].at_ms == NOW_MS - 1  # the end that it had at first


def test_a_full_log_is_waited_for(tmp_path: Path) -> None:
    """The engine may fold more slowly than the history comes."""
    appender, stage = FullAppender(times=3), Stage(tmp_path)

    stage.play(appender, until=lambda: len(appender.events) > HISTORY)

    assert len(set(ids(appender))) == len(ids(appender)) > HISTORY
    assert stage.clock.now_ms() >= NOW_MS + 3 * RETRY_MS


def test_life_begins_anew_after_a_sleep_and_does_not_make_up_for_it(tmp_path: Path) -> None:
    """A laptop that was closed for a night must not send the night's events at once."""
    appender, stage = MemoryAppender(), Stage(tmp_path)
    slept = False

    def until() -> bool:
        nonlocal slept
        if not slept and len(appender.events) >= HISTORY + 20:
            slept = True
            stage.clock.advance(100 * BEHIND_MS_MAX)
        return len(appender.events) >= HISTORY + 60

    stage.play(appender, until=until)

    lived = appender.events[HISTORY:]
    assert {each.id.partition("-")[0] for each in lived} == {"l1", "l2"}
    woken_ms = min(each.at_ms for each in lived if each.id.startswith("l2-"))
    assert woken_ms >= NOW_MS + 100 * BEHIND_MS_MAX


def test_the_data_of_another_shop_are_refused(tmp_path: Path) -> None:
    """Two shops in one directory would share customers and ids."""
    appender = MemoryAppender()
    Stage(tmp_path, seed=1).play(appender, until=lambda: bool(appender.events))

    with pytest.raises(DemoError, match="holds the shop of seed 1, not of 2"):
        Stage(tmp_path, seed=2).play(MemoryAppender(), until=lambda: False)


def test_the_overture_has_the_rows_of_the_play_and_does_nothing() -> None:
    """Else aggregates would begin at zero when the rules come into force."""
    engine = Sources().engine()
    overture = Overture(lambda: engine, is_over=False)

    during = overture.current()
    assert during is overture.current()
    assert during.plan.layout.fingerprint == engine.plan.layout.fingerprint
    assert [each.name for each in during.rules.rules] == [each.name for each in engine.rules.rules]
    assert all(each.targets == () for each in during.rules.rules)

    overture.end()
    assert overture.current() is engine


def test_folded_means_a_look_that_began_after_the_last_append() -> None:
    """The first new look may have begun before it, and have seen an empty log."""

    async def play() -> None:
        clock, stop = ManualClock(NOW_MS), asyncio.Event()
        looks = [status(0), status(0), status(7), status(0)]
        waiting = asyncio.create_task(folded(lambda: looks[0], clock, stop))
        for expected in (False, False, False, True):
            await settle(clock)
            assert waiting.done() is expected
            if len(looks) > 1:
                del looks[0]

    asyncio.run(play())


async def settle(clock: ManualClock) -> None:
    for _ in range(20):
        next_ms = clock.next_ms()
        if next_ms is not None:
            clock.advance(next_ms - clock.now_ms())
        await asyncio.sleep(0)


def status(lag: int) -> tuple[ShardStatus, ...]:
    return (ShardStatus(0, "running", "", NOW_MS, {"log": Lag(lag, 0)}),)
