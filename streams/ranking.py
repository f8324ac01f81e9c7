"""Ranking: how well scores put what is bad in front of what is good.

Source    Average precision as the area below precision over recall without interpolation: the sum, over the
          thresholds from high to low, of the recall gained times the precision there. Equal scores
          share a threshold, so that no order among them is made up.
"""

from collections.abc import Sequence

import numpy as np


def average_precision(scores: Sequence[float], are_bad: Sequence[bool]) -> float | None:
    """Average precision of these scores; None where nothing is bad.

    >>> average_precision([3, 2, 1, 0], [True, False, True, False])
    0.8333
    >>> average_precision([1, 1, 1, 1], [True, False, True, False])
    0.5
    """
    ranked = np.array(scores, dtype=np.float64)
    bad = np.array(are_bad, dtype=np.bool_)
    total = int(bad.sum())
    if not total:
        return None
    order = np.argsort(-ranked, kind="stable")
    found = np.cumsum(bad[order])
    last = np.append(np.flatnonzero(np.diff(ranked[order])), len(order) - 1)  # of each score
    precision = found[last] / (last + 1)
    gained = np.diff(np.concatenate([[0], found[last]])) / total
    return round(float((precision * gained).sum()), 4)


def area_under_curve(scores: Sequence[float], are_bad: Sequence[bool]) -> float | None:
    """The chance that a bad one scores above a good one, ties counted half; None where either is missing.

    >>> area_under_curve([3, 2, 1, 0], [True, False, True, False])
    0.75
    >>> area_under_curve([1, 1], [True, False])
    0.5
    """
    bad = np.array(are_bad, dtype=np.bool_)
    bads, goods = int(bad.sum()), int((~bad).sum())
    if not bads or not goods:
        return None
    scored = np.array(scores, dtype=np.float64)
    _, places, counts = np.unique(scored, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[places]
    return float((ranks[bad].sum() - bads * (bads + 1) / 2.0) / (bads * goods))
