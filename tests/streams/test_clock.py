"""The manual clock, on which all other tests of time rest."""

import asyncio

from streams.clock import ManualClock, SystemClock


async def wait_and_tell(clock: ManualClock, until_ms: int, told: list[int]) -> None:
    await clock.wait(asyncio.Event(), until_ms)
    told.append(until_ms)


async def yield_often() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_waits_wakes_when_the_time_has_come_and_not_before() -> None:
    """A test that moves the clock must see exactly what is due."""
    clock = ManualClock(100)
    told: list[int] = []
    tasks = [asyncio.create_task(wait_and_tell(clock, at, told)) for at in (300, 200, 100)]
    await yield_often()
    assert told == [100]
    assert clock.next_ms() == 200
    clock.advance(99)
    await yield_often()
    assert told == [100]
    clock.advance(101)
    await asyncio.gather(*tasks)

    assert sorted(told) == [100, 200, 300]
    assert clock.next_ms() is None


async def test_an_event_wakes_before_the_time() -> None:
    """And leaves nothing behind that waits."""
    clock, event = ManualClock(), asyncio.Event()
    waiting = asyncio.create_task(clock.wait(event, 1_000_000))
    await yield_often()
    event.set()
    await waiting

    assert clock.next_ms() is None
    assert clock.now_ms() == 0


async def test_the_system_clock_returns_for_the_event_and_for_a_time_that_has_passed() -> None:
    """The two ends of its promise that need no waiting."""
    clock, event = SystemClock(), asyncio.Event()
    await clock.wait(event, clock.now_ms() - 1)
    event.set()
    await clock.wait(event, clock.now_ms() + 10**9)

    assert clock.now_ms() > 1_700_000_000_000
