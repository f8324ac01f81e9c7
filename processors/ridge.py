"""Ridge: a logistic model of many features, held small; learnt without any training library.

Promise   The one best set of weights, the same on every machine that computes alike, or a RidgeError.
How       Features are brought to mean 0 and deviation 1. Then Newton's steps on
              Σ ln(1 + e^∓z) + ½ λ Σ bᵢ²,  z = b₀ + Σ bᵢ xᵢ     (− where the outcome came, + where not)
          which is convex, so that there is one lowest point; a step that does not lower it is halved.
          When scoring, a feature counts as at most CLIP deviations: what was never seen says no more.
Source    Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 4.4.
Limits    STEPS_MAX steps; memory for one matrix of features.
Not here  Features (btyd_features.py).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

STEPS_MAX: Final = 50
HALVINGS_MAX: Final = 20
SETTLED: Final = 1e-9
CLIP: Final = 4.0


class RidgeError(ValueError):
    """Nothing can be learnt; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """A learnt model."""

    mean: Floats
    deviation: Floats
    weights: Floats
    intercept: float

    def log_odds(self, features: Floats) -> Floats:
        """Of each row."""
        scaled = np.clip((features - self.mean) / self.deviation, -CLIP, CLIP)
        return np.asarray(self.intercept + scaled @ self.weights, dtype=np.float64)


def fit_ridge(features: Floats, labels: npt.NDArray[np.bool_], penalty: float) -> Ridge:
    """The model of these rows and labels.

    Raises:
        RidgeError: All labels are equal, or a feature is no number.
    """
    if labels.all() or not labels.any():
        raise RidgeError("all outcomes are alike: take more customers or a longer time")
    if not np.isfinite(features).all():
        raise RidgeError("a feature is no number: check the amounts of the orders")
    mean = features.mean(axis=0)
    deviation = features.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    rows = np.column_stack([np.ones(len(labels)), (features - mean) / deviation])
    held = np.full(rows.shape[1], penalty)
    held[0] = 0.0
    sign = np.where(labels, -1.0, 1.0)

    def cost(at: Floats) -> float:
        return float(np.logaddexp(0.0, sign * (rows @ at)).sum() + 0.5 * held @ (at * at))

    at = np.zeros(rows.shape[1])
    at[0] = np.log(labels.mean() / (1.0 - labels.mean()))
    value = cost(at)
    for _ in range(STEPS_MAX):
        chance = 1.0 / (1.0 + np.exp(-np.clip(rows @ at, -500.0, 500.0)))
        slope = rows.T @ (chance - labels) + held * at
        bend = (rows * (chance * (1.0 - chance))[:, None]).T @ rows + np.diag(held + 1e-12)
        way = np.linalg.solve(bend, slope)
        for _halving in range(HALVINGS_MAX):
            lower = cost(at - way)
            if lower <= value:
                break
            way = way / 2.0
        else:
            break  # rounding is all that is left
        at, value = at - way, lower
        if np.abs(way).max() <= SETTLED:
            break
    return Ridge(mean, deviation, at[1:], float(at[0]))
