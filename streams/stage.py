"""The stage: `rapport up --demo`, everything in one process and a simulated shop in it.

Promise   Actions of endpoints that the settings do not name go to a built-in receiver, so that each can be
          seen to arrive. The history goes in at full speed and sets off nothing; then life begins.
How       The receiver is opened first and closed last; the shop is a task beside the rest, which ends
          with it. While the history is folded, the engine is an overture's (demo.py).
Not here  The shop: shop.py. The rest: up.py. What is shown: live_view.py, commands/up.py.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType

from streams import up
from streams.demo import CHECKPOINT, Demo, Overture, folded, is_history_folded, run_demo
from streams.outfit import Outfit
from streams.receiver import Receiver, endpoints_at, new_secret, open_receiver
from streams.settings import EmbeddedLog
from streams.up import Running


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is told."""

    opened: Callable[[Receiver], None]  # the built-in receiver, which counts
    started: Callable[[Running], None]
    history: Callable[[int], None]  # how much of it is in the log
    curtain: Callable[[], None]  # the history is folded, life begins


async def run(outfit: Outfit, seed: int | None, stop: asyncio.Event, audience: Audience) -> None:
    """Run until `stop` is set. Raises as `up.run` does, and as `run_demo`."""
    secret = new_secret()
    log = outfit.settings.log
    assert isinstance(log, EmbeddedLog), "up runs on the embedded log only"
    # Known before anything is folded: what was in the log at the last end is life, and has effects.
    overture = Overture(
        outfit.rulebook.current, is_over=is_history_folded(log.directory / CHECKPOINT)
    )
    receiver = Receiver(secret, outfit.clock.now_ms, lambda _received: None)
    audience.opened(receiver)
    async with open_receiver(receiver) as address:
        settings = outfit.settings
        named = {
            target.name
            for rule in outfit.rulebook.engine.rules.rules
            for target in rule.targets
            if target.kind in {"webhook", "alert"}
        }
        ours = endpoints_at(address, secret, named - set(settings.endpoints))
        endpoints = MappingProxyType({**settings.endpoints, **ours})
        staged = replace(
            outfit, settings=replace(settings, endpoints=endpoints), engines=overture.current
        )
        await _play(staged, overture, seed, stop, audience)


async def _play(
    outfit: Outfit,
    overture: Overture,
    seed: int | None,
    stop: asyncio.Event,
    audience: Audience,
) -> None:
    shows: list[asyncio.Task[None]] = []

    def started(running: Running) -> None:
        audience.started(running)
        show = asyncio.create_task(_show(outfit, running, overture, seed, stop, audience))
        show.add_done_callback(lambda _: stop.set())
        shows.append(show)

    try:
        await up.run(outfit, stop, started)
    finally:
        stop.set()
        # The appender is closed by now: what was under way fails, and is begun again next time.
        await asyncio.gather(*shows, return_exceptions=True)
    for show in shows:
        with suppress(asyncio.CancelledError):
            show.result()


async def _show(
    outfit: Outfit,
    running: Running,
    overture: Overture,
    seed: int | None,
    stop: asyncio.Event,
    audience: Audience,
) -> None:
    log = outfit.settings.log
    assert isinstance(log, EmbeddedLog), "up runs on the embedded log only"
    checkpoint = log.directory / CHECKPOINT
    demo = Demo(running.appender, checkpoint, outfit.clock, seed, progress=audience.history)
    if is_history_folded(checkpoint):
        audience.curtain()

    async def rise() -> None:
        await folded(lambda: running.log.statuses, outfit.clock, stop)
        overture.end()
        audience.curtain()

    await run_demo(demo, rise, stop)
