"""The models of churn and spend against their definitions, written slowly: integrals and series."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.gamma_gamma import GammaGamma
from processors.log_gamma import log_beta, log_gamma
from processors.mbg_cnbd import K_MAX, STAGES_MAX, HorizonError, MbgCnbd
from processors.order_days import Summary
from processors.pareto_nbd import ParetoNbd

Model = ParetoNbd | MbgCnbd

PANELS, EDGE = 4_000, 1e-300
PUBLISHED = ParetoNbd(0.553, 10.578, 0.606, 11.669)
MODELS: tuple[Model, ...] = (
    PUBLISHED,
    ParetoNbd(2.0, 30.0, 1.0, 5.0),
    MbgCnbd(1, 0.2425945, 4.4136019, 0.7929199, 2.4258881, at_first=False),
    *(MbgCnbd(k, 0.9, 3.0, 0.7, 1.6) for k in range(1, K_MAX + 1)),
)
CUSTOMERS = ((0, 0.0, 39.0), (1, 4.0, 38.0), (2, 30.43, 38.86), (7, 12.0, 30.0), (26, 30.857, 31.0))


def summary_of(*customers: tuple[int, float, float], weight: float = 1.0) -> Summary:
    x, recency, age = np.array(customers, dtype=np.float64).T
    return Summary(x, recency, age, np.full(len(x), weight))


def simpson(function: Callable[[float], float], low: float, high: float) -> float:
    """The integral by 4,000 panels: slow, obvious, and nothing like the module's nodes."""
    width = (high - low) / PANELS
    inner = math.fsum((4 if n % 2 else 2) * function(low + n * width) for n in range(1, PANELS))
    return (function(low) + inner + function(high)) * width / 3


def hypergeometric(a: float, b: float, c: float, z: float) -> float:
    """Gauss' series, term by term."""
    total = term = 1.0
    for n in range(100_000):
        term *= (a + n) * (b + n) / ((c + n) * (n + 1)) * z
        total += term
        if abs(term) < 1e-17 * abs(total):
            return total
    raise AssertionError("the series has not settled")


def pareto_by_integration(model: ParetoNbd, x: int, recency: float, age: float) -> float:
    """Ln L = ln of alive at T, and lost at any time between t_x and T."""
    r, alpha, s, beta = model.r, model.alpha, model.s, model.beta
    head = math.lgamma(r + x) - math.lgamma(r) + r * math.log(alpha) + s * math.log(beta)
    alive = (alpha + age) ** -(r + x) * (beta + age) ** -s
    lost = simpson(lambda t: (alpha + t) ** -(r + x) * (beta + t) ** -(s + 1), recency, age)
    return head + math.log(alive + s * lost)


def pareto_by_hypergeometric(model: ParetoNbd, x: int, recency: float, age: float) -> float:
    """The closed form that others use (Fader and Hardie 2005), for α ≤ β."""
    r, alpha, s, beta = model.r, model.alpha, model.s, model.beta
    power = r + s + x

    def part(at: float) -> float:
        z = (beta - alpha) / (beta + at)
        return hypergeometric(power, r + x, power + 1, z) * math.exp(-power * math.log(beta + at))

    head = math.lgamma(r + x) - math.lgamma(r) + r * math.log(alpha) + s * math.log(beta)
    alive = (alpha + age) ** -(r + x) * (beta + age) ** -s
    return head + math.log(alive + s / power * (part(recency) - part(age)))


@pytest.mark.parametrize("z", [1e-9, 0.01, 0.5, 1.0, 2.5, 9.999, 10.0, 171.0, 1e6])
def test_log_gamma_is_that_of_the_standard_library(z: float) -> None:
    """All likelihoods rest on it."""
    assert float(log_gamma(z)) == pytest.approx(math.lgamma(z), rel=2e-14, abs=2e-14)


@pytest.mark.slow
@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize(
    ("model", "within"),
    [
        (PUBLISHED, 1e-10),
        (ParetoNbd(2.0, 30.0, 1.0, 5.0), 1e-9),
        (ParetoNbd(0.5, 0.5, 3.0, 50.0), 1e-3),
    ],
)
def test_pareto_nbd_is_the_integral_that_defines_it(
    model: ParetoNbd, within: float, customer: tuple[int, float, float]
) -> None:
    """Sixteen nodes stand for an integral; where they did not, a fit would move and nobody would see it."""
    found = model.log_likelihood(summary_of(customer))

    assert found[0] == pytest.approx(pareto_by_integration(model, *customer), abs=max(within, 1e-9))


