"""The judgement of churn and value: CDNOW, from its orders as events to published fits and a hold-out.

Promise   Orders go through the product's own decoding, step and order days; the models are its own fits.
          Nothing of the hold-out is seen by a fit.
How       The first half of the weeks is history, the second is held out (39 and 39 weeks in the published
          sample). Of customers known at the cut are foretold: who orders at all (AUC), how much
          (correlation), and how much all of them do (total). Where the customers are those of the published
          sample, the fits without prior and bounds are held to the published constants: `places_off` says
          how many units of the last place the worst constant is away; half a unit is the same digit.
Limits    The 7 digits that are published of BG/NBD are where another program had stopped: at them the
          likelihood is 1e-9 lower than at ours. So these are compared to four places, all that its first
          publication and these digits have in common with the highest point.
Not here  Reading (cdnow.py), fits (processors/btyd_fit.py), learning (processors/btyd_learning.py), output
          (commands/figures.py).
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.btyd_fit import (
    FitError,
    fit_bg_nbd,
    fit_gamma_gamma,
    fit_mbg_cnbd,
    fit_pareto_nbd,
)
from processors.btyd_learning import foretell
from processors.order_days import WEEK_DAYS, History, OrderDays, Summary
from processors.pareto_nbd import ParetoNbd
from processors.ridge import RidgeError
from streams.cdnow import CdnowSource
from streams.errors import MissingError
from streams.figures import Figure
from streams.order_history import order_days_of
from streams.ranking import area_under_curve
from streams.source import SourceError

Floats = npt.NDArray[np.float64]

SAMPLE: Final = (2_357, 946)  # customers and repeat buyers of the published sample
SUMMARY: Final = "cdnow_customers_summary.csv"
ROUNDED_WEEKS: Final = 0.005 + 1e-9  # the published summary has two places
WEEKS_MIN: Final = 8  # of history; a hold-out of less is all chance
AUC_MIN, CORRELATION_MIN, TOTAL_MAX, LOG_LIKELIHOOD_MAX = 0.783, 0.63, 0.10, 0.01
HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class Published:
    """One model's published fit."""

    name: str
    constants: tuple[tuple[str, float], ...]
    places: int  # after the point
    log_likelihood: float


PARETO_NBD: Final = Published(
    "pareto_nbd", (("r", 0.553), ("alpha", 10.578), ("s", 0.606), ("beta", 11.669)), 3, -9594.976
)
BG_NBD: Final = Published(
    "bg_nbd",
    (("r", 0.2425945), ("alpha", 4.4136019), ("a", 0.7929199), ("b", 2.4258881)),
    4,
    -9582.429,
)
GAMMA_GAMMA: Final = Published(
    "gamma_gamma", (("p", 6.25), ("q", 3.74), ("gamma", 15.44)), 2, -4055.9177
)


def judge(folder: Path, now_ms: int) -> list[Figure]:
    """The figures of the folder, or of its subfolder `cdnow`.

    Raises:
        MissingError: It holds no file CDNOW*.txt.
        SourceError: A file is not as it should be, or too little to fit; with what to mend.
    """
    folder = folder / "cdnow" if (folder / "cdnow").is_dir() else folder
    file = _only(folder, "CDNOW*.txt")
    days = order_days_of(CdnowSource(file), now_ms)
    first, last = int(days.day.min()), int(days.day.max())
    weeks = round((last - first + 1) / (2 * WEEK_DAYS))
    if weeks < WEEKS_MIN:
        raise SourceError(
            f"{file}: spans {(last - first + 1) / WEEK_DAYS:.0f} weeks, at least {2 * WEEKS_MIN} are needed:"
            " one half to fit, the other to judge"
        )
    cut = first + int(weeks * WEEK_DAYS) - 1
    history = days.history(cut)
    try:
        figures = [*_summary_rows(folder / SUMMARY, days, history), *_constants(history)]
        return [*figures, *_held_out(days, history, cut, weeks)]
    except (FitError, RidgeError) as error:
        raise SourceError(f"{file}: {error}") from error


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise MissingError(folder / pattern)
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise SourceError(f"{folder}: holds several of {pattern} ({names}): leave one of them")
    return found[0]


def _summary_rows(file: Path, days: OrderDays, history: History) -> list[Figure]:
    """The share of the published customers whose x, t_x and T are ours; nothing where none are published."""
    if not file.exists():
        return []
    seen = history.summary
    ours = {
        int(days.customers[number]): row
        for number, row in zip(
            history.customer.tolist(),
            zip(seen.frequency.tolist(), seen.recency.tolist(), seen.age.tolist(), strict=True),
            strict=True,
        )
        if days.customers[number].isdigit()
    }
    equal = total = 0
    with file.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), 2):
            try:
                theirs = (float(row["frequency"]), float(row["recency"]), float(row["T"]))
                mine = ours.get(int(row["ID"]))
            except (KeyError, TypeError, ValueError) as error:
                raise SourceError(
                    f"{file}:{number}: {error}; the columns must be ID,frequency,recency,T, all numbers"
                ) from error
            total += 1
            equal += mine is not None and all(
                abs(one - other) <= ROUNDED_WEEKS for one, other in zip(mine, theirs, strict=True)
            )
    share = equal / total if total else 0.0
    return [Figure("summary.equal_rows", share, published=1.0, bar=1.0)]


