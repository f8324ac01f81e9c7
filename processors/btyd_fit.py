"""Fits of the models of churn and spend to what customers have done.

Promise   The parameters under which the data are most likely, or a FitError that says why there are none and
          what to do. The same data give the same parameters.
How       Descent on the logarithms of the parameters, from scaled starts: orders come at the rate of the
          data, and times are in parts of the mean age. Equal (x, t_x, T) are counted once, with their weight.
          By default with a weak prior, PRIOR (ln p − ln centre)² each, and within bounds: without them a
          shop where nobody is ever lost has its best β at infinity, which spoils all that is trained on it.
          `free` leaves both out, as published fits do. k of MBG/CNBD-k is the likeliest of 1 to K_MAX.
Limits    CUSTOMERS_MIN customers, REPEATERS_MIN with repeat orders. One fit costs some 200 evaluations.
Not here  The models (pareto_nbd.py, mbg_cnbd.py, gamma_gamma.py), the descent (descent.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from processors.descent import Lowest, descend
from processors.gamma_gamma import GammaGamma
from processors.mbg_cnbd import K_MAX, MbgCnbd
from processors.order_days import History, Summary
from processors.pareto_nbd import ParetoNbd

Floats = npt.NDArray[np.float64]
Model = TypeVar("Model")

PRIOR: Final = 0.05
CUSTOMERS_MIN: Final = 50  # below, four parameters say nothing
REPEATERS_MIN: Final = 10
WIDE: Final = 1e6  # how far from its centre a parameter may go when it is free
RUNAWAY: Final = 100.0  # so far away it has gone because more is always better
STARTS: Final = (1.0, 3.0, 0.3)  # of the centre, for the parameters of time
Bound = tuple[float, float]


class FitError(ValueError):
    """There is no fit; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Fitted(Generic[Model]):
    """A model, and how likely it makes the data."""

    model: Model
    log_likelihood: float  # without the prior
    rounds: int


def fit_pareto_nbd(history: History, *, free: bool = False) -> Fitted[ParetoNbd]:
    """Pareto/NBD.

    Raises:
        FitError: There is too little to fit, or no parameters are best.
    """
    summary = _enough(history)
    rate, age = _scales(summary)
    centre = np.array([0.6, 0.6 / rate, 0.6, age])
    bounds = [
        (np.exp(-4), np.exp(3)),
        (0.005 * age, 200 * age),
        (0.01, 10.0),
        (0.01 * age, 100 * age),
    ]

    def model(at: Floats) -> ParetoNbd:
        return ParetoNbd(*at.tolist())

    def likelihood(at: Floats) -> float:
        return float(summary.weight @ model(at).log_likelihood(summary))

    found = _best("Pareto/NBD", likelihood, centre, (1, 3), bounds, summary.customers, free=free)
    return _fitted(found, model, likelihood)


def fit_bg_nbd(history: History, *, free: bool = False) -> Fitted[MbgCnbd]:
    """BG/NBD; for comparison with what others have published.

    Raises:
        FitError: As for fit_pareto_nbd.
    """
    return _fit_counted(history, 1, at_first=False, free=free)


def fit_mbg_cnbd(
    history: History, of: Sequence[int] = range(1, K_MAX + 1), *, free: bool = False
) -> Fitted[MbgCnbd]:
    """MBG/CNBD-k with the likeliest k of these.

    Raises:
        FitError: As for fit_pareto_nbd, for every k.
    """
    fits, faults = [], []
    for k in of:
        try:
            fits.append(_fit_counted(history, k, at_first=True, free=free))
        except FitError as error:
            faults.append(error)
    if not fits:
        raise faults[0]
    return max(fits, key=lambda each: each.log_likelihood)


