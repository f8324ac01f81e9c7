"""Fits of the models of churn and spend: found again what was put in, refused what cannot be fitted."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.btyd_fit import FitError, fit_gamma_gamma, fit_mbg_cnbd, fit_pareto_nbd
from processors.descent import descend
from processors.order_days import DAY_MS, OrderDays, OrderDaysError


def shop(customers: int, seed: int, regular: int = 1) -> OrderDays:
    """Customers who come in 13 weeks, order with gaps of Erlang form, and are lost at an order."""
    chance = np.random.default_rng(seed)
    ids, at_ms, amounts = [], [], []
    for customer in range(customers):
        at = float(chance.integers(0, 91))
        rate, leaving = chance.gamma(2.0, 0.15), chance.beta(0.8, 3.0)
        spends = chance.gamma(4.0, 10.0)
        alive = True
        while alive and at < 365:
            ids.append(f"c{customer}")
            at_ms.append(int(at) * DAY_MS)
            amounts.append(spends * chance.gamma(6.0, 1 / 6.0))
            at += max(1.0, 7 * chance.gamma(regular, 1 / (regular * rate)))
            alive = chance.random() >= leaving
    return OrderDays.gather(ids, at_ms, amounts)


@pytest.mark.slow
def test_a_rhythm_is_found() -> None:
    """Who orders like a clock and stays away is lost sooner than who orders at random."""
    history = shop(800, seed=3, regular=3).history(364)
    fitted = fit_mbg_cnbd(history)

    assert fitted.model.k in (2, 3, 4)
    assert fitted.model.a / (fitted.model.a + fitted.model.b) == pytest.approx(0.8 / 3.8, rel=0.25)


@pytest.mark.slow
def test_more_silence_than_the_rhythm_is_told_by_the_fitted_model() -> None:
    """Expected orders over the population come near to what happens: the fit and the sums fit together."""
    days = shop(1_500, seed=11)
    history = days.history(240)
    actual = days.orders_between(240, 240 + 91).sum()

    for model in (fit_mbg_cnbd(history).model, fit_pareto_nbd(history).model):
        assert model.expected(history.summary, 13.0).sum() == pytest.approx(actual, rel=0.15)


@given(st.permutations(range(60)))
def test_order_days_do_not_depend_on_the_order_of_arrival(order: list[int]) -> None:
    """Kafka redelivers and reorders; a fit must not."""
    ids = [f"c{n % 7}" for n in range(60)]
    at_ms = [(n * n % 31) * DAY_MS + n for n in range(60)]
    amounts = [0.1 * n for n in range(60)]
    one = OrderDays.gather(ids, at_ms, amounts)
    other = OrderDays.gather(
        [ids[n] for n in order], [at_ms[n] for n in order], [amounts[n] for n in order]
    )

    assert one.customers == other.customers
    for left, right in ((one.day, other.day), (one.micros, other.micros)):
        assert np.array_equal(left, right)
    assert one.micros.sum() == 177_000_000


@given(st.integers(0, 364))
def test_nothing_behind_the_cut_is_seen(cut: int) -> None:
    """A leak of the future makes every figure too good."""
    days = SHOP
    early = days.day <= cut
    if not early.any():
        with pytest.raises(OrderDaysError, match="cut later"):
            days.history(cut)
        return
    known = OrderDays(days.customers, days.customer[early], days.day[early], days.micros[early])
    one, other = days.history(cut), known.history(cut)

    assert np.array_equal(one.summary.recency, other.summary.recency)
    assert np.array_equal(one.summary.age, other.summary.age)
    assert np.array_equal(one.spend, other.spend)
    assert one.log_gaps == other.log_gaps
    ahead = days.orders_between(cut, 400)
    assert one.summary.frequency.sum() + len(one.summary) + ahead.sum() == len(days.day)


SHOP = shop(80, seed=1)


def test_too_little_is_refused_with_what_to_do() -> None:
    """Four parameters from a dozen customers are noise with digits."""
    few = OrderDays.gather([f"c{n}" for n in range(20)], [0] * 20, [1.0] * 20)
    once = OrderDays.gather([f"c{n}" for n in range(90)], [0] * 90, [1.0] * 90)
    with pytest.raises(FitError, match=r"20 customers.*cut later, or take more"):
        fit_pareto_nbd(few.history(30))
    with pytest.raises(FitError, match=r"0 of them with repeat orders"):
        fit_mbg_cnbd(once.history(30))
    with pytest.raises(FitError, match=r"check that orders have their amount"):
        fit_gamma_gamma(once.history(30))
    with pytest.raises(OrderDaysError, match=r"no orders: check"):
        OrderDays.gather([], [], [])


@pytest.mark.slow
def test_a_shop_that_nobody_leaves_is_fitted_within_bounds_and_refused_without() -> None:
    """Without bounds its best parameters lie at infinity."""
    chance = np.random.default_rng(2)
    ids, at_ms = [], []
    for customer in range(200):
        days = np.flatnonzero(chance.random(200) < 0.05 * chance.gamma(2.0, 0.5))
        for day in [0, *days.tolist()]:
            ids.append(f"c{customer}")
            at_ms.append(day * DAY_MS)
    history = OrderDays.gather(ids, at_ms, [1.0] * len(ids)).history(200)
    model = fit_pareto_nbd(history).model

    assert model.alive(history.summary).mean() > 0.9
    with pytest.raises(FitError, match="fit within bounds"):
        fit_pareto_nbd(history, free=True)


def test_a_descent_that_finds_no_bottom_says_so() -> None:
    """What has not settled must not be called a fit."""

    def slope(at: npt.NDArray[np.float64]) -> float:
        return -float(at.sum()) if at.max() < 0.5 else float("nan")  # it breaks off while falling

    found = descend(slope, np.array([0.3, -0.7]), np.full(2, -5.0), np.full(2, 5.0))

    assert not found.settled


@given(st.lists(st.floats(-3.0, 3.0), min_size=4, max_size=4))
def test_a_descent_ends_at_the_bottom_of_a_curved_valley(start: list[float]) -> None:
    """Rosenbrock's valley, twice."""

    def valley(at: npt.NDArray[np.float64]) -> float:
        return float(sum((1 - at[i]) ** 2 + 10 * (at[i + 1] - at[i] ** 2) ** 2 for i in (0, 2)))

    found = descend(valley, np.array(start), np.full(4, -10.0), np.full(4, 10.0))

    assert found.settled
    assert found.at == pytest.approx(np.ones(4), abs=1e-5)
