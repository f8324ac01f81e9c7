"""What health means, written slowly: from the list of a customer's events and the model, at one time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from processors.event import Event
from processors.model import Component, Health, Points, Shape, Signal, SignalKind

DAY_MS = 86_400_000


@dataclass
class Judged:
    """The health of one customer at one time."""

    level: float | None
    confidence: float = 0.0
    components: dict[str, float] = field(default_factory=dict)
    points: dict[str, float] = field(default_factory=dict)  # "component.signal"
    base: float = 0.0  # what the components start from


def matches(event: Event, of: Sequence[str]) -> bool:
    return any(name in {f"{event.type}.{event.action}", f"{event.type}.*"} for name in of)


def counted(signal: Signal, events: Sequence[Event]) -> list[tuple[int, float]]:
    """Times and values of the events that count for the signal."""
    found = []
    for event in events:
        value = 1.0 if signal.value is None else getattr(event, signal.value)
        if matches(event, signal.of) and value is not None:
            found.append((event.at_ms, value))
    return found


def decayed(times: Sequence[tuple[int, float]], now_ms: int, half_life_ms: int) -> float:
    return sum(value * 2 ** ((at_ms - now_ms) / half_life_ms) for at_ms, value in times)


def shaped(points: Points, x: float) -> float:
    if points.shape == Shape.SATURATING:
        return points.at_first * max(x, 0) / (max(x, 0) + points.first)
    along = min(max((x - points.first) / (points.last - points.first), 0), 1)
    return points.at_first + along * (points.at_last - points.at_first)


def points_of(signal: Signal, events: Sequence[Event], now_ms: int) -> float:
    found = counted(signal, events)
    times = [(at_ms, 1.0) for at_ms, _ in found]
    if signal.kind in {SignalKind.COUNT, SignalKind.SUM}:
        return shaped(signal.points, decayed(found, now_ms, signal.half_life_ms))
    if not found:
        return 0.0
    if signal.kind == SignalKind.SINCE:
        return shaped(signal.points, (now_ms - max(times)[0]) / DAY_MS)
    late = decayed(times, now_ms, signal.half_life_ms)
    if signal.kind == SignalKind.MEAN:
        mean = decayed(found, now_ms, signal.half_life_ms) / late
        return shaped(signal.points, mean) * late / (late + signal.evidence)
    span_ms = now_ms - min(times)[0]
    short, long = signal.half_life_ms, signal.usual_half_life_ms
    expected = decayed(times, now_ms, long)
    if span_ms > 0:
        expected *= short * (1 - 2 ** (-span_ms / short)) / (long * (1 - 2 ** (-span_ms / long)))
    return shaped(signal.points, (late + signal.evidence) / (expected + signal.evidence))


def newest(component: Component, events: Sequence[Event]) -> int | None:
    return max(
        (at_ms for signal in component.signals for at_ms, _ in counted(signal, events)),
        default=None,
    )


def judge(health: Health, events: Sequence[Event]) -> Judged:
    """The health after all these events, whatever their order."""
    now_ms = max(event.at_ms for event in events)
    known_ms = now_ms - min(event.at_ms for event in events)
    seen = {each.name: newest(each, events) for each in health.components}
    if all(at_ms is None for at_ms in seen.values()):
        return Judged(None)
    having = [c for c in health.components if c.silence_counts or seen[c.name] is not None]
    whole = sum(component.weight for component in having)
    judged = Judged(0.0)
    sure = 0.0
    for component in having:
        share = component.weight / whole
        limit = health.signal_points_max / share
        points = {
            signal.name: min(max(points_of(signal, events, now_ms), -limit), limit)
            for signal in component.signals
        }
        raw = component.start + sum(points.values())
        level = min(max(raw, 0.0), 100.0)
        over = math.fsum(p for p in points.values() if (p > 0) == (raw > 100))
        excess = raw - level
        for name, each in points.items():
            pushes = excess != 0 and (each > 0) == (raw > 100)
            kept = each * (over - excess) / over if pushes else each
            judged.points[f"{component.name}.{name}"] = share * kept
        judged.components[component.name] = level
        judged.level = (judged.level or 0.0) + share * level
        judged.base += share * component.start
        at_ms = seen[component.name]
        age_ms = now_ms - (at_ms or 0)
        half_life_ms = health.freshness_half_life_ms
        fresh = 2 ** (-age_ms / half_life_ms)
        if component.silence_counts:
            fresh = 1 - 2 ** (-known_ms / half_life_ms)
        sure += component.weight * fresh
    judged.confidence = sure / sum(component.weight for component in health.components)
    return judged
