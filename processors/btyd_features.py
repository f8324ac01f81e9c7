"""What a learned model of churn sees of a customer at a cut: the base models' answers, and his own rhythm.

Promise   The same numbers from the same history; nothing behind the cut. All of them are finite.
How       Logarithms of expected orders, log-odds of being alive and of ordering, of both base models; then
          times since the last orders, against his own gaps; then counts and amounts that fade with
          half-lives, and how the short ones stand to the long ones. DAYS_MORE keeps young customers
          comparable.
Source    The list was found to work on public data (docs/scores.md).
Limits    One row of FEATURES numbers a customer: 300 MB for a million.
Not here  Refunds, which order days do not know. Learning (ridge.py).
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.mbg_cnbd import MbgCnbd
from processors.order_days import MICRO, WEEK_DAYS, History, OrderDays
from processors.pareto_nbd import ParetoNbd

Floats = npt.NDArray[np.float64]

HALF_LIVES_DAYS: Final = (7.0, 15.0, 30.0, 60.0, 120.0, 240.0)
RATIOS: Final = ((1, 3), (2, 4), (3, 5))  # of those, by place: short to long
PAST_ORDERS: Final = (2, 3, 5)  # the time since the last but one, …
DAYS_MORE: Final = 3.5
UNCERTAIN: Final = 1e-6  # chances are kept so far from 0 and 1
FADED: Final = 0.01  # of an order: what has faded below does not matter
FEATURES: Final = 6 + 14 + len(PAST_ORDERS) + 2 * len(HALF_LIVES_DAYS) + len(RATIOS)


def features_of(
    days: OrderDays,
    history: History,
    last_day: int,
    weeks: float,
    models: tuple[ParetoNbd, MbgCnbd],
) -> Floats:
    """One row a customer of `history`, which is that of `last_day`; `weeks` are to be foretold."""
    columns = [
        *_answers(history, weeks, models),
        *_rhythm(days, history, last_day),
    ]
    found = np.stack(columns, axis=1)
    assert found.shape[1] == FEATURES
    return found


def _answers(history: History, weeks: float, models: tuple[ParetoNbd, MbgCnbd]) -> Iterator[Floats]:
    grouped, places = history.summary.grouped()
    for model in models:
        yield np.log(model.expected(grouped, weeks) + UNCERTAIN)[places]
        yield _log_odds(model.active(grouped, weeks))[places]
        yield _log_odds(model.alive(grouped))[places]


def _log_odds(chance: Floats) -> Floats:
    kept = np.clip(chance, UNCERTAIN, 1.0 - UNCERTAIN)
    return np.log(kept) - np.log1p(-kept)


def _rhythm(days: OrderDays, history: History, last_day: int) -> Iterator[Floats]:
    """All else, from the order days up to the cut."""
    until, first, count = days.until(last_day)
    day, money = until.day, until.micros / MICRO
    last = first + count - 1
    of = np.repeat(np.arange(len(first)), count)
    repeats = history.summary.frequency
    age = history.summary.age * WEEK_DAYS
    silent = (last_day - day[last]).astype(np.float64)
    gaps = np.diff(day, prepend=day[0]).astype(np.float64)
    gaps[first] = 0.0
    once = repeats == 0
    mean_gap = np.where(once, age, history.summary.recency * WEEK_DAYS / np.maximum(repeats, 1.0))
    longest = np.where(once, age, np.maximum.reduceat(gaps, first))
    square = np.add.reduceat(gaps * gaps, first) / np.maximum(repeats, 1.0)
    spread = np.where(repeats > 1, np.sqrt(np.maximum(square - mean_gap**2, 0.0)), 0.0)
    newest = np.where(once, mean_gap, gaps[last])
    total = np.add.reduceat(money, first)
    yield from (np.log1p(each) for each in (count, silent, age, mean_gap, total, total / count))
    yield from (
        np.log1p(each) for each in (np.maximum.reduceat(money, first), money[first], money[last])
    )
    yield (silent + DAYS_MORE) / (age + 2 * DAYS_MORE)
    yield np.log((silent + DAYS_MORE) / (mean_gap + DAYS_MORE))
    yield np.log((silent + DAYS_MORE) / (longest + DAYS_MORE))
    yield spread / (mean_gap + 1.0)
    yield np.log((newest + DAYS_MORE) / (mean_gap + DAYS_MORE))
    for back in PAST_ORDERS:
        at = day[np.maximum(last - back + 1, 0)]
        yield np.log1p(np.where(count >= back, last_day - at, age + 30.0))
    fading = [2.0 ** ((day - last_day) / half_life) for half_life in HALF_LIVES_DAYS]
    counts = [np.bincount(of, each) + FADED for each in fading]
    yield from (np.log(each) for each in counts)
    yield from (np.log(np.bincount(of, each * money) + FADED) for each in fading)
    yield from (np.log(counts[short] / counts[long]) for short, long in RATIOS)
