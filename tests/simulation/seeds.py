"""Many worlds: side by side in processes of their own, some of them a second time in another one.

Promise   A seed that is played again by another process, with other hashes of texts, gives the same
          trace, or is told.
"""

import multiprocessing
import resource
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.report import Report
from tests.simulation.sabotage import sabotaged
from tests.simulation.world import live

PROCESSES: Final = 2
AT_ONCE: Final = 25  # seeds
REPLAYED_EACH: Final = 50


@dataclass(slots=True)
class Tally:
    """What came of all seeds; a second life of a seed is compared, and not counted."""

    faults: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    failed: list[Report] = field(default_factory=list)
    cpu_seconds: float = 0.0  # of all processes
    replayed: int = 0
    differing: list[int] = field(default_factory=list)
    _digests: dict[int, str] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        known = self._digests.get(report.seed)
        if known is not None:
            self.replayed += 1
            if known != report.digest:
                self.differing.append(report.seed)
            return
        self._digests[report.seed] = report.digest
        self.faults += report.faults
        for name in ("offered", "applied", "decided", "delivered", "hasty", "repeated", "refused"):
            self.counts[name] += getattr(report, name)
        self.counts["missing"] += report.missing
        self.counts["surplus"] += report.surplus
        if report.wrong:
            self.failed.append(report)

    @property
    def played(self) -> int:
        return len(self._digests)


def played(seeds: Sequence[int], sabotage: str | None) -> tuple[list[Report], float]:
    """These worlds, one after the other, and the seconds of CPU that they took."""
    began = resource.getrusage(resource.RUSAGE_SELF)
    with ExitStack() as stack:
        if sabotage is not None:
            stack.enter_context(sabotaged(sabotage))
        reports = [live(seed) for seed in seeds]
    ended = resource.getrusage(resource.RUSAGE_SELF)
    return reports, ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime


def tally(first: int, count: int, sabotage: str | None, progress: Callable[[Tally], None]) -> Tally:
    """The seeds from `first` on; `progress` is called now and then."""
    found = Tally()
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pools = [
            stack.enter_context(ProcessPoolExecutor(1, mp_context=context))
            for _ in range(PROCESSES)
        ]
        futures: list[Future[tuple[list[Report], float]]] = [
            pool.submit(played, seeds, sabotage)
            for place, pool in enumerate(pools)
            for seeds in _chunks(_share(first, count, place))
        ]
        for future in as_completed(futures):
            reports, cpu_seconds = future.result()
            found.cpu_seconds += cpu_seconds
            for report in reports:
                found.add(report)
            progress(found)
    return found


def _share(first: int, count: int, place: int) -> list[int]:
    """The seeds of one process: its own, and some of its neighbour's."""
    own = range(first + place, first + count, PROCESSES)
    others = range(first + (place + 1) % PROCESSES, first + count, PROCESSES)
    return [*own, *others[::REPLAYED_EACH]]


def _chunks(seeds: Sequence[int]) -> Iterable[Sequence[int]]:
    return (seeds[at : at + AT_ONCE] for at in range(0, len(seeds), AT_ONCE))