@pytest.mark.parametrize("customer", CUSTOMERS)
def test_pareto_nbd_is_the_closed_form_of_others(customer: tuple[int, float, float]) -> None:
    """The published fits were made with hypergeometric functions."""
    found = PUBLISHED.log_likelihood(summary_of(customer))

    assert found[0] == pytest.approx(pareto_by_hypergeometric(PUBLISHED, *customer), abs=1e-9)


def test_bg_nbd_expects_what_the_closed_form_says() -> None:
    """Fader, Hardie and Lee 2005, equation 10; ours is a sum over the orders to come."""
    r, alpha, a, b, weeks = 0.2425945, 4.4136019, 0.7929199, 2.4258881, 39.0
    model = MbgCnbd(1, r, alpha, a, b, at_first=False)
    summary = summary_of(*CUSTOMERS)
    expected = []
    for x, _, age in CUSTOMERS:
        growth = hypergeometric(r + x, b + x, a + b + x - 1, weeks / (alpha + age + weeks))
        shrunk = ((alpha + age) / (alpha + age + weeks)) ** (r + x)
        expected.append((a + b + x - 1) / (a - 1) * (1 - shrunk * growth))

    assert model.expected(summary, weeks) == pytest.approx(
        np.array(expected) * model.alive(summary)
    )


def test_what_is_published_for_single_customers_comes_out() -> None:
    """Figures of other programs at the published parameters, to the digits that these have in common."""
    bg = MbgCnbd(1, 0.2425945, 4.4136019, 0.7929199, 2.4258881, at_first=False)
    often, new = summary_of((26, 30.857, 31.0)), summary_of((0, 0.0, 0.0))

    assert bg.expected(often, 52.0)[0] == pytest.approx(25.75659, rel=1e-4)
    assert bg.alive(often)[0] == pytest.approx(0.9688523, abs=5e-6)
    assert bg.expected(summary_of((2, 30.43, 38.86)), 39.0)[0] == pytest.approx(1.226, abs=5e-4)
    assert bg.expected(new, 52.0)[0] == pytest.approx(1.444004, rel=1e-5)
    assert PUBLISHED.expected(often, 52.0)[0] == pytest.approx(25.45647, rel=1e-3)
    assert PUBLISHED.alive(often)[0] == pytest.approx(0.997874, abs=5e-6)
    assert PUBLISHED.expected(new, 52.0)[0] == pytest.approx(1.473434, rel=1e-3)


def simulated(model: MbgCnbd, weeks: float, seed: int, count: int) -> npt.NDArray[np.float64]:
    """Orders of new customers within so many weeks, played out one by one."""
    chance = np.random.default_rng(seed)
    orders = np.zeros(count)
    for index in range(count):
        rate = chance.gamma(model.r, 1.0 / model.alpha)
        leaving = chance.beta(model.a, model.b)
        at, alive = 0.0, chance.random() >= leaving
        while alive:
            at += chance.gamma(model.k, 1.0 / rate) if rate > EDGE else math.inf
            if at > weeks:
                break
            orders[index] += 1
            alive = chance.random() >= leaving
    return orders


@pytest.mark.slow
@pytest.mark.parametrize("k", range(1, K_MAX + 1))
def test_mbg_cnbd_expects_what_playing_it_out_brings(k: int) -> None:
    """The sum over Erlang stages is our own derivation; the definition is the game itself."""
    model = MbgCnbd(k, 1.2, 3.0, 0.7, 1.6)
    played = simulated(model, 20.0, seed=7, count=20_000)
    error = played.std() / math.sqrt(len(played))

    new = summary_of((0, 0.0, 0.0))
    assert model.expected(new, 20.0)[0] == pytest.approx(played.mean(), abs=4 * error)
    assert model.active(new, 20.0)[0] == pytest.approx((played > 0).mean(), abs=0.015)


@pytest.mark.parametrize("model", MODELS)
def test_the_likelihoods_of_all_histories_sum_to_one(model: Model) -> None:
    """Of what a customer can do within T weeks: nothing, once at some time, … (counted up to two orders)."""
    age, power = 6.0, np.polynomial.legendre.leggauss(64)
    at, share = (power[0] + 1) / 2 * age, power[1] / 2 * age
    k = model.k if isinstance(model, MbgCnbd) else 1
    none = math.exp(model.log_likelihood(summary_of((0, 0.0, age)))[0])
    gap = (k - 1) * np.log(at)
    once = np.exp(model.log_likelihood(summary_of(*((1, each, age) for each in at))) + gap) @ share

    # Two or more is what is left; it is no less than what exactly two bring.
    first = np.array([[u * v for u in at / age] for v in at]).reshape(-1)
    last = np.repeat(at, len(at))
    area = (share[:, None] * (share / age)[None, :]).reshape(-1) * last
    gaps = (k - 1) * (np.log(first) + np.log(last - first))
    rows = [(2, each, age) for each in last]
    twice = np.exp(model.log_likelihood(summary_of(*rows)) + gaps) @ area
    any_at_all = model.active(summary_of((0, 0.0, 0.0)), age)[0]
    assert none + once + twice < 1.0 + 1e-9
    assert none + any_at_all == pytest.approx(1.0, abs=1e-9)
    assert once + twice <= any_at_all + 1e-9
    assert once + twice > any_at_all / 2


