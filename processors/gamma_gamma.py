"""Gamma-Gamma: what a customer spends on an order, from the mean of those that he has made.

Promise   Log-likelihood and expected spend, for many customers at once.
How       Amounts of a customer are Gamma(p, κ), and κ ~ Gamma(q, γ) over the customers. With the mean m of x
          repeat orders:
              LL   = lnΓ(px+q) − lnΓ(px) − lnΓ(q) + q ln γ + (px−1) ln m + px ln x − (px+q) ln(γ + x m)
              mean = p (γ + x m) / (p x + q − 1)
Source    Fader, Hardie 2013, The gamma-gamma model of monetary value.
Limits    x ≥ 1 and m > 0 for the likelihood. The expected spend exists for q > 1. Assumes that how much one
          spends does not go along with how often.
Not here  Fitting (btyd_fit.py).
"""

from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt

from processors.log_gamma import log_gamma

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """The model with its three parameters, in the currency of the amounts."""

    p: float
    q: float
    gamma: float

    def log_likelihood(self, frequency: Floats, spend: Floats) -> Floats:
        """Of each customer with repeat orders; `spend` is the mean amount of those."""
        shape = self.p * frequency
        found: Floats = (
            log_gamma(shape + self.q)
            - log_gamma(shape)
            - log_gamma(self.q)
            + self.q * log(self.gamma)
            + (shape - 1.0) * np.log(spend)
            + shape * np.log(frequency)
            - (shape + self.q) * np.log(self.gamma + frequency * spend)
        )
        return found

    def expected(self, frequency: Floats, spend: Floats) -> Floats:
        """The mean amount of an order to come; that of the population where frequency is 0.

        >>> GammaGamma(6.25, 3.74, 15.44).expected(np.array([0.0, 1.0]), np.array([0.0, 100.0])).round(2)
        array([35.22, 80.26])
        """
        return self.p * (self.gamma + frequency * spend) / (self.p * frequency + self.q - 1.0)
