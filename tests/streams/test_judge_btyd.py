"""The judgement of churn and value: its files, their mistakes, and a shop that was played out."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from streams.cdnow import MOVED, CdnowSource
from streams.errors import MissingError
from streams.figures import Figure
from streams.judge_btyd import judge
from streams.order_history import order_days_of
from streams.source import SourceError

NOW_MS = 1_800_000_000_000
PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "cdnow"


def write(folder: Path, *lines: str) -> Path:
    file = folder / "CDNOW_sample.txt"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def by_name(figures: list[Figure]) -> Mapping[str, Figure]:
    return {each.name: each for each in figures}


def test_purchases_of_a_day_are_one_order_of_their_sum(tmp_path: Path) -> None:
    """What the models count are days with an order."""
    file = write(
        tmp_path,
        " 00004 0001 19970101  2   29.33",
        " 00004 0001 19970101  1    0.67",
        " 00004 0001 19970118  2   29.73",
        "",
        " 00021 0002 19970103  1   10.00",
    )

    days = order_days_of(CdnowSource(file), NOW_MS)
    history = days.history(int(days.day.max()))

    assert days.customers == ("0001", "0002")
    assert days.micros.tolist() == [30_000_000, 29_730_000, 10_000_000]
    assert days.day[0] == (date(1997, 1, 1) + MOVED - date(1970, 1, 1)).days
    assert history.summary.frequency.tolist() == [1.0, 0.0]
    assert history.summary.recency.tolist() == [17 / 7, 0.0]
    assert history.summary.age.tolist() == [17 / 7, 15 / 7]
    assert history.spend.tolist() == [29.73, 0.0]


def test_a_master_file_without_sample_numbers_is_read_too(tmp_path: Path) -> None:
    """The whole cohort is published in this form."""
    days = order_days_of(CdnowSource(write(tmp_path, "00001 19970101 1 11.77")), NOW_MS)

    assert days.customers == ("00001",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("00004 0001 19970101 2", r"txt:2: .*19970101|txt:2: time data"),
        ("00004 0001 1997", "txt:2: has 3 columns; a line must be: customer"),
        ("00004 0001 19971301 2 29.33", "txt:2: .*such as 00004 0001 19970101 2 29.33"),
        ("00004 0001 19970101 2 -1", "txt:2: has a negative number"),
        ("00004 0001 19970101 2 nan", "txt:2: has a negative number, or one that is no amount"),
    ],
)
def test_a_line_that_is_no_purchase_is_told_with_its_mend(
    tmp_path: Path, line: str, said: str
) -> None:
    """Who brings data of his own sees at once which line to look at."""
    file = write(tmp_path, "00004 0001 19970101 2 29.33", line)
    with pytest.raises(SourceError, match=said):
        order_days_of(CdnowSource(file), NOW_MS)


def test_a_folder_without_the_file_or_with_two_is_refused(tmp_path: Path) -> None:
    """Of two files neither is taken by chance."""
    with pytest.raises(MissingError, match=r"CDNOW\*\.txt"):
        judge(tmp_path, NOW_MS)
    write(tmp_path, "00004 0001 19970101 2 29.33")
    with pytest.raises(SourceError, match="spans 0 weeks, at least 16"):
        judge(tmp_path, NOW_MS)
    (tmp_path / "CDNOW_other.txt").touch()
    with pytest.raises(SourceError, match="several of"):
        judge(tmp_path, NOW_MS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_another_shop_is_foretold_and_not_held_to_the_published_constants(tmp_path: Path) -> None:
    """A shop that lives as the model says is foretold well; of constants nothing is said."""
    chance = np.random.default_rng(5)
    lines = []
    for customer in range(600):
        start, rate = int(chance.integers(0, 90)), chance.gamma(0.6, 0.1)
        gone = start + 7 * chance.exponential(1 / chance.gamma(0.6, 1 / 11))
        at = float(start)
        while at < min(gone, 546):
            day = date(1997, 1, 1) + timedelta(days=int(at))
            lines.append(f"{customer:05} {day:%Y%m%d} 1 {chance.gamma(4.0, 8.0):.2f}")
            at += max(1.0, 7 * chance.exponential(1 / max(rate, 1e-9)))
    write(tmp_path, *lines)
    found = by_name(judge(tmp_path, NOW_MS))

    assert found["holdout.weeks"].value == 39
    assert found["holdout.customers"].value == 600
    assert found["holdout.learned.auc"].value > 0.7
    assert found["holdout.learned.total_off"].value < 0.3
    assert not [name for name in found if name.startswith(("bg_nbd.", "gamma_gamma."))]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_published_fits_come_out_of_the_stream() -> None:
    """To the last published digit, from orders as events."""
    if not PUBLISHED.is_dir():
        pytest.skip("cdnow is not in ../shared/data")
    found = by_name(judge(PUBLISHED.parent, NOW_MS))

    assert found["summary.equal_rows"].value == 1.0
    for name in ("pareto_nbd", "bg_nbd", "gamma_gamma"):
        assert found[f"{name}.places_off"].ok
        assert found[f"{name}.log_likelihood_off"].value < 0.0005
    assert found["pareto_nbd.new_customer_52_weeks"].value == pytest.approx(1.473434, abs=5e-7)
    assert found["holdout.pareto_nbd.auc"].value == pytest.approx(0.7787, abs=1e-4)
    assert found["holdout.learned.auc"].value >= 0.783
    assert found["holdout.learned.correlation"].value >= 0.63
    assert found["holdout.learned.total_off"].value <= 0.10