histories = st.tuples(
    st.integers(0, 30), st.floats(0.0, 1.0), st.floats(0.1, 200.0), st.floats(0.1, 100.0)
)


@given(st.sampled_from(MODELS), histories)
def test_silence_never_makes_anybody_more_alive(
    model: Model, history: tuple[int, float, float, float]
) -> None:
    """A score that rises while a customer stays away would send the wrong people flowers."""
    x, share, age, silence = history
    now = summary_of((x, share * age if x else 0.0, age))
    alive, later = model.alive(now)[0], model.alive(now.silent(silence))[0]

    assert 0.0 <= later <= alive + 1e-12
    assert alive <= 1.0
    assert 0.0 <= model.active(now, 5.0)[0] <= alive + 1e-9
    assert model.active(now, 5.0)[0] <= model.expected(now, 5.0)[0] + 1e-9


@given(st.sampled_from(MODELS), histories)
def test_days_in_place_of_weeks_change_the_scale_and_nothing_else(
    model: Model, history: tuple[int, float, float, float]
) -> None:
    """Times and parameters of time times seven: each order's density is a seventh, no chance differs."""
    x, share, age, weeks = history
    customer = (x, share * age if x else 0.0, age)
    now, slow = summary_of(customer), summary_of((x, 7 * customer[1], 7 * age))
    if isinstance(model, ParetoNbd):
        k, days = 1, ParetoNbd(model.r, 7 * model.alpha, model.s, 7 * model.beta)
        other: Model = days
    else:
        k, other = (
            model.k,
            MbgCnbd(model.k, model.r, 7 * model.alpha, model.a, model.b, model.at_first),
        )

    shift = -x * k * math.log(7)  # Σ ln gaps, left to the caller, has (k − 1) of these
    assert other.log_likelihood(slow)[0] - model.log_likelihood(now)[0] == pytest.approx(
        shift, abs=1e-7
    )
    assert other.alive(slow)[0] == pytest.approx(model.alive(now)[0], abs=1e-9)
    assert other.expected(slow, 7 * weeks) == pytest.approx(model.expected(now, weeks), rel=1e-7)


@given(st.sampled_from(MODELS), st.lists(st.sampled_from(CUSTOMERS), min_size=1, max_size=20))
def test_a_weight_is_that_many_equal_customers(
    model: Model, customers: list[tuple[int, float, float]]
) -> None:
    """A million customers are fitted as some thousand rows."""
    summary = summary_of(*customers)
    grouped, places = summary.grouped()

    assert grouped.customers == len(customers)
    assert len(grouped) == len(set(customers))
    assert grouped.weight @ model.log_likelihood(grouped) == pytest.approx(
        model.log_likelihood(summary).sum(), rel=1e-12
    )
    assert model.alive(grouped)[places] == pytest.approx(model.alive(summary), rel=1e-12)


def test_more_orders_than_can_be_summed_are_refused() -> None:
    """A rate without measure would keep the sum going for ever."""
    model = MbgCnbd(1, 0.5, 1e-6, 0.01, 50.0)
    with pytest.raises(HorizonError, match=f"more than {STAGES_MAX:,} stages.*shorter time"):
        model.expected(summary_of((0, 0.0, 0.0)), 1e6)


def test_gamma_gamma_is_the_integral_that_defines_it() -> None:
    """Given κ the sum of x amounts is Gamma(px, κ); over the customers κ is Gamma(q, γ)."""
    p, q, gamma, x, mean = 6.25, 3.74, 15.44, 3.0, 40.0
    found = GammaGamma(p, q, gamma).log_likelihood(np.array([x]), np.array([mean]))[0]

    def density(kappa: float) -> float:
        shape = p * x
        of_mean = shape * math.log(x * kappa) + (shape - 1) * math.log(mean) - x * kappa * mean
        of_kappa = q * math.log(gamma) + (q - 1) * math.log(kappa) - gamma * kappa
        return math.exp(of_mean - math.lgamma(shape) + of_kappa - math.lgamma(q))

    assert found == pytest.approx(math.log(simpson(density, 1e-12, 3.0)), abs=1e-9)


def test_log_beta_is_the_integral_that_defines_it() -> None:
    """B(2, 3) = 1/12."""
    assert float(log_beta(2.0, 3.0)) == pytest.approx(-math.log(12.0), abs=1e-14)
