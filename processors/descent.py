"""Descent: the lowest point of a smooth function of a few numbers within bounds.

Promise   The same point on every machine that computes alike; at least as low as the start. `settled` says
          whether no direction leads down any more, and nothing else is called a minimum.
How       BFGS. The gradient by central differences (steps of STEP: rounding and curvature each cost some
          1e-10). A coordinate that stands at its bound and is drawn outwards rests. Each round goes at most
          REACH along a coordinate, halving until the function falls by a part of what the gradient foretells.
Source    Nocedal, Wright, Numerical Optimization, 2nd ed., chapters 3, 6 and 8.1.
Limits    ROUNDS_MAX rounds, HALVINGS_MAX halvings each. Made for the four parameters of a model, not for
          hundreds. The lowest point in reach of the start: who fears several gives several starts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

STEP: Final = 1e-5
REACH: Final = 1.0
ROUNDS_MAX: Final = 200
HALVINGS_MAX: Final = 40
FALL: Final = 1e-4  # of the fall that the gradient foretells (Armijo)
SLOPE_MAX: Final = 1e-9  # below, rounding is all that is left
SETTLED: Final = 1e-6  # slope at which a point that cannot be improved counts as a minimum


@dataclass(frozen=True, slots=True, eq=False)
class Lowest:
    """Where the descent has ended."""

    at: Floats
    value: float
    slope: float  # largest absolute component of the gradient, resting ones aside
    rounds: int
    settled: bool


def descend(
    function: Callable[[Floats], float], start: Floats, low: Floats, high: Floats
) -> Lowest:
    """Go down from `start`, which is brought within the bounds first.

    >>> valley = lambda at: float((at[0] - 3.0) ** 2 + 10.0 * (at[1] + 1.0) ** 2)
    >>> wide, box = np.full(2, 10.0), np.array([2.0, 10.0])
    >>> descend(valley, np.zeros(2), -wide, wide).at.round(6).tolist()
    [3.0, -1.0]
    >>> descend(valley, np.zeros(2), -box, box).at.round(6).tolist()  # the first rests at its bound
    [2.0, -1.0]
    """
    at = np.clip(np.asarray(start, dtype=np.float64), low, high)
    value = function(at)
    gradient = _gradient(function, at)
    inverse = np.eye(len(at))
    fresh, rounds = True, 0
    while rounds < ROUNDS_MAX:
        free = ~(((at <= low) & (gradient > 0)) | ((at >= high) & (gradient < 0)))
        if not free.any() or np.abs(gradient[free]).max() <= SLOPE_MAX:
            break
        rounds += 1
        found = _step(function, at, value, np.where(free, gradient, 0.0), inverse, (low, high))
        if found is None:
            if fresh:
                break  # not even along the gradient
            inverse, fresh = np.eye(len(at)), True
            continue
        moved, lower = found
        turned = _gradient(function, moved)
        inverse = _learnt(inverse, moved - at, turned - gradient)
        at, value, gradient, fresh = moved, lower, turned, False
    free = ~(((at <= low) & (gradient > 0)) | ((at >= high) & (gradient < 0)))
    slope = float(np.abs(gradient[free]).max(initial=0.0))
    return Lowest(at, value, slope, rounds, bool(np.isfinite(value)) and slope <= SETTLED)


def _step(
    function: Callable[[Floats], float],
    at: Floats,
    value: float,
    gradient: Floats,
    inverse: Floats,
    bounds: tuple[Floats, Floats],
) -> tuple[Floats, float] | None:
    """A lower point and its value; None where none is found on this way."""
    free = gradient != 0.0
    way = np.where(free, -(np.where(free[:, None] & free, inverse, 0.0) @ gradient), 0.0)
    if way @ gradient >= 0.0:
        way = -gradient
    size = min(1.0, REACH / float(np.abs(way).max()))
    for _ in range(HALVINGS_MAX):
        moved = np.clip(at + size * way, *bounds)
        lower = function(moved)
        foretold = float(gradient @ (moved - at))
        if np.isfinite(lower) and lower < value and lower <= value + FALL * foretold:
            return moved, lower
        size /= 2.0
    return None


def _learnt(inverse: Floats, moved: Floats, turned: Floats) -> Floats:
    """The inverse curvature, with what one step has shown (BFGS)."""
    along = float(moved @ turned)
    if along <= 1e-12 * float(np.linalg.norm(moved) * np.linalg.norm(turned)):
        return inverse
    if np.array_equal(inverse, np.eye(len(moved))):
        inverse = inverse * (along / float(turned @ turned))
    left = np.eye(len(moved)) - np.outer(moved, turned) / along
    return left @ inverse @ left.T + np.outer(moved, moved) / along


def _gradient(function: Callable[[Floats], float], at: Floats) -> Floats:
    steps = np.eye(len(at)) * STEP
    return np.array([(function(at + each) - function(at - each)) / (2.0 * STEP) for each in steps])
