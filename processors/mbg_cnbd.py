"""MBG/CNBD-k and BG/NBD: a customer may be lost at each order, and orders more or less regularly.

Promise   Log-likelihood, P(alive), expected orders and the chance of any, for many customers at once.
How       Gaps between orders are Erlang-k of rate λ (k = 1: any time is as good; more: a rhythm); after each
          order a customer is lost with probability p. λ ~ Gamma(r, α) and p ~ Beta(a, b) over the
          customers. With `at_first` he may be lost at his first order already (MBG), else only at a
          repeat (BG/NBD, k = 1), which calls everyone alive who has bought once. With τ = T − t_x:
              alive = B(a, b+x+1) Σ_{j<k} τ^j/j! Γ(r+kx+j) / (α+T)^(r+kx+j)
              lost  = B(a+1, b+x) Γ(r+kx) / (α+t_x)^(r+kx)
              LL    = ln(alive + lost) − ln B(a, b) + r ln α − lnΓ(r) + (k−1) Σ ln gaps − x lnΓ(k)
          without `at_first` b is one less in both, and lost is 0 at x = 0.
          Expected orders are exact: given alive with j stages of the next gap gone, λ ~ Gamma(r+kx+j, α+T)
          and p ~ Beta(a, b+x+1), so that the stages N in the next weeks are negative binomial and
              E = P(alive) Σ_j w_j Σ_{n≥1} E[(1−p)^(n−1)] P(N ≥ kn − j)
Source    Fader, Hardie, Lee 2005, Marketing Science 24(2) (BG/NBD); Platzer, Reutterer 2016, Marketing
          Science 35(5). Expected orders in place of their approximation: our derivation.
Limits    Parameters above 0, k from 1 to K_MAX. Gaps enter the likelihood as one constant of the data, which
          the caller adds to compare several k. Expected orders: STAGES_MAX stages, tails below TAIL cut.
Not here  Fitting and the choice of k (btyd_fit.py).
"""

from dataclasses import dataclass
from math import lgamma, log
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.log_gamma import log_beta, log_gamma
from processors.order_days import Summary

Floats = npt.NDArray[np.float64]

K_MAX: Final = 4
STAGES_MAX: Final = 50_000
TAIL: Final = 1e-12  # of the chance that so many stages are gone


class HorizonError(ValueError):
    """More orders are expected than can be summed up; the message says what to do."""


@dataclass(frozen=True, slots=True)
class MbgCnbd:
    """The model with its parameters, in weeks; BG/NBD with k = 1 and not `at_first`."""

    k: int
    r: float
    alpha: float
    a: float
    b: float
    at_first: bool = True

    def log_likelihood(self, summary: Summary) -> Floats:
        """Of each row, as one customer, without the constants (k−1) Σ ln gaps; weights are the caller's."""
        stages, lost = self._parts(summary)
        found: Floats = (
            np.logaddexp(np.logaddexp.reduce(stages, axis=0), lost)
            - log_beta(self.a, self.b)
            + self.r * log(self.alpha)
            - log_gamma(self.r)
            - summary.frequency * lgamma(self.k)
        )
        return found

    def alive(self, summary: Summary) -> Floats:
        """P(alive at T), in [0, 1]."""
        stages, lost = self._parts(summary)
        alive = np.logaddexp.reduce(stages, axis=0)
        found: Floats = np.exp(alive - np.logaddexp(alive, lost))
        return found

    def active(self, summary: Summary, weeks: float) -> Floats:
        """The chance of at least one order in the weeks after T."""
        silent = self.log_likelihood(summary.silent(weeks)) - self.log_likelihood(summary)
        return -np.expm1(np.minimum(silent, 0.0))

    def expected(self, summary: Summary, weeks: float) -> Floats:
        """Orders in the weeks after T.

        Raises:
            HorizonError: Somebody is expected to go through more than STAGES_MAX stages.
        """
        stages, lost = self._parts(summary)
        alive = np.logaddexp.reduce(stages, axis=0)
        share = np.exp(stages - np.logaddexp(alive, lost))  # P(alive, and j stages gone)
        found = np.zeros(len(summary))
        for gone in range(self.k):
            found += share[gone] * self._orders(summary, weeks, gone)
        return found

    def _parts(self, summary: Summary) -> tuple[Floats, Floats]:
        """Logarithms of the alive terms, shape (k, rows), and of lost."""
        x, recency, age = summary.frequency, summary.recency, summary.age
        kept = self.b + x + self.at_first
        stages = self.r + self.k * x
        alive = np.empty((self.k, len(summary)))
        base = log_beta(self.a, kept)
        with np.errstate(divide="ignore"):
            since = np.log(age - recency)
        for j in range(self.k):
            gone = j * since - lgamma(j + 1.0) if j else np.zeros(len(summary))
            alive[j] = base + gone + log_gamma(stages + j) - (stages + j) * np.log(self.alpha + age)
        before = kept - np.where(x > 0, 1.0, float(self.at_first))
        lost = log_beta(self.a + 1.0, before) + log_gamma(stages)
        lost -= stages * np.log(self.alpha + recency)
        return alive, lost if self.at_first else np.where(x > 0, lost, -np.inf)

    def _orders(self, summary: Summary, weeks: float, gone: int) -> Floats:
        """Σ_{n≥1} E[(1−p)^(n−1)] P(N ≥ kn − gone) for customers who are alive."""
        kept = self.b + summary.frequency + self.at_first
        power = self.r + self.k * summary.frequency + gone
        passed = weeks / (self.alpha + summary.age + weeks)
        found = np.zeros(len(summary))
        staying = np.ones(len(summary))  # E[(1−p)^(n−1)]
        log_mass = power * np.log1p(-passed)  # of N = 0
        above = np.ones(len(summary))  # P(N ≥ stage)
        left = np.arange(len(summary))
        due, number = self.k - gone, 1
        for stage in range(1, STAGES_MAX + 1):
            above = above - np.exp(log_mass)
            log_mass = log_mass + np.log(passed * (power + (stage - 1)) / stage)
            if stage < due:
                continue
            found[left] += staying * np.maximum(above, 0.0)
            staying = staying * (kept + (number - 1)) / (self.a + kept + (number - 1))
            due, number = due + self.k, number + 1
            going = above > TAIL
            if not going.any():
                return found
            if not going.all():
                left, staying, log_mass = left[going], staying[going], log_mass[going]
                above, kept, power, passed = above[going], kept[going], power[going], passed[going]
        raise HorizonError(
            f"within {weeks:g} weeks more than {STAGES_MAX:,} stages of orders are possible:"
            " ask for a shorter time, or fit the model within its bounds"
        )
