"""What the tests of replay share: engines from texts, disorder, and the comparison of final states.

Disorder  Each row arrives late by a seeded delay: 90 % by less than 5 s, 9 % by less than 10 min, 1 % by
          less than a day; and 0.1 % arrive twice, each time with a delay of its own.
Compared  Every column of every customer's row that must not depend on the order of arrival: all
          aggregates. Sums that decay may differ by rounding (DECAYED_REL); all others not at all.
          PATH_DEPENDENT columns remember the order by design: the ring of recent ids, the band
          (hysteresis and dwell), the anomalies' own history, the rules' edges and cooldowns, and the
          time averages below a trend.
"""

from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from processors.layout import Layout, unpack
from processors.model_file import default_model
from processors.plan import PlanBuilder
from processors.scores import Scores
from rules.load import load
from rules.ruleset import RuleSet
from streams.replay import Replayed
from streams.source import Source
from streams.step import Engine

SECOND_MS, DAY_MS = 1_000.0, 86_400_000.0
DUPLICATED: Final = 0.001
DECAYED_REL: Final = 1e-9
PATH_DEPENDENT: Final = ("recent_ids", "health.band", "anomaly.", "rule|", "average|")
PATH_DEPENDENT_IN_VIEWS: Final = ("band", "trend", "anomalies")


def engine_of(*rules: str) -> Engine:
    """An engine with the default model and the rules of these TOML texts."""
    model = default_model()
    if not rules:
        return Engine(model, RuleSet())
    builder = PlanBuilder()
    Scores.compile(builder, model)
    files = {f"{number}.toml": text.encode() for number, text in enumerate(rules)}
    return Engine(model, load(files, builder.names))


class _At(msgspec.Struct):
    at_ms: int


def values_of(source: Source) -> Iterable[bytes]:
    return (value or b"" for chunk in source.chunks() for value in chunk.values)


def disordered(values: Iterable[bytes], seed: int) -> tuple[list[bytes], int]:
    """The values in a seeded order of arrival, and how many of them are duplicates."""
    random = Random(seed)
    at_of = msgspec.json.Decoder(_At).decode
    arrivals: list[tuple[float, int, bytes]] = []
    duplicates = 0
    for value in values:
        repeated = random.random() < DUPLICATED
        duplicates += repeated
        for _ in range(1 + repeated):
            arrivals.append((at_of(value).at_ms + _delay_ms(random), len(arrivals), value))
    return [value for _, _, value in sorted(arrivals)], duplicates


def _delay_ms(random: Random) -> float:
    share = random.random()
    if share < 0.90:
        return random.uniform(0, 5 * SECOND_MS)
    return random.uniform(0, 600 * SECOND_MS if share < 0.99 else DAY_MS)


def write_lines(file: Path, values: Iterable[bytes]) -> Path:
    file.write_bytes(b"\n".join(values) + b"\n")
    return file


def differences(engine: Engine, one: Replayed, other: Replayed) -> dict[str, float]:
    """What differs between two final states, by column or by field of the view.

    The value is the largest relative difference; 1.0 for what is no number.
    """
    customers = sorted(one.rows)
    assert customers == sorted(other.rows), "both know the same customers"
    layout = engine.plan.layout
    ours, theirs = _matrix(layout, one, customers), _matrix(layout, other, customers)
    found = {}
    for name, (at, words) in layout.columns.items():
        left, right = ours[:, at : at + words], theirs[:, at : at + words]
        apart = left != right
        if apart.any() and not name.startswith(PATH_DEPENDENT):
            worst = 1.0
            if name.startswith(("decay|", "moments|")):
                numbers = left[apart].view(np.float64), right[apart].view(np.float64)
                worst = float(np.max(np.abs(1.0 - numbers[0] / numbers[1])))
            if worst > DECAYED_REL:
                found[name] = worst
    return {**found, **_differing_fields(one, other)}


def _matrix(layout: Layout, replayed: Replayed, customers: list[str]) -> npt.NDArray[np.int64]:
    rows = np.zeros((len(customers), layout.words), dtype=np.int64)
    blobs = [replayed.rows[each] for each in customers]
    unpack(layout, blobs, rows, np.arange(len(customers), dtype=np.int64))
    return rows


def _differing_fields(one: Replayed, other: Replayed) -> dict[str, float]:
    found: dict[str, float] = {}
    for customer, view in one.views.items():
        ours, theirs = msgspec.json.decode(view), msgspec.json.decode(other.views[customer])
        assert ours.keys() == theirs.keys()
        for field in ours.keys() - set(PATH_DEPENDENT_IN_VIEWS):
            if ours[field] != theirs[field]:
                found[f"view.{field}"] = 1.0
    return found
