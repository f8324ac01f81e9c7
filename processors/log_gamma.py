"""The logarithm of the gamma function, for arrays.

Promise   Within 2e-14 of the true value (relative where that is above one), for all positive numbers.
How       Stirling's series behind argument 10; what is smaller is shifted up by the recurrence first:
              lnΓ(z) = (z − ½) ln z − z + ½ ln 2π + Σ B₂ₖ / (2k (2k − 1) z^(2k−1))
              lnΓ(z) = lnΓ(z + n) − ln(z (z + 1) ⋯ (z + n − 1))
Source    Abramowitz and Stegun, Handbook of Mathematical Functions, 6.1.15 and 6.1.40.
Limits    Positive arguments only: the models of churn have no others.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SHIFTS: Final = 10  # behind 10 the first term that is left out is below 1e-17
HALF_LOG_TAU: Final = 0.9189385332046727  # ½ ln 2π
# B₂ₖ / (2k (2k − 1)) for k from 1 on
SERIES: Final = (
    1 / 12,
    -1 / 360,
    1 / 1260,
    -1 / 1680,
    1 / 1188,
    -691 / 360360,
    1 / 156,
    -3617 / 122400,
)


def log_gamma(z: float | Floats) -> Floats:
    """lnΓ(z) of each z > 0.

    >>> [round(float(each), 6) for each in log_gamma(np.array([0.5, 1.0, 5.0, 171.0]))]
    [0.572365, 0.0, 3.178054, 706.573062]
    """
    given = np.asarray(z, dtype=np.float64)
    small = given < SHIFTS
    low = np.where(small, given, 1.0)
    product = low
    for step in range(1, SHIFTS):
        product = product * (low + step)
    shifted = np.where(small, given + SHIFTS, given)
    inverse = 1.0 / shifted
    square = inverse * inverse
    series = np.zeros_like(shifted)
    for each in reversed(SERIES):
        series = series * square + each
    whole = (shifted - 0.5) * np.log(shifted) - shifted + HALF_LOG_TAU + series * inverse
    return np.asarray(np.where(small, whole - np.log(product), whole), dtype=np.float64)


def log_beta(a: float | Floats, b: float | Floats) -> Floats:
    """The logarithm of B(a, b) is lnΓ(a) + lnΓ(b) − lnΓ(a + b).

    >>> round(float(np.exp(log_beta(2.0, 3.0))), 9)  # 1/12
    0.083333333
    """
    return log_gamma(a) + log_gamma(b) - log_gamma(np.asarray(a) + np.asarray(b))
