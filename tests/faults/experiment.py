"""An experiment: what it breaks, what it is to show, and what it found.

Promise   An experiment is a function of a `Run`; everything random in it comes from the run's seed.
          `wrong` is empty, or holds a sentence for each thing that is not as promised.
Not here  Running them (run.py), the naive way that must fail (trial.py), the report (report.py).
"""

import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("experiments")

# All that there are to be, in their order; the second is how many faults each injects at scale 1,
# where a number has been promised.
PROMISED: Final[Mapping[str, int | None]] = {
    "kill_workers": 100,
    "redis_kill": 30,
    "redis_rollback": 30,
    "replica_promotion": 20,
    "lost_replies": 10_000,
    "pauses": 50,
    "broker_faults": 35,
    "rebalances": 60,
    "clean_stops": 100,
    "webhook_faults": None,
    "endpoint_isolation": None,
    "poison": None,
    "gateway_kill": None,
    "stalls_and_limits": None,
    "reloads": 500,
    "simulation": 5_000,
    "soak": None,
    "timers": 100,
}


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of an experiment."""

    seed: int
    scale: float
    """1.0 has the numbers that docs/reliability.md states."""
    folder: Path
    """Empty, of this run alone, removed afterwards."""
    naive: bool
    """The same faults (fewer are fine) with the protection off; must come out wrong."""
    say: Callable[[str], None]
    """A line of progress."""

    @property
    def prefix(self) -> str:
        """Begins the names of its topics and groups, and of nobody else's."""
        return f"{self.folder.parent.name}-{self.folder.name}-"

    def of(self, count: int) -> int:
        """A number of the full scale at this one; at least 1."""
        return max(1, round(count * self.scale))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an experiment found. All counts are counted, none is planned."""

    faults: int
    offered: int
    """Events; so are `acked` and `applied`."""
    acked: int
    applied: int
    decided: int
    """Actions; so are `delivered` and `repeated`. 0 where an experiment does not look at them."""
    delivered: int
    repeated: int
    missing: int
    """Events or actions that are not where they must be, by the checker."""
    surplus: int
    """Events or actions that are there too often."""
    stall_ms_max: float | None
    """None where it has no meaning."""
    recover_ms_p99: float | None
    figures: Mapping[str, float] = field(default_factory=dict)
    """Further figures by name; units end the name."""
    wrong: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()
    """What took longer than promised, and only that: smaller runs are then measured once more."""


@dataclass(frozen=True, slots=True)
class Experiment:
    number: int
    name: str
    title: str
    """The fault, in one line."""
    shows: str
    """What it is to show, in one line."""
    naive: str
    """Which protection the naive run lacks, in one line."""
    needs_kafka: bool
    run: Callable[[Run], Outcome]
    seconds: float
    """Rough length at scale 1, the naive run included: for planning lanes and limiting time."""
    alone: bool = False
    """Its promise is a time: nothing else runs beside it."""


def load(file: Path) -> Experiment:
    """The EXPERIMENT of a file.

    Raises:
        ValueError: The file has another name than its experiment.
    """
    spec = importlib.util.spec_from_file_location(f"tests.faults.experiments.{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.EXPERIMENT
    assert isinstance(found, Experiment)
    if found.name != file.stem:
        raise ValueError(f"{file.name} holds the experiment {found.name}")
    return found


def files(folder: Path = FOLDER) -> dict[str, Path]:
    """The files of experiments, by name."""
    return {each.stem: each for each in sorted(folder.glob("*.py")) if each.stem != "__init__"}


def p99(values: Iterable[float]) -> float | None:
    """The smallest value that 99 % of them do not exceed; None of nothing.

    >>> p99([3.0, 1.0, 2.0])
    3.0
    """
    found = sorted(values)
    return found[ceil(0.99 * len(found)) - 1] if found else None
