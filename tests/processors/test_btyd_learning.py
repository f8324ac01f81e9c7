"""What is learnt of churn: the ridge is at its lowest point, features are finite, and nothing leaks."""

import numpy as np
import pytest

from processors.btyd_features import FEATURES, features_of
from processors.btyd_fit import FitError
from processors.btyd_learning import Foretold, foretell
from processors.mbg_cnbd import MbgCnbd
from processors.order_days import DAY_MS, OrderDays
from processors.pareto_nbd import ParetoNbd
from processors.ridge import RidgeError, fit_ridge

MODELS = ParetoNbd(0.6, 8.0, 0.6, 10.0), MbgCnbd(2, 0.6, 4.0, 0.8, 2.0)


def shop(customers: int, days: int, seed: int) -> OrderDays:
    chance = np.random.default_rng(seed)
    ids, at_ms, amounts = [], [], []
    for customer in range(customers):
        at, rate = float(chance.integers(0, 40)), chance.gamma(1.0, 0.4)
        gone = at + 7 * chance.exponential(20.0)
        while at < min(days, gone):
            ids.append(f"c{customer}")
            at_ms.append(int(at) * DAY_MS)
            amounts.append(chance.gamma(3.0, 10.0))
            at += max(1.0, 7 * chance.exponential(1.0 / rate))
    return OrderDays.gather(ids, at_ms, amounts)


def test_the_ridge_stands_where_no_weight_leads_lower() -> None:
    """The definition: the slope of the penalised likelihood is nought."""
    chance = np.random.default_rng(4)
    features = chance.normal(2.0, 3.0, (400, 5))
    labels = chance.random(400) < 1 / (1 + np.exp(-features[:, 0] / 3))
    ridge = fit_ridge(features, labels, 7.0)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    rest = labels - 1 / (1 + np.exp(-(ridge.intercept + scaled @ ridge.weights)))

    assert rest.sum() == pytest.approx(0.0, abs=1e-8)
    assert scaled.T @ rest == pytest.approx(7.0 * ridge.weights, abs=1e-7)
    assert ridge.weights[0] > abs(ridge.weights[1:]).max()


def test_a_ridge_without_two_outcomes_or_with_holes_is_refused() -> None:
    """Such a model would answer everything alike."""
    with pytest.raises(RidgeError, match="outcomes are alike"):
        fit_ridge(np.ones((3, 1)), np.array([True, True, True]), 1.0)
    with pytest.raises(RidgeError, match="no number"):
        fit_ridge(np.array([[np.nan], [1.0]]), np.array([True, False]), 1.0)


def test_features_are_finite_also_for_who_came_today() -> None:
    """A hole in one row would spoil the model of all."""
    days = OrderDays.gather(
        ["a", "b", "b", "b"], [9 * DAY_MS, 0, 5 * DAY_MS, 9 * DAY_MS], [0, 1, 2, 3]
    )
    found = features_of(days, days.history(9), 9, 4.0, MODELS)

    assert found.shape == (2, FEATURES)
    assert np.isfinite(found).all()


def test_features_do_not_see_behind_the_cut() -> None:
    """A leak of the future makes every figure too good."""
    days = shop(60, 200, seed=8)
    early = days.day <= 100
    known = OrderDays(days.customers, days.customer[early], days.day[early], days.micros[early])
    one = features_of(days, days.history(100), 100, 4.0, MODELS)
    other = features_of(known, known.history(100), 100, 4.0, MODELS)

    assert np.array_equal(one, other)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_is_foretold_is_the_same_whatever_happens_afterwards() -> None:
    """The same at the cut, with the hold-out at hand and without it."""
    days = shop(300, 200, seed=6)
    early = days.day <= 150
    known = OrderDays(days.customers, days.customer[early], days.day[early], days.micros[early])
    one, other = foretell(days, 150, 50), foretell(known, 150, 50)

    assert isinstance(one, Foretold)
    assert np.array_equal(one.log_odds, other.log_odds)
    assert np.array_equal(one.orders, other.orders)
    assert one.cuts == 8  # from day 100 back by weeks, with a third of 151 days left to see
    assert one.factor == pytest.approx(1.0, abs=0.4)
    actual = days.orders_between(150, 200)[days.history(150).customer] > 0
    assert one.log_odds[actual].mean() > one.log_odds[~actual].mean() + 0.5


def test_a_history_of_days_is_too_short_to_learn_from() -> None:
    """Outcomes of less than a week would be chance."""
    with pytest.raises(FitError, match="days of history are too few"):
        foretell(shop(60, 12, seed=1), 11, 30)
