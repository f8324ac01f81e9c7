"""The demo: the simulated shop's events into the log, first its history, then its life as it happens.

Promise   Each start on the same data goes on where the last one stopped: there is one history, and no id
          ever comes twice for two events. The history sets off nothing; life does.
How       1 append what is missing of the history, at full speed
          2 wait until it is folded; until then rules are judged and remembered, and do nothing
          3 append what life brings when it is due
          The checkpoint says how much of the history is durable, whether it is folded, and how many
          lives have begun. It is written after what it says is so; a life's number before its first id.
Limits    After a crash, up to SAVE_EVERY appends of the history are made again; the events' ids let the
          engine see it. Life that is late by more than BEHIND_MS_MAX (a laptop slept) begins anew.
Not here  What happens in the shop: shop.py. Who puts the parts together: up.py.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Final

import msgspec

from processors.event import EVENTS, Event
from rules.ruleset import RuleSet
from streams.appender import APPEND_EVENTS_MAX, Appender, AppendError
from streams.checkpoint import read, save
from streams.clock import Clock
from streams.errors import LogFullError, StreamsError
from streams.shard_status import ShardStatus
from streams.shop import SEED, history, life
from streams.step import Engine
from streams.work import Engines

CHECKPOINT: Final = "demo.json"
SAVE_EVERY: Final = 8
RETRY_MS: Final = 1_000
LOOK_MS: Final = 100
BEHIND_MS_MAX: Final = 10_000

Pair = tuple[Event, bytes]


class DemoError(StreamsError):
    """The data are those of another shop."""


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The checkpoint."""

    seed: int
    end_ms: int  # of the history
    sent: int = 0  # events of the history that are durable
    folded: bool = False  # the history is done with
    lives: int = 0  # that have begun


@dataclass(frozen=True, slots=True)
class Demo:
    """A shop, and the log that its events go into."""

    appender: Appender
    checkpoint: Path  # usually CHECKPOINT in the data directory
    clock: Clock
    seed: int | None = None  # None: as kept, or SEED
    pace: float = 1.0  # how many times as much as usual goes on
    progress: Callable[[int], None] = lambda _sent: None  # told of the history's durable events


def is_history_folded(checkpoint: Path) -> bool:
    """Whether an earlier start has done with the history. Raises CheckpointError."""
    kept = read(checkpoint, Kept)
    return kept is not None and kept.folded


async def run_demo(
    demo: Demo, on_history_done: Callable[[], Awaitable[None]], stop: asyncio.Event
) -> None:
    """Run until `stop` is set.

    Args:
        demo: what to run.
        on_history_done: awaited when the whole history is durable, unless an earlier start got so
            far; returns when it is folded and the rules are in force (see `folded` and `Overture`).
        stop: ends it, within the append under way.

    Raises:
        DemoError: The data are those of a shop with another seed.
        CheckpointError: The checkpoint cannot be used or written.
    """
    kept = _begin(demo)
    if not kept.folded:
        # 1.
        kept = await _append_history(demo, kept, stop)
        if stop.is_set():
            return
        # 2.
        await on_history_done()
        if stop.is_set():
            return
        kept = msgspec.structs.replace(kept, folded=True)
    # 3.
    while not stop.is_set():
        kept = msgspec.structs.replace(kept, lives=kept.lives + 1)
        save(demo.checkpoint, kept)
        await _live(demo, kept, stop)


def _begin(demo: Demo) -> Kept:
    kept = read(demo.checkpoint, Kept)
    if kept is None:
        return Kept(SEED if demo.seed is None else demo.seed, demo.clock.now_ms())
    if demo.seed not in (None, kept.seed):
        raise DemoError(
            f"{demo.checkpoint.parent}: holds the shop of seed {kept.seed}, not of {demo.seed};"
            " name another directory with --data, or leave the seed out"
        )
    return kept


async def _append_history(demo: Demo, kept: Kept, stop: asyncio.Event) -> Kept:
    """Append what is missing of the history; what is kept when it is all durable, or at `stop`."""
    events = islice(history(kept.seed, kept.end_ms), kept.sent, None)
    for turn in count(1):
        pairs = await asyncio.to_thread(_next, events)  # the first takes a second or two
        if not pairs or stop.is_set():
            break
        if not await _append(demo, pairs, stop):
            break
        kept = msgspec.structs.replace(kept, sent=kept.sent + len(pairs))
        demo.progress(kept.sent)
        if turn % SAVE_EVERY == 0:
            save(demo.checkpoint, kept)
    save(demo.checkpoint, kept)
    return kept


def _next(events: Iterator[bytes]) -> list[Pair]:
    return [_pair(value) for value in islice(events, APPEND_EVENTS_MAX)]


def _pair(value: bytes) -> Pair:
    return EVENTS.decode(value), value


async def _append(demo: Demo, pairs: Sequence[Pair], stop: asyncio.Event) -> bool:
    """Append, waiting for a log that is full or away; False when stopped before it was durable."""
    while not stop.is_set():
        try:
            await demo.appender.append(pairs)
        except (AppendError, LogFullError):
            await demo.clock.wait(stop, demo.clock.now_ms() + RETRY_MS)
        else:
            return True
    return False


async def _live(demo: Demo, kept: Kept, stop: asyncio.Event) -> None:
    """One life, until `stop` or until it is too late for what is due."""
    due: list[Pair] = []
    for due_ms, value in life(kept.seed, demo.clock.now_ms(), kept.lives, demo.pace):
        now_ms = demo.clock.now_ms()
        if due and (due_ms > now_ms or len(due) == APPEND_EVENTS_MAX):
            await _append(demo, due, stop)
            due, now_ms = [], demo.clock.now_ms()
        if due_ms > now_ms:
            await demo.clock.wait(stop, due_ms)
        if stop.is_set() or demo.clock.now_ms() - due_ms > BEHIND_MS_MAX:
            return
        due.append(_pair(value))


class Overture:
    """The engine while the history is folded: it judges all rules and remembers, but does nothing.

    What has held since long ago is so no news when the curtain rises: rising edges are used up and
    cooldowns run, and the rows have every column that the rules will read.
    """

    def __init__(self, engines: Engines, *, is_over: bool) -> None:
        """Take the place of `engines`, until `end`; from the beginning not, where it `is_over`."""
        self._engines = engines
        self._is_over = is_over
        self._heard: Engine | None = None
        self._silent: Engine | None = None

    def current(self) -> Engine:
        """The engine to step with. May be called by any thread."""
        engine = self._engines()
        if self._is_over:
            return engine
        if self._silent is None or self._heard is not engine:
            self._heard, self._silent = engine, Engine(engine.model, silent(engine.rules))
        return self._silent

    def end(self) -> None:
        """Let the rules speak from the next batch on."""
        self._is_over = True


def silent(rules: RuleSet) -> RuleSet:
    """The same rules, with nothing to do when they fire."""
    return RuleSet(tuple(replace(rule, targets=()) for rule in rules.rules))


async def folded(
    statuses: Callable[[], Sequence[ShardStatus]], clock: Clock, stop: asyncio.Event
) -> None:
    """Return when all that is in the log now is committed, or at `stop`.

    A log replaces its statuses from time to time, and its look at the shards may have begun before
    our last append. So the second new ones are the first that can be trusted.
    """
    seen, news = statuses(), 0
    while not stop.is_set():
        now = statuses()
        if now is not seen:
            seen, news = now, news + 1
        is_idle = all(each.state != "claiming" and each.lag_records == 0 for each in now)
        if news > 1 and now and is_idle:
            return
        await clock.wait(stop, clock.now_ms() + LOOK_MS)
