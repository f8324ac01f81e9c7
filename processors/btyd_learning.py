"""Churn and orders to come, learnt at earlier cuts of the same history.

Promise   Nothing behind the cut is used, neither for a label nor for a base model: each earlier cut has its
          own fit (of the k that is likeliest at the last).
How       With S days of history, CUTS_MAX cuts at most: the first so that h = min(H, S/3) days are left for
          outcomes, and back by a week while S/3 of history remains. At each the base models are fitted, and
          what the next h days brought is learnt by a ridge, whose log-odds rank the customers. Orders are
          Pareto/NBD's over the H days, times one factor for all: what came in those outcomes over what
          the fits had expected.
Source    The recipe was found to work on public data (docs/scores.md).
Limits    As the fits: FitError where a cut has too little. PENALTY is that of weekly cuts, which repeat most
          of each other's outcomes.
Not here  Boosted trees; money.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.btyd_features import features_of
from processors.btyd_fit import FitError, fit_mbg_cnbd, fit_pareto_nbd
from processors.order_days import WEEK_DAYS, OrderDays
from processors.ridge import fit_ridge

Floats = npt.NDArray[np.float64]

CUTS_MAX: Final = 12
CUT_DAYS: Final = 7
PENALTY: Final = 300.0
SHARE: Final = 3  # a third of the history for outcomes, and at least a third to see


@dataclass(frozen=True, slots=True, eq=False)
class Foretold:
    """What is foretold of the customers known at the cut, in the order of their history."""

    log_odds: Floats  # that a customer orders at all: a rank, learnt over `label_days`
    orders: Floats  # expected in the days asked for
    base: Floats  # the same without the factor
    factor: float
    cuts: int
    label_days: int


def foretell(days: OrderDays, last_day: int, horizon_days: int) -> Foretold:
    """What the customers known at the end of `last_day` will do in so many days.

    Raises:
        FitError: There is too little history for the fits, here or at an earlier cut.
        RidgeError: All outcomes at the earlier cuts are alike.
    """
    seen_days = last_day - int(days.day.min()) + 1
    label_days = min(horizon_days, seen_days // SHARE)
    cuts = [
        cut
        for cut in range(last_day - label_days, last_day - seen_days, -CUT_DAYS)
        if SHARE * (cut - last_day + seen_days) >= seen_days
    ][:CUTS_MAX]
    if not cuts or label_days < CUT_DAYS:
        raise FitError(f"{seen_days} days of history are too few to learn from: take more")
    known = days.history(last_day)
    now = fit_pareto_nbd(known).model, fit_mbg_cnbd(known).model
    shown, outcomes = [], []
    came = expected = 0.0
    weeks = label_days / WEEK_DAYS
    for cut in cuts:
        history = days.history(cut)
        models = fit_pareto_nbd(history).model, fit_mbg_cnbd(history, (now[1].k,)).model
        orders = days.orders_between(cut, cut + label_days)[history.customer]
        shown.append(features_of(days, history, cut, weeks, models))
        outcomes.append(orders > 0)
        came += float(orders.sum())
        expected += float(models[0].expected(history.summary, weeks).sum())
    ridge = fit_ridge(np.concatenate(shown), np.concatenate(outcomes), PENALTY)
    factor = came / expected
    base = now[0].expected(known.summary, horizon_days / WEEK_DAYS)
    return Foretold(
        log_odds=ridge.log_odds(features_of(days, known, last_day, weeks, now)),
        orders=base * factor,
        base=base,
        factor=factor,
        cuts=len(cuts),
        label_days=label_days,
    )
