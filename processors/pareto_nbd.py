"""Pareto/NBD: a customer orders at random until, unseen, he is lost.

Promise   Log-likelihood, P(alive), expected orders and the chance of any, for many customers at once.
How       While alive a customer orders as a Poisson process of rate λ, and is lost at rate μ; over the
          customers λ ~ Gamma(r, α) and μ ~ Gamma(s, β). With x, t_x, T as in order_days.py:
              LL = lnΓ(r+x) − lnΓ(r) + r ln α + s ln β + ln(e^l1 + e^l2)
              l1 = −(r+x) ln(α+T) − s ln(β+T)                                        alive at T
              l2 = ln[ s ∫ (α+t)^−(r+x) (β+t)^−(s+1) dt  over t from t_x to T ]      lost in between
          With q = ((α+t)/(α+t_x))^−(r+x+s) the integrand becomes ((α+t)/(β+t))^(s+1), and with q = w^POWER
          its bend at q = 0 is straightened: so flat that NODES Gauss–Legendre nodes take the place of
          hypergeometric functions. (Over q itself they are 1e-5 off, which moves β in the fourth digit.)
          No order in the h weeks after T is the likelihood of (x, t_x, T+h) over that of (x, t_x, T).
Source    Schmittlein, Morrison, Colombo 1987, Management Science 33(1); Fader, Hardie 2005, A note on
          deriving the Pareto/NBD model. The published fit of the CDNOW sample is reached (docs/scores.md).
Limits    r, α, s, β above 0; weeks. A customer's log-likelihood is within 1e-9 for the parameters of the
          published fit, and 1e-3 for α = .5, β = 50 (tests/processors/test_btyd.py). In corners of the
          bounds, such as α = .2, β = 2,000, s = 8, it was seen to be .2 off.
Not here  Fitting (btyd_fit.py).
"""

from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.log_gamma import log_gamma
from processors.order_days import Summary

Floats = npt.NDArray[np.float64]

NODES: Final = 16
POWER: Final = 4.0
_PLACES, _WEIGHTS = np.polynomial.legendre.leggauss(NODES)
_AT: Final = ((_PLACES + 1.0) / 2.0)[:, None]  # nodes in (0, 1), one a row
_SHARE: Final = (_WEIGHTS / 2.0)[:, None]


@dataclass(frozen=True, slots=True)
class ParetoNbd:
    """The model with its four parameters, in weeks."""

    r: float
    alpha: float
    s: float
    beta: float

    def log_likelihood(self, summary: Summary) -> Floats:
        """Of each row, as one customer; the weights are left to the caller."""
        alive, lost = self._parts(summary)
        found: Floats = (
            log_gamma(self.r + summary.frequency)
            - log_gamma(self.r)
            + self.r * log(self.alpha)
            + self.s * log(self.beta)
            + np.logaddexp(alive, lost)
        )
        return found

    def alive(self, summary: Summary) -> Floats:
        """P(alive at T), in [0, 1]."""
        alive, lost = self._parts(summary)
        found: Floats = np.exp(alive - np.logaddexp(alive, lost))
        return found

    def expected(self, summary: Summary, weeks: float) -> Floats:
        """Orders in the weeks after T: P(alive) (r+x)/(α+T) ∫ ((β+T)/(β+T+t))^s dt over t up to `weeks`."""
        rate = (self.r + summary.frequency) / (self.alpha + summary.age)
        since = self.beta + summary.age
        # ∫ = (β+T) (1 − e^−(s−1) L) / (s − 1) with L = ln((β+T+w)/(β+T)), and (β+T) L at s = 1
        growth = np.log1p(weeks / since)
        steep = self.s - 1.0
        lived = since * (growth if steep == 0.0 else -np.expm1(-steep * growth) / steep)
        return self.alive(summary) * rate * lived

    def active(self, summary: Summary, weeks: float) -> Floats:
        """The chance of at least one order in the weeks after T."""
        silent = self.log_likelihood(summary.silent(weeks)) - self.log_likelihood(summary)
        return -np.expm1(np.minimum(silent, 0.0))

    def _parts(self, summary: Summary) -> tuple[Floats, Floats]:
        """l1 and l2; l2 is −∞ where T = t_x."""
        x, recency, age = summary.frequency, summary.recency, summary.age
        orders, power = self.r + x, self.r + x + self.s
        alive = -orders * np.log(self.alpha + age) - self.s * np.log(self.beta + age)
        since = self.alpha + recency
        within = -np.expm1(-power / POWER * np.log1p((age - recency) / since))  # 1 − w at T
        w = 1.0 - within * _AT
        at = since * w ** (-POWER / power)  # α + t
        flat = (at / (at + (self.beta - self.alpha))) ** (self.s + 1.0)
        with np.errstate(divide="ignore"):  # the logarithm of no time at all
            integral = np.log(POWER * within * (_SHARE * flat * w ** (POWER - 1.0)).sum(axis=0))
        return alive, np.log(self.s / power) - power * np.log(since) + integral
