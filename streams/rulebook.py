"""The rulebook: the engine in force, and how another takes its place without a restart.

Promise   The engine in force is whole at any moment, and of files as they were at one moment, unless they
          are written again and again while they are read. Files with mistakes leave it as it is, and the
          mistakes are told to the log, to a metric, and to whoever asks for the rules. Targets that
          lead nowhere are told in the log as soon as their rules are in force.
How       The files' names, times and sizes are looked at every second; a change that has lasted for one
          look is read and compiled on another thread. Shards take the new engine between two batches
          (shard.py).
Limits    POLL_MS twice until a change is in force.
Not here  Reading files: loader.py.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from rules.errors import RulesError
from rules.explain import sentence
from rules.rule import Rule
from streams.clock import Clock
from streams.errors import StreamsError
from streams.loader import Fingerprint, Sources, warm
from streams.metrics import Metrics
from streams.step import Engine

POLL_MS: Final = 1_000
READS_MAX: Final = 5  # of files that change while they are read

_log = logging.getLogger("rapport.rules")

Missing: TypeAlias = Callable[[Sequence[Rule]], Sequence[str]]
"""A sentence for each target of these rules that leads nowhere."""


class Rulebook:
    """Lives in one event loop; `engine` may be read by any thread."""

    def __init__(
        self,
        sources: Sources,
        metrics: Metrics,
        clock: Clock,
        missing: Missing = lambda _rules: (),
    ) -> None:
        """Load for the first time; `missing` says which targets of rules lead nowhere.

        Raises as `Sources.engine` does.
        """
        self.sources = sources
        self._missing = missing
        self.error: RulesError | StreamsError | None = None  # of the last reload
        self._metrics = metrics
        self._clock = clock
        self._loading = asyncio.Lock()
        self._seen = self._look()  # what was loaded, or tried
        self.engine = sources.engine()
        self.loaded_ms = clock.now_ms()
        warm(self.engine)
        metrics.rules(len(self.engine.rules.rules))

    def current(self) -> Engine:
        """The engine to step with."""
        return self.engine

    async def reload(self) -> bool:
        """Read the files again; whether they are in force now, or `error` says why not."""
        async with self._loading:
            known = set(self.missing())
            try:
                self.engine = await asyncio.to_thread(self._loaded)
            except (RulesError, StreamsError) as error:
                self.error = error
                self._metrics.reloaded("refused")
                _log.error("the rules stay as they were, for these have mistakes:\n%s", error)
                return False
            self.error = None
            self.loaded_ms = self._clock.now_ms()
            count = len(self.engine.rules.rules)
            self._metrics.reloaded("ok")
            self._metrics.rules(count)
            _log.info("rules in force: %d of %s", count, self.sources.place)
            for sentence in self.missing():
                if sentence not in known:
                    _log.warning("%s", sentence)
            return True

    def missing(self) -> Sequence[str]:
        """A sentence for each target of the rules in force that leads nowhere."""
        return self._missing(self.engine.rules.rules)

    def _loaded(self) -> Engine:
        made = self._read()
        warm(made)
        return made

    def _read(self) -> Engine:
        """The engine of files that nobody has written while they were read. Raises as `Sources.engine`.

        1. Somebody puts a new version of several files into the folder.  2. We read one of before and
        one of after: an engine of two versions, or mistakes that are in neither.  3. So we read again.
        """
        for _ in range(READS_MAX):
            self._seen = before = self._look()
            try:
                made = self.sources.engine()
            except (RulesError, StreamsError):
                if self._look() == before:
                    raise
            else:
                if self._look() == before:
                    return made
        # They never rest. What is written after the last look is noticed by the watcher's next one.
        self._seen = self._look()
        return self.sources.engine()

    async def watch(self, stop: asyncio.Event) -> None:
        """Reload whenever the files have changed, until `stop` is set."""
        before = self._seen
        while True:
            await self._clock.wait(stop, self._clock.now_ms() + POLL_MS)
            if stop.is_set():
                return
            now = await asyncio.to_thread(self._look)
            if now == before and now != self._seen:
                await self.reload()
            before = now

    def _look(self) -> Fingerprint | None:
        """How the files are; None: they cannot be looked at, and reading them will say why."""
        try:
            return self.sources.fingerprint()
        except StreamsError:
            return None

    def told(self) -> dict[str, Any]:
        """What `/v1/rules` shows."""
        return {
            "rules": [described(rule) for rule in self.engine.rules.rules],
            "place": str(self.sources.place),
            "model": self.engine.model.id,
            "loaded_ms": self.loaded_ms,
            "error": None if self.error is None else str(self.error),
        }


def described(rule: Rule) -> dict[str, Any]:
    """A rule as JSON shows it."""
    return {
        "name": rule.name,
        "version": rule.version,
        "describe": rule.describe,
        "sentence": sentence(rule),
        "cooldown_ms": rule.cooldown_ms,
        "targets": [
            {"kind": target.kind, "name": target.name, "type": target.type}
            for target in rule.targets
        ],
        "file": rule.file,
        "line": rule.line,
    }
