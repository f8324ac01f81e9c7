"""The detector of series, judged by the Numenta Anomaly Benchmark (NAB).

Promise   The figures are those that NAB's own scorer gives for the same detections, with the threshold
          chosen on the series that are given, as the published figures have it.
How       A file's first 15 %, at most 750 rows, are probation: learnt, not judged. σ(y) = 2/(1 + e^5y) − 1,
          and −1 from y = 3 on. In a labelled window y goes from −1 (its first row) to 0 (past its last); a
          window earns the best σ(y)/σ(−1) of its detections, once; a window missed costs `missed`. Elsewhere
          a detection costs `false`·σ(y), y the distance behind the last window in widths of it, and −1 before
          the first. In percent of the way from a detector that says nothing to a perfect one. A profile is
          the costs.
Source    Lavin, Ahmad 2015, Evaluating real-time anomaly detection algorithms, IEEE ICMLA. Published: the
          best of the benchmark's scoreboard on all of its 58 series, by detectors that are told the range of
          the whole file. Ours is not.
Not here  The detector (processors/series.py). The files (nab_series.py).
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from processors.series import STATE_BYTES, Series
from streams.figures import Figure
from streams.nab_series import NabSeries, read

PROBATION: Final = 0.15
PROBATION_ROWS_MAX: Final = 750
FAR: Final = 3.0  # widths of a window behind it, from where on a false alarm costs all
TIMED_RUNS: Final = 3


@dataclass(frozen=True, slots=True)
class Profile:
    """What errors cost, in windows found at their first row."""

    name: str
    false: float
    missed: float
    published: float
    bar: float | None


PROFILES: Final = (  # published: ARTime; where false alarms weigh most, CAD OSE
    Profile("nab_standard", 0.11, 1.0, published=74.9, bar=78.0),
    Profile("nab_low_fp", 0.22, 1.0, published=67.0, bar=72.0),
    Profile("nab_low_fn", 0.11, 2.0, published=80.4, bar=None),
)


@dataclass(frozen=True, slots=True)
class Detections:
    """One series with its scores, one a row; a row that must not be a detection has 0."""

    series: NabSeries
    scores: Sequence[float]


def judge(folder: Path) -> list[Figure]:
    """All figures of a folder laid out as NAB's.

    Raises:
        NabDataError: the folder is not laid out so, or a file cannot be read.
    """
    series = read(folder)
    best_s = math.inf
    found: list[Detections] = []
    for _ in range(TIMED_RUNS):
        began_s = time.process_time()
        found = [detected(each) for each in series]
        best_s = min(best_s, time.process_time() - began_s)
    us = best_s * 1e6 / sum(len(each.values) for each in series)
    figures = []
    for profile in PROFILES:
        score, line = best(found, profile)
        figures.append(Figure(profile.name, score, profile.published, profile.bar))
        figures.append(Figure(f"{profile.name}_line", line))
    return [
        *figures,
        Figure("us_per_value", us, bar=10.0, ceiling=True),
        Figure("state_bytes", float(STATE_BYTES), bar=4096.0, ceiling=True),
        Figure("series", float(len(series))),
    ]


def detected(series: NabSeries) -> Detections:
    """What the detector says of a series, from an empty memory."""
    update = Series().update
    pairs = zip(series.values, series.at_s, strict=True)
    return Detections(series, [update(value, at_s).score for value, at_s in pairs])


def sigma(y: float) -> float:
    """What a detection at the place y is worth.

    >>> sigma(0.0), sigma(3.0), round(sigma(-1.0), 5)
    (0.0, -1.0, 0.98661)
    """
    return -1.0 if y >= FAR else 2.0 / (1.0 + math.exp(5.0 * y)) - 1.0


def worth(rows: int, windows: Sequence[tuple[int, int]]) -> Iterator[tuple[int | None, float]]:
    """For each row: the number of the window it lies in, or None, and what a detection there is worth.

    Args:
        rows: of the series.
        windows: first and last row of each, in order, apart from each other.
    """
    ahead = list(enumerate(windows))
    behind: tuple[int, int] | None = None
    for row in range(rows):
        if ahead and row > ahead[0][1][1]:
            behind = ahead.pop(0)[1]
        if ahead and row >= ahead[0][1][0]:
            number, (first, last) = ahead[0]
            yield number, sigma((row - last - 1) / (last - first + 1)) / sigma(-1.0)
        elif behind is None:
            yield None, -1.0
        else:
            yield None, sigma((row - behind[1]) / max(1, behind[1] - behind[0]))


def best(found: Sequence[Detections], profile: Profile) -> tuple[float, float]:
    """The score of the threshold that serves the profile best, in percent, and that threshold.

    Infinite where it is best to detect nothing.
    """
    ranked = sorted(_judged(found), key=lambda each: -each[0])
    count = sum(len(each.series.windows) for each in found)
    nothing = -profile.missed * count
    earned: dict[tuple[int, int], float] = {}
    score = top = nothing
    line = math.inf
    for place, (level, where, window, value) in enumerate(ranked):
        if window is None:
            score += profile.false * value
        else:
            before = earned.get((where, window), -profile.missed)
            earned[where, window] = max(before, value)
            score += max(before, value) - before
        is_whole = place + 1 == len(ranked) or ranked[place + 1][0] != level
        if is_whole and score > top:
            top, line = score, level
    return 100.0 * (top - nothing) / (count - nothing), line


def _judged(found: Sequence[Detections]) -> Iterator[tuple[float, int, int | None, float]]:
    """What may be a detection: score, number of the series, window, worth."""
    for where, each in enumerate(found):
        rows = len(each.scores)
        begin = min(int(PROBATION * rows), PROBATION_ROWS_MAX)
        for row, (window, value) in enumerate(worth(rows, each.series.windows)):
            if row >= begin and each.scores[row] > 0.0:
                yield each.scores[row], where, window, value
