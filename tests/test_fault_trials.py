"""What of a fault experiment is tried once more, and what never is."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.experiment import Outcome, Run
from tests.faults.trial import tried
from tests.test_fault_harness import experiment, outcome


@pytest.mark.parametrize(("scale", "times"), [(0.5, 2), (1.0, 1)])
def test_what_is_only_slow_is_measured_once_more_below_full_scale(
    tmp_path: Path, scale: float, times: int
) -> None:
    """The machine is shared; at full scale, where figures are published, there is no second chance."""
    runs: list[Run] = []

    def run(run: Run) -> Outcome:
        if run.naive:
            return outcome(missing=1)
        runs.append(run)
        return replace(outcome(), slow=("It took an hour.",) if len(runs) == 1 else ())

    row = tried(experiment(run), 7, scale, tmp_path)

    assert len(runs) == times
    assert row["ok"] is (times == 2)


def test_what_is_wrong_is_not_tried_again(tmp_path: Path) -> None:
    """An event that was lost once may be lost again."""
    runs: list[Run] = []

    def run(run: Run) -> Outcome:
        runs.append(run)
        return replace(outcome(missing=1), slow=("It took an hour.",))

    assert tried(experiment(run), 7, 0.5, tmp_path)["ok"] is False
    assert len(runs) == 2  # one of either kind


def test_a_naive_way_that_fails_at_the_second_try_shows_enough(tmp_path: Path) -> None:
    """A tenth of the faults may all miss it; ours is not tried again for that."""
    runs: list[Run] = []

    def run(run: Run) -> Outcome:
        runs.append(run)
        return outcome(missing=len(runs) == 2)

    assert tried(experiment(run), 7, 0.5, tmp_path)["ok"] is True
    assert [each.naive for each in runs] == [True, True, False]
