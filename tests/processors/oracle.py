"""What the aggregates mean, written slowly and in plain Python: the kernels are held to this.

Promise   Each function here is the definition that aggregate.py states, over the whole list of events.
Limits    Quadratic, and only for tests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from processors.aggregate import TILES_IN_WINDOW

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One admitted event that passed an aggregate's filter."""

    at_ms: int
    value: float


def admitted(events: Sequence[tuple[str, int]], kept: int, lateness_ms: int) -> list[str]:
    """What becomes of each (id, time): "admitted", "duplicate" or "late", in order of arrival."""
    recent: list[str] = []
    newest = 0
    answers = []
    for event_id, at_ms in events:
        if event_id in recent[-kept:]:
            answers.append("duplicate")
        elif at_ms < newest - lateness_ms:
            answers.append("late")
        else:
            answers.append("admitted")
            recent.append(event_id)
            newest = max(newest, at_ms)
    return answers


def decayed(samples: Sequence[Sample], half_life_ms: int, now_ms: int) -> float:
    """Every event's value, halved for each half-life since it happened."""
    return math.fsum(s.value * 2.0 ** ((s.at_ms - now_ms) / half_life_ms) for s in samples)


def moments(samples: Sequence[Sample], half_life_ms: int) -> tuple[float, float]:
    """Weighted mean and weighted standard deviation; weights halve every half-life."""
    newest = max(s.at_ms for s in samples)
    weights = [2.0 ** ((s.at_ms - newest) / half_life_ms) for s in samples]
    total = math.fsum(weights)
    mean = math.fsum(w * s.value for w, s in zip(weights, samples, strict=True)) / total
    squares = math.fsum(w * (s.value - mean) ** 2 for w, s in zip(weights, samples, strict=True))
    return mean, math.sqrt(squares / total)


def inside(samples: Sequence[Sample], window_ms: int, now_ms: int) -> list[Sample]:
    """The events in (now - window, now]."""
    return [s for s in samples if now_ms - window_ms < s.at_ms <= now_ms]


def window_count(
    samples: Sequence[Sample], window_ms: int, now_ms: int, exact_events: int
) -> tuple[float, bool]:
    """The count with its tiles, and whether it is approximate, by aggregate.py's definition."""
    newest_first = sorted(samples, key=lambda s: (s.at_ms, s.value), reverse=True)
    count = float(len(inside(newest_first[:exact_events], window_ms, now_ms)))
    start = now_ms - window_ms
    tile_ms = math.ceil(window_ms / TILES_IN_WINDOW)
    oldest = (start + 1) // tile_ms
    approximate = False
    for sample in newest_first[exact_events:]:
        tile = sample.at_ms // tile_ms
        is_partial = tile == oldest and start + 1 > tile * tile_ms
        if is_partial:
            count += ((tile + 1) * tile_ms - (start + 1)) / tile_ms
            approximate = True
        elif tile >= oldest:
            count += 1.0
    return count, approximate


def linear_count(buckets_hit: int, buckets: int) -> float:
    """Whang, Vander-Zanden and Taylor (1990): -m ln(empty / m)."""
    empty = buckets - buckets_hit
    return buckets * math.log(buckets / max(empty, 1))
