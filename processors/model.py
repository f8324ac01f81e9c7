"""The model: what health, anomalies and admission mean for one business, as values.

Promise   A `Model` is complete and consistent: `parse` (model_file.py) has checked it whole.
How       Users edit a TOML file with a name and a version; `id` is written into every view, so that a
          score can always be traced to the file that made it.
Limits    The constants below.
Not here  Reading the file (model_file.py). The scores (health.py, anomaly.py).
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

COMPONENTS_MAX: Final = 16
SIGNALS_MAX: Final = 64  # of all components together
DETECTORS_MAX: Final = 16
ANOMALIES_KEPT_MAX: Final = 16


class SignalKind(IntEnum):
    """What a signal measures; the numbers are the kernel's."""

    COUNT = 0  # how many, decayed
    SUM = 1  # sum of the value, decayed
    MEAN = 2  # decayed mean of the value; its points fade as the evidence does
    SINCE = 3  # days since the last one
    PACE = 4  # rate of late against the usual rate: 1 is as usual, 0.5 half as much


class Shape(IntEnum):
    """How a measure x becomes points; the numbers are the kernel's."""

    LINE = 0  # from gives[0] at x = first to gives[1] at x = last, level outside
    SATURATING = 1  # most * x / (x + half_at): half of it at `half_at`, never more than `most`


@dataclass(frozen=True, slots=True)
class Points:
    """The mapping of a measure to points of its component; bounded on both sides."""

    shape: Shape
    first: float = 0.0  # LINE: x at the start of the line; SATURATING: half_at
    last: float = 1.0  # LINE
    at_first: float = 0.0  # LINE: points there; SATURATING: the most
    at_last: float = 0.0  # LINE

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the most points it can give."""
        return min(self.at_first, self.at_last), max(self.at_first, self.at_last)


@dataclass(frozen=True, slots=True)
class Signal:
    """One measure of one customer, and what it is worth to its component."""

    name: str
    of: tuple[str, ...]  # "order.placed", "click.*"
    kind: SignalKind
    points: Points
    value: str | None = None  # number field: SUM, MEAN
    half_life_ms: int = 0  # all but SINCE
    usual_half_life_ms: int = 0  # PACE
    evidence: float = 0.0  # MEAN: at this decayed count the points are worth half
    costs: str = ""  # the phrase where its points are negative
    gives: str = ""  # the phrase where they are positive


@dataclass(frozen=True, slots=True)
class Component:
    """One side of health: a level from `start`, moved by its signals."""

    name: str
    weight: float
    start: float  # its level before any points
    silence_counts: bool  # having no such event is data too (no complaints), not a lack of data
    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class Bands:
    """Where colours begin, and how firmly a customer stays in one."""

    amber: float
    green: float
    margin: float  # hysteresis: this far beyond the border, or the colour stays
    dwell_ms: int  # after a change the colour stays at least this long


@dataclass(frozen=True, slots=True)
class Health:
    """The health score of a model."""

    components: tuple[Component, ...]
    bands: Bands
    signal_points_max: float  # no one signal moves health by more, however weights renormalise
    freshness_half_life_ms: int  # confidence halves when a component has been silent this long
    trend_short_ms: int
    trend_long_ms: int


@dataclass(frozen=True, slots=True)
class Detector:
    """One series of the customer that is watched for what is unusual for this customer."""

    name: str
    of: tuple[str, ...]
    value: str | None  # number field; None counts events in periods of `period_ms`
    period_ms: int
    half_life_ms: int  # how soon habits are forgotten
    history_min: int  # observations before the first z-score
    presumed_spread: float  # before anything is seen: deviation as a share of the mean,
    presumed_weight: float  # as if so many observations had said so
    floor_absolute: float  # least scale, in units of the series
    floor_relative: float  # least scale, as a share of the mean
    clip: float  # an observation counts for at most this many scales towards the next mean
    alert: float  # |z| from which it is an anomaly
    low_too: bool  # whether unusually small ones are anomalies as well
    cool_down_ms: int  # no further alert for so long


@dataclass(frozen=True, slots=True)
class Admit:
    """What is let into a profile."""

    duplicates_kept: int
    lateness_ms: int


@dataclass(frozen=True, slots=True)
class Model:
    """A whole model file."""

    name: str
    version: int
    admit: Admit
    health: Health
    detectors: tuple[Detector, ...]
    anomalies_kept: int  # how many of the last anomalies a profile remembers

    @property
    def id(self) -> str:
        """What views and payloads say of the model, such as `default@1`."""
        return f"{self.name}@{self.version}"
