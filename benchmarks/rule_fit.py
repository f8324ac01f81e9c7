"""What does each piece of a plan of rules cost? The constants of rules/cost.py.

Measures  Rule sets made of one kind of piece each, and two of the packs' mix, against no rules, in turns: the
          least of each, because noise only adds. Then the constants that explain all of them best, none
          below zero; the packs' mix counts for more.
Caveats   What pieces cost depends on each other by caches; the sets are as large as a few dozen rules.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks import rule_workload
from benchmarks.results import tell
from benchmarks.rules import engine, rounds
from rules.cost import Costing, Piece
from streams.step import Engine

EVENTS: Final = 98_304
MANY: Final = 60
MIX: Final = (50, 100, 200)  # rules
MIX_WEIGHT: Final = 4.0
ROUNDS: Final = 4
STEPS: Final = 20_000  # of the descent

Floats = npt.NDArray[np.float64]


def _one(*values: str, on: str = "") -> str:
    """A rule that works all of these out and does not fire."""
    lines = [f"[rule.r{number}]\n{on}when = '''{each}'''" for number, each in enumerate(values)]
    return "\n".join(f'{each}\nthen = [{{ log = "x" }}]\n' for each in lines)


def _sum(form: str, many: int = MANY) -> list[str]:
    """Conditions that add up so many values, twenty each; none holds."""
    parts = [form.format(k=number + 1, m=number + 10) for number in range(many)]
    return [
        " + ".join(parts[first : first + 20]) + " > 1000000000000"
        for first in range(0, len(parts), 20)
    ]


def designs() -> Iterator[tuple[str, str]]:
    """A name, and rules of mostly one kind of piece."""
    yield "operation", _one(*_sum("health * {m}", 4 * MANY))
    yield (
        "test",
        _one(*(f"page = '/x{k}' and health < 0" for k in range(MANY)), on='on = "click.*"\n'),
    )
    fields = "amount + items_count + score + sentiment"
    yield "field", _one(f"{fields} > 1000000000000", on='on = "order.*"\n')
    yield "read events", _one(*_sum("count(order.placed, {k}h)"))
    yield "fold window", _one(*_sum("count(click.*, {k}h)"))
    yield "fold events", _one(*_sum("count(order.*, 1d, exact {m})"))
    yield "fold events of clicks", _one(*_sum("count(click.*, 1d, exact {m})"))
    yield "extremes", _one(*_sum("coalesce(max(order.paid.amount, {k}h), 0)"))
    yield "decay", _one(*_sum("count(order.placed, half_life {k}d)"))
    yield "decay of clicks", _one(*_sum("count(click.*, half_life {k}d)"))
    yield "moments", _one(*_sum("coalesce(mean(order.*.amount, half_life {k}d), 0)"))
    yield "total", _one(*_sum("count(order.* where amount > {k})"))
    yield "last", _one(*_sum("coalesce(last(order.*.amount where amount > {k}), 0)"))
    yield "first", _one(*_sum("coalesce(first(order.*.amount where amount > {k}), 0)"))
    yield "minimum", _one(*_sum("coalesce(min(order.*.amount where amount > {k}), 0)"))
    yield "maximum", _one(*_sum("coalesce(max(order.*.amount where amount > {k}), 0)"))
    yield "distinct", _one(*_sum("distinct(order.*.terminal where amount > {k}, 7d)", 20))
    yield "distinct of windows", _one(*_sum("distinct(order.*.terminal, {k}d)"))
    yield "average", _one(*_sum("trend(health, {k}d)"))
    yield "rule edge", _one(*(f"health < -{k}" for k in range(1, 201)))
    yield "rule on", _one(*(f"health < -{k}" for k in range(1, 201)), on='on = "order.placed"\n')
    yield (
        "rule sequence",
        "".join(
            f'[rule.s{k}]\nsequence = ["click.add_to_cart", "no order.placed within {k}h"]\n'
            'key = "session_id"\nthen = [{ log = "x" }]\n'
            for k in range(1, 25)
        ),
    )


def constants() -> dict[str, object]:
    """The constants, and how well they explain each rule set, as nanoseconds measured and modelled."""
    files: dict[str, Mapping[str, bytes]] = {
        name: {"fit.toml": text.encode()} for name, text in designs()
    }
    files |= {f"mix of {count}": rule_workload.rules(count) for count in MIX}
    engines = {"none": engine({}), **{name: engine(text) for name, text in files.items()}}
    runs = rounds(engines, EVENTS, ROUNDS)
    least = {name: min(each.cpu_us_per_event for each in them) for name, them in runs.items()}
    asked = [_amounts(engines[name]) for name in files]
    measured = [1_000 * (least[name] - least["none"]) for name in files]
    names = sorted({name for each in asked for name in each})
    matrix = np.array([[each.get(name, 0.0) for name in names] for each in asked])
    weights = np.array([MIX_WEIGHT if name.startswith("mix") else 1.0 for name in files])
    found = _fitted(matrix, np.array(measured), weights)
    modelled = matrix @ found
    return {
        "ns": {name: round(float(ns), 3) for name, ns in zip(names, found, strict=True)},
        "explained": {
            name: [round(ns), round(float(model))]
            for name, ns, model in zip(files, measured, modelled, strict=True)
        },
    }


def _amounts(compiled: Engine) -> dict[str, float]:
    """How much of each kind of piece there is, each piece once."""
    costing = Costing(compiled.model)
    pieces: dict[str, Piece] = {}
    for rule in compiled.rules.rules:
        pieces |= costing.pieces(rule)
    found: dict[str, float] = defaultdict(float)
    for piece in pieces.values():
        for name, amount in piece.amounts.items():
            found[name] += amount
    return found


def _fitted(matrix: Floats, measured: Floats, importance: Floats) -> Floats:
    """Non-negative least squares of relative errors, by projected gradients (Lee and Seung's update)."""
    weights = importance / np.maximum(measured, 50.0)
    left, right = matrix * weights[:, None], np.maximum(measured, 0.0) * weights
    found = np.ones(matrix.shape[1])
    pulled = left.T @ right
    for _ in range(STEPS):
        found *= pulled / np.maximum(left.T @ (left @ found), 1e-12)
    return found


if __name__ == "__main__":
    tell("rule_constants", constants(), json_out=True, save=False)
