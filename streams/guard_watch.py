"""The guard's watch: takes over what was said about rules, and stops those that do far too much.

Promise   What was said anywhere is in force here within LOOK_MS and the time to compile; at a start, before
          the first event is folded. A rule that is over its bound is paused by whoever sees it first, once.
How       Each LOOK_MS: 1. look at the version of the controls, and read them when it is another; 2. tell
          which rules are in force, when files have brought others; 3. count what was fired since, and judge
          the promoted rules among them. All of it beside the thread that folds.
Limits    Until a rule stands still it may do its bound, and what it does in LOOK_MS and two batches; as
          one of several processes, in 2 × LOOK_MS. While Redis is away nothing is looked at; then
          nothing is committed either.
Not here  The decision (guard.py). Engines (rulebook.py).
"""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Final

from msgspec.structs import replace

from streams.clock import Clock
from streams.controlled import known
from streams.controls import (
    NOTHING,
    PAUSED_BY_GUARD,
    Control,
    ControlError,
    Expected,
    Known,
    paused,
)
from streams.controls_redis import Changed, ControlStore, Entry, reloaded
from streams.errors import StoreDownError, StreamsError
from streams.guard import Found, Limits, Trip, judged
from streams.guard_counts import ACTED, Counts, CountStore, Did
from streams.loader import Files
from streams.metrics import Metrics
from streams.rulebook import Rulebook
from streams.store_async import AsyncConnection

LOOK_MS: Final = 500
CUSTOMERS_MS: Final = 60_000  # how long a count of all customers is good for
BY_FILES: Final = "files"

_log = logging.getLogger("rapport.guard")


class GuardWatch:
    """Lives in one event loop."""

    def __init__(
        self,
        connection: AsyncConnection,
        rulebook: Rulebook,
        counts: Counts,
        limits: Limits,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._controls = ControlStore(connection)
        self._store = CountStore(connection)
        self._rulebook = rulebook
        self._counts = counts
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._version = -1  # of the controls that were taken over
        self._announced: Files | None = None
        self._customers = (0, 0)  # how many, and until when that is good
        self._is_away = False

    async def begin(self) -> None:
        """Take over what was said, before anything is folded.

        Raises:
            StoreError: Redis cannot be read.
        """
        await self._take()
        await self._announce()

    async def watch(self, stop: asyncio.Event) -> None:
        """Look again and again, until `stop` is set."""
        while True:
            await self._clock.wait(stop, self._clock.now_ms() + LOOK_MS)
            if stop.is_set():
                return
            try:
                await self.look()
            except StoreDownError as error:
                if not self._is_away:
                    _log.warning("rules are not looked after for now: %s", error)
                self._is_away = True
                self._announced = None  # Redis may come back without its last writes
                continue
            except StreamsError:
                _log.exception("rules cannot be looked after")
                continue
            self._is_away = False

    async def look(self) -> None:
        """Look once. Raises StoreError when Redis cannot be used."""
        # 1.
        await self._take()
        # 2.
        await self._announce()
        # 3.
        taken = self._counts.take()
        await self._store.add(taken)
        await self._judge([did for did in taken if did.word == ACTED])

    async def _take(self) -> None:
        version = await self._controls.version()
        if version == self._version:
            return
        # What is changed after the version was read is read now, and once more with the next look.
        controls = await self._controls.controls()
        if controls != self._rulebook.controls:
            await self._rulebook.take(controls)
            _log.info(
                "took over what was said by command; rules that are spoken of: %d", len(controls)
            )
        self._version = version
        self._metrics.rules.paused(
            name for name, control in controls.items() if control.pause is not None
        )

    async def _announce(self) -> None:
        files = self._rulebook.files
        if files is self._announced:
            return
        rules = {rule.name: known(rule) for rule in files.rules.rules}
        before = await self._controls.announce(rules, partial(self._entry, rules))
        self._announced = files
        for name, file in rules.items() if before else ():
            assert before is not None, "else there is nothing to go over"
            await self._promoted(name, before.get(name), file)

    def _entry(self, rules: Mapping[str, Known], before: Mapping[str, Known]) -> Entry | None:
        changes = reloaded(before, rules)
        if not changes:
            return None
        return Entry(self._clock.now_ms(), BY_FILES, "reload", rules=list(changes))

    async def _promoted(self, rule: str, before: Known | None, file: Known) -> None:
        """A file that lets a rule act for more customers promotes it, as a command does."""
        if before is None or file.stage.acts_for <= before.stage.acts_for:
            return
        expected = await self._store.expected(rule, file.stage, self._clock.now_ms())

        def change(control: Control) -> Control:
            return replace(control, expected=expected)

        def entry(_changed: Changed) -> Entry:
            said = {"from": str(before.stage), "to": str(file.stage), "expected": _told(expected)}
            return Entry(self._clock.now_ms(), BY_FILES, "promote", rule, said)

        await self._controls.change(rule, change, entry)

    async def _judge(self, dids: list[Did]) -> None:
        """Pause the rules that are over their bounds."""
        guarded = {}
        for did in dids:
            control = self._rulebook.controls.get(did.rule, NOTHING)
            if control.expected is not None and control.pause is None:
                guarded[did] = control.expected
        if not guarded or not (self._limits.times or self._limits.share):
            return
        found = await self._store.found(guarded, await self._all_customers())
        for (did, expected), each in zip(guarded.items(), found, strict=True):
            trip = judged(expected, each, self._limits)
            if trip is not None:
                await self._pause(did.rule, trip, each)

    async def _all_customers(self) -> int:
        count, until_ms = self._customers
        now_ms = self._clock.now_ms()
        if now_ms >= until_ms:
            count = await self._store.customers()
            self._customers = (count, now_ms + CUSTOMERS_MS)
        return count

    async def _pause(self, rule: str, trip: Trip, found: Found) -> None:
        """Pause the rule, unless somebody was faster; in force here at once."""
        now_ms = self._clock.now_ms()
        share = min(1.0, found.customers / found.all_customers) if found.all_customers else 1.0
        accepted = Expected(float(found.fires), round(share, 6))

        def change(control: Control) -> Control:
            return paused(control, str(trip), PAUSED_BY_GUARD, now_ms, accepted)

        def entry(_changed: Changed) -> Entry:
            said = {
                "why": str(trip),
                "measure": trip.what,
                "expected": trip.expected,
                "bound": trip.bound,
                "found": trip.found,
            }
            return Entry(now_ms, PAUSED_BY_GUARD, "pause", rule, said)

        try:
            await self._controls.change(rule, change, entry)
        except ControlError:
            return  # another process has seen it too, or somebody has paused it
        self._metrics.rules.tripped()
        _log.critical(
            "the rule %s is paused: %s; `rapport rules resume %s` lets it go on", rule, trip, rule
        )
        await self._take()


def _told(expected: Expected) -> dict[str, float]:
    return {"an_hour": expected.an_hour, "share": expected.share}