def _constants(history: History) -> list[Figure]:
    """The fits without prior and bounds beside the published ones, where these are of the same customers."""
    repeaters = int((history.summary.frequency > 0).sum())
    if (len(history.summary), repeaters) != SAMPLE:
        return []
    pareto, bg = fit_pareto_nbd(history, free=True), fit_bg_nbd(history, free=True)
    spend = fit_gamma_gamma(history)
    return [
        *_fit_figures(PARETO_NBD, pareto.model, pareto.log_likelihood),
        *_fit_figures(BG_NBD, bg.model, bg.log_likelihood),
        *_fit_figures(GAMMA_GAMMA, spend.model, spend.log_likelihood),
        *_single_customers(pareto.model),
    ]


def _fit_figures(published: Published, model: object, log_likelihood: float) -> list[Figure]:
    figures = []
    unit = 10.0**-published.places
    off = 0.0
    for name, known in published.constants:
        value = float(getattr(model, name))
        figures.append(Figure(f"{published.name}.{name}", value, published=known))
        off = max(off, abs(value - round(known, published.places)) / unit)
    figures.append(Figure(f"{published.name}.places_off", off, bar=HALF, ceiling=True))
    known = published.log_likelihood
    figures.append(Figure(f"{published.name}.log_likelihood", log_likelihood, published=known))
    apart = abs(log_likelihood - known)
    name = f"{published.name}.log_likelihood_off"
    return [*figures, Figure(name, apart, bar=LOG_LIKELIHOOD_MAX, ceiling=True)]


def _single_customers(model: ParetoNbd) -> list[Figure]:
    """What the fit says of the customers of whom others have published it."""

    def one(x: float, recency: float, age: float) -> Summary:
        return Summary(*(np.array([each]) for each in (x, recency, age, 1.0)))

    often = one(26.0, 216 / WEEK_DAYS, 31.0)
    new = float(model.expected(one(0.0, 0.0, 0.0), 52.0)[0])
    alive, orders = float(model.alive(often)[0]), float(model.expected(often, 52.0)[0])
    return [
        Figure("pareto_nbd.new_customer_52_weeks", new, published=1.473434),
        Figure("pareto_nbd.often_52_weeks", orders, published=25.45647),
        Figure("pareto_nbd.often_alive", alive, published=0.997874),
    ]


def _held_out(days: OrderDays, history: History, cut: int, weeks: int) -> list[Figure]:
    """How well the weeks after the cut are foretold, by each base model alone, and with what is learnt."""
    actual = days.orders_between(cut, cut + int(weeks * WEEK_DAYS))[history.customer].astype(
        np.float64
    )
    grouped, places = history.summary.grouped()
    pareto, mbg = fit_pareto_nbd(history), fit_mbg_cnbd(history)
    figures = [
        Figure("holdout.weeks", weeks),
        Figure("holdout.customers", len(actual)),
        Figure("mbg_cnbd.k", mbg.model.k),
    ]
    for name, model in (("pareto_nbd", pareto.model), ("mbg_cnbd", mbg.model)):
        orders = model.expected(grouped, float(weeks))[places]
        figures += _foretold(f"holdout.{name}", orders, orders, actual)
    learnt = foretell(days, cut, int(weeks * WEEK_DAYS))
    figures.append(Figure("holdout.learned.cuts", learnt.cuts))
    figures.append(Figure("holdout.learned.factor", learnt.factor))
    ranks, orders = learnt.log_odds, learnt.orders
    return [*figures, *_foretold("holdout.learned", ranks, orders, actual, has_bars=True)]


def _foretold(
    name: str, ranks: Floats, orders: Floats, actual: Floats, *, has_bars: bool = False
) -> list[Figure]:
    """Who orders by their ranks, how much by their expected orders."""
    auc = area_under_curve(ranks.tolist(), (actual > 0).tolist())
    varied = orders.std() > 0 and actual.std() > 0
    correlation = float(np.corrcoef(orders, actual)[0, 1]) if varied else float("nan")
    total = abs(float(orders.sum() / actual.sum()) - 1.0) if actual.any() else float("nan")
    bars: Sequence[float | None] = (AUC_MIN, CORRELATION_MIN, TOTAL_MAX) if has_bars else [None] * 3
    known = 0.630 if name.endswith("pareto_nbd") else None
    return [
        Figure(f"{name}.auc", float("nan") if auc is None else auc, bar=bars[0]),
        Figure(f"{name}.correlation", correlation, published=known, bar=bars[1]),
        Figure(f"{name}.total_off", total, bar=bars[2], ceiling=True),
    ]