def fit_gamma_gamma(history: History) -> Fitted[GammaGamma]:
    """Gamma-Gamma over the customers with repeat orders of a positive amount.

    Raises:
        FitError: These are too few, or no parameters are best.
    """
    chosen = (history.summary.frequency > 0) & (history.spend > 0)
    frequency, spend = history.summary.frequency[chosen], history.spend[chosen]
    if len(spend) < REPEATERS_MIN:
        raise FitError(
            f"Gamma-Gamma: {len(spend)} customers have repeat orders with an amount, at least"
            f" {REPEATERS_MIN} are needed: cut later, or check that orders have their amount"
        )
    middle = float(np.median(spend))
    centre = np.array([4.0, 3.0, middle])

    def model(at: Floats) -> GammaGamma:
        return GammaGamma(*at.tolist())

    def likelihood(at: Floats) -> float:
        return float(model(at).log_likelihood(frequency, spend).sum())

    bounds = [(0.01, 1e3), (0.01, 1e3), (1e-3 * middle, 1e3 * middle)]
    found = _best("Gamma-Gamma", likelihood, centre, (2,), bounds, float(len(spend)), free=True)
    return _fitted(found, model, likelihood)


def _fit_counted(history: History, k: int, *, at_first: bool, free: bool) -> Fitted[MbgCnbd]:
    summary = _enough(history)
    rate, age = _scales(summary)
    centre = np.array([0.6, 0.6 / (rate * k), 0.8, 2.4])
    bounds = [(np.exp(-4), np.exp(3)), (0.005 * age / k, 200 * age), (0.01, 20.0), (0.01, 50.0)]

    def model(at: Floats) -> MbgCnbd:
        r, alpha, a, b = at.tolist()
        return MbgCnbd(k, r, alpha, a, b, at_first=at_first)

    def likelihood(at: Floats) -> float:
        return float(summary.weight @ model(at).log_likelihood(summary))

    name = f"MBG/CNBD-{k}" if at_first else "BG/NBD"
    found = _best(name, likelihood, centre, (1,), bounds, summary.customers, free=free)
    fitted = _fitted(found, model, likelihood)
    gaps = (k - 1) * history.log_gaps
    return Fitted(fitted.model, fitted.log_likelihood + gaps, fitted.rounds)


def _best(
    name: str,
    likelihood: Callable[[Floats], float],
    centre: Floats,
    of_time: Sequence[int],
    bounds: Sequence[Bound],
    customers: float,
    *,
    free: bool,
) -> Lowest:
    """The lowest end of the descents from all starts; per customer, so that slopes mean the same."""
    middle = np.log(centre)
    prior = 0.0 if free else PRIOR
    low, high = np.log(np.array(bounds, dtype=np.float64)).T
    if free:
        low, high = middle - np.log(WIDE), middle + np.log(WIDE)

    def cost(at: Floats) -> float:
        pull = prior * float(((at - middle) ** 2).sum())
        return (pull - likelihood(np.exp(at))) / customers

    ends = []
    for factor in STARTS:
        start = middle.copy()
        start[list(of_time)] += np.log(factor)
        with np.errstate(over="ignore", invalid="ignore"):
            ends.append(descend(cost, start, low, high))
    settled = [each for each in ends if each.settled]
    if not settled:
        raise FitError(
            f"{name} does not converge: after {ends[0].rounds} rounds the slope is still"
            f" {ends[0].slope:.1e}. Fit a longer history or more customers"
            + (", or fit within bounds" if free else "; the scores go on with the model in force")
        )
    best = min(settled, key=lambda each: each.value)
    if free and np.abs(best.at - middle).max() > np.log(RUNAWAY):
        raise FitError(f"{name} has no best parameters on these data: fit within bounds")
    return best


def _fitted(
    found: Lowest, model: Callable[[Floats], Model], likelihood: Callable[[Floats], float]
) -> Fitted[Model]:
    at = np.exp(found.at)
    return Fitted(model(at), likelihood(at), found.rounds)


def _enough(history: History) -> Summary:
    """The customers, grouped."""
    summary = history.summary
    repeaters = float(summary.weight[summary.frequency > 0].sum())
    if summary.customers < CUSTOMERS_MIN or repeaters < REPEATERS_MIN:
        raise FitError(
            f"{summary.customers:.0f} customers, {repeaters:.0f} of them with repeat orders: at least"
            f" {CUSTOMERS_MIN} and {REPEATERS_MIN} are needed; cut later, or take more customers"
        )
    return summary.grouped()[0]


def _scales(summary: Summary) -> tuple[float, float]:
    """Repeat orders a week, and mean age in weeks."""
    weeks = float(summary.weight @ summary.age)
    if weeks <= 0.0:
        raise FitError("all customers came on the day of the cut: cut later")
    return float(summary.weight @ summary.frequency) / weeks, weeks / summary.customers
