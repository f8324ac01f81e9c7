"""The Numenta Anomaly Benchmark, as we score it."""

from pathlib import Path

import pytest

from streams.judge_nab import PROFILES, Detections, best, judge
from streams.nab_series import NabDataError, NabSeries, read
from tests.machine import ROOT

DATA = ROOT.parent / "shared" / "data" / "nab"
SERIES = NabSeries("a.csv", tuple(map(float, range(100))), (0.0,) * 100, ((40, 59),))


def score(rows: set[int]) -> float:
    found = Detections(SERIES, [1.0 if row in rows else 0.0 for row in range(100)])
    return best([found], PROFILES[0])[0]


def test_a_perfect_detector_has_100_and_a_silent_one_0() -> None:
    """The scale's two ends, as the benchmark defines them."""
    assert score({40}) == pytest.approx(100.0)
    assert score(set()) == 0.0


def test_late_and_false_detections_cost() -> None:
    """One credit a window, by its first detection; a false alarm before it costs .11 of two."""
    assert score({40, 45}) == pytest.approx(100.0)
    assert score({58}) < score({45}) < 100.0
    assert score({40, 30}) == pytest.approx(100.0 - 5.5)
    assert score({40, 3}) == pytest.approx(100.0)


def test_a_line_that_is_no_row_is_told_with_its_place(tmp_path: Path) -> None:
    """Other people's data have other people's mistakes."""
    (tmp_path / "windows.json").write_text(
        '{"a.csv": [["2020-01-01 00:00:00", "2020-01-01 01:00:00"]]}'
    )
    (tmp_path / "a.csv").write_text("timestamp,value\n2020-01-01 00:00:00,1\n2020-01-01,x\n")

    with pytest.raises(NabDataError, match=r"a\.csv:3: must be like"):
        read(tmp_path)


@pytest.mark.slow
def test_the_bars_are_held_on_the_series_at_hand() -> None:
    """The figures of docs/scores.md, but for the time, which a busy machine stretches."""
    if not DATA.is_dir():
        pytest.skip("nab is not in ../shared/data")
    figures = {each.name: each for each in judge(DATA)}

    assert figures["nab_standard"].value == pytest.approx(80.15, abs=0.05)
    assert figures["nab_low_fp"].value == pytest.approx(73.74, abs=0.05)
    assert figures["nab_low_fn"].value == pytest.approx(85.04, abs=0.05)
