"""The rulebook: the engine in force, and how another takes its place without a restart.

Promise   The engine in force is whole at any moment, and of files as they were at one moment, unless they
          are written again and again while they are read. Files with mistakes leave it as it is, and the
          mistakes are told to the log, to a metric, and to whoever asks for the rules. Targets that
          lead nowhere are told in the log as soon as their rules are in force.
How       The files' names, times and sizes are looked at every second; a change that has lasted for one
          look is read and compiled on another thread, under the controls that were taken over last.
          Other controls make another engine of what was read. Shards take the new engine between two
          batches (shard.py).
Limits    POLL_MS twice until a change of files is in force.
Not here  Reading files: loader.py. Where controls come from: guard_watch.py.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from msgspec import to_builtins
from msgspec.structs import replace

from rules.errors import RulesError
from rules.explain import sentence
from rules.rule import Rule
from streams.clock import Clock
from streams.controlled import known
from streams.controls import NOTHING, Control, Controls, Known
from streams.errors import StreamsError
from streams.loader import Files, Fingerprint, Sources, warm
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
        self.controls: Controls = {}
        self.files = sources.read()  # in force
        self.engine = sources.compiled(self.files, self.controls)
        self.loaded_ms = clock.now_ms()
        warm(self.engine)
        metrics.rules.in_force(len(self.engine.rules.rules))

    def current(self) -> Engine:
        """The engine to step with."""
        return self.engine

    async def reload(self) -> bool:
        """Read the files again; whether they are in force now, or `error` says why not."""
        async with self._loading:
            known = set(self.missing())
            try:
                self.files, self.engine = await asyncio.to_thread(self._loaded)
            except (RulesError, StreamsError) as error:
                self.error = error
                self._metrics.rules.reloaded("refused")
                _log.error("the rules stay as they were, for these have mistakes:\n%s", error)
                return False
            self.error = None
            self.loaded_ms = self._clock.now_ms()
            count = len(self.engine.rules.rules)
            self._metrics.rules.reloaded("ok")
            self._metrics.rules.in_force(count)
            _log.info("rules in force: %d of %s", count, self.sources.place)
            for sentence in self.missing():
                if sentence not in known:
                    _log.warning("%s", sentence)
            return True

    async def take(self, controls: Controls) -> None:
        """Go on under these controls.

        Where the rules that were promoted from drafts are too much for an engine, it goes on without
        them, and says so: whatever happens, what was paused is paused.
        """
        async with self._loading:
            files, before = self.files, self.engine
            try:
                self.engine = await asyncio.to_thread(self._compiled, files, controls)
            except StreamsError as error:
                _log.error("drafts stay drafts, for they were promoted in vain: %s", error)
                drafts = {rule.name for rule in files.rules.rules if rule.stage == "draft"}
                controls = {
                    name: replace(control, staged=None) if name in drafts else control
                    for name, control in controls.items()
                }
                self.engine = await asyncio.to_thread(self._compiled, files, controls)
            self.controls = controls
            assert self.engine is not before, "shards see that there is another one"

    def missing(self) -> Sequence[str]:
        """A sentence for each target of the rules in force that leads nowhere."""
        return self._missing(self.engine.rules.rules)

    def _loaded(self) -> tuple[Files, Engine]:
        files = self._read()
        return files, self._compiled(files, self.controls)

    def _compiled(self, files: Files, controls: Controls) -> Engine:
        made = self.sources.compiled(files, controls)
        warm(made)
        return made

    def _read(self) -> Files:
        """Files that nobody has written while they were read. Raises as `Sources.read`.

        1. Somebody puts a new version of several files into the folder.  2. We read one of before and
        one of after: rules of two versions, or mistakes that are in neither.  3. So we read again.
        """
        for _ in range(READS_MAX):
            self._seen = before = self._look()
            try:
                found = self.sources.read()
            except (RulesError, StreamsError):
                if self._look() == before:
                    raise
            else:
                if self._look() == before:
                    return found
        # They never rest. What is written after the last look is noticed by the watcher's next one.
        self._seen = self._look()
        return self.sources.read()

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
        files = self.files.rules.rules
        return {
            "rules": [
                described(rule, known(file), self.controls.get(rule.name, NOTHING))
                for rule, file in zip(self.engine.rules.rules, files, strict=True)
            ],
            "place": str(self.sources.place),
            "model": self.engine.model.id,
            "loaded_ms": self.loaded_ms,
            "error": None if self.error is None else str(self.error),
        }


def described(rule: Rule, file: Known, control: Control = NOTHING) -> dict[str, Any]:
    """A rule as JSON shows it.

    Args:
        rule: in the stage in which it is.
        file: as its file has it.
        control: what was said about it by command.
    """
    staged, pause, snooze = control.overridden(file), control.pause, control.snooze
    return {
        "name": rule.name,
        "version": rule.version,
        "describe": rule.describe,
        "sentence": sentence(rule),
        "stage": str(known(rule).stage),
        "stage_of_file": str(file.stage),
        "staged": None if staged is None else {"by": staged.by, "at_ms": staged.at_ms},
        "paused": None
        if pause is None
        else {"why": pause.why, "by": pause.by, "at_ms": pause.at_ms},
        "snoozed": None if snooze is None else to_builtins(snooze),
        "snoozed_customers": len(control.customers),
        "expected": to_builtins(control.expected),
        "cooldown_ms": rule.cooldown_ms,
        "targets": [
            {"kind": target.kind, "name": target.name, "type": target.type}
            for target in rule.targets
        ],
        "file": rule.file,
        "line": rule.line,
    }
