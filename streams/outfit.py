"""The outfit of a process that folds: its settings, rules, metrics and clock, and who watches."""

import gc
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console

from streams.clock import Clock, SystemClock
from streams.endpoints import missing_endpoints
from streams.guard import Limits
from streams.guard_counts import Counts
from streams.guard_watch import GuardWatch
from streams.loader import Sources
from streams.metrics import Metrics
from streams.relaying import Changed
from streams.rulebook import Rulebook
from streams.settings import Settings
from streams.store_async import AsyncConnection
from streams.work import Engines, Stored, Work

# The collector looks for cycles when so many more containers live than before. Kafka's messages are
# containers, and tens of thousands of them wait in the lanes: at Python's own 700, a quarter of a busy
# worker's CPU went into looking at them in vain.
GARBAGE_MIN: Final = 50_000


@dataclass(frozen=True, slots=True)
class Outfit:
    """What is to be started."""

    settings: Settings
    rulebook: Rulebook
    metrics: Metrics
    clock: Clock
    console: Console  # where actions for the log go
    engines: Engines  # which engine to step with: the rulebook's, or one in front of it
    stored: Stored = lambda _work, _took_ns: None  # told of each commit, by the thread that folds
    changed: Changed = lambda _delivery: None  # told of each change of a delivery
    counts: Counts = field(default_factory=Counts)  # of what rules do, for their guard

    def noted(self, work: Work, took_ns: int) -> None:
        """Tell all who are told of each commit."""
        if work.outcome.actions:
            self.counts.add(work.outcome.actions)
        self.stored(work, took_ns)

    def guard(self, connection: AsyncConnection) -> GuardWatch:
        """Who looks after the rules; to `begin` before anything is folded."""
        settings = self.settings
        limits = Limits(settings.rules_guard_times, settings.rules_guard_share)
        known = (self.counts, limits, self.metrics, self.clock)
        return GuardWatch(connection, self.rulebook, *known)


def outfit_of(settings: Settings, version: str, console: Console) -> Outfit:
    """The outfit by the settings, on the system's clock.

    Raises:
        RulesError: Rules with mistakes; all are told.
        LoadError: A file cannot be read, or the model has mistakes.
    """
    calm_collector()
    clock, metrics = SystemClock(), Metrics(version)
    rulebook = Rulebook(
        Sources(settings.model, settings.rules),
        metrics,
        clock,
        lambda rules: missing_endpoints(rules, settings.endpoints),
    )
    return Outfit(settings, rulebook, metrics, clock, console, rulebook.current)


def calm_collector() -> None:
    """Have the collector of cycles look rarely, and never at what is loaded by now.

    That lives as long as the process: not to look at it shortens pauses, and the end by 0.3 s.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_MIN, 20, 50)
