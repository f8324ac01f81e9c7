"""Foretold: how well fires foretell an outcome.

Promise   A fire is right where an outcome follows within so much time: of the same order where both name one,
          else of the same customer. An outcome is foretold by the first fire that is right about it.
Not here  Which fires and outcomes are judged: backtest.py.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

QUANTILES: Final = (0.1, 0.5, 0.9)


class Lead(msgspec.Struct):
    """How long before the outcome the first right fire was, in seconds."""

    p10: float
    p50: float
    p90: float


class Foretold(msgspec.Struct):
    """How well fires foretold an outcome."""

    right: int  # fires that an outcome followed
    precision: float | None  # of the fires; None: there was none
    outcomes: int
    foretold: int  # outcomes that a fire came before
    recall: float | None  # of the outcomes; None: there was none
    lead_time: Lead | None


@dataclass(frozen=True, slots=True)
class Fired:
    """One fire, or one outcome."""

    rule: int
    customer_id: str
    order_id: str | None
    at_ms: int


def foretold(fires: Sequence[Fired], counted: Sequence[Fired], within_ms: int) -> Foretold:
    """Join fires with the outcomes that count."""
    by_key: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, each in enumerate(counted):
        for key in _keys(each):
            by_key[key].append(number)
    right, leads_s = 0, dict[int, float]()
    for each in sorted(fires, key=lambda fired: fired.at_ms):
        hits = [
            number
            for key in _looked_for(each)
            for number in by_key.get(key, ())
            if each.at_ms <= counted[number].at_ms <= each.at_ms + within_ms
        ]
        right += bool(hits)
        for number in hits:
            leads_s.setdefault(number, (counted[number].at_ms - each.at_ms) / 1_000)
    lead = None
    if leads_s:
        p10, p50, p90 = np.quantile(list(leads_s.values()), QUANTILES).round(3).tolist()
        lead = Lead(p10, p50, p90)
    return Foretold(
        right=right,
        precision=_share(right, len(fires)),
        outcomes=len(counted),
        foretold=len(leads_s),
        recall=_share(len(leads_s), len(counted)),
        lead_time=lead,
    )


def _keys(outcome: Fired) -> list[tuple[str, str]]:
    """What an outcome is found by: its order if it names one, else by whatever its customer did."""
    if outcome.order_id is None:
        return [("customer", outcome.customer_id), ("customer alone", outcome.customer_id)]
    return [("order", outcome.order_id), ("customer", outcome.customer_id)]


def _looked_for(fire: Fired) -> list[tuple[str, str]]:
    if fire.order_id is None:
        return [("customer", fire.customer_id)]
    return [("order", fire.order_id), ("customer alone", fire.customer_id)]


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
