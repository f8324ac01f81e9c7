"""Whole lives of the engine on virtual time: whatever dies, nothing is lost and nothing comes twice."""

from collections import Counter

import pytest

from tests.simulation.report import Report
from tests.simulation.sabotage import SABOTAGES, sabotaged
from tests.simulation.world import live

SEEDS = 160
CHUNKS = 4
FOUND_WITHIN = 300  # seeds; each is found within 30 or so
FAULTS_SEEN = 15  # kinds, of 17


def told(report: Report) -> str:
    """What to read, and how to see it again."""
    return (
        f"seed {report.seed}, live({report.seed}) plays it again:\n{report.trace}\n{report.wrong}"
    )


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_dies_nothing_is_lost_and_nothing_comes_twice(chunk: int) -> None:
    """Thousands of seeds more are played by `make faults ONLY=simulation`."""
    reports = [live(seed) for seed in range(chunk * SEEDS // CHUNKS, (chunk + 1) * SEEDS // CHUNKS)]
    faults = sum((report.faults for report in reports), Counter[str]())

    for report in reports:
        assert not report.wrong, told(report)
        assert report.applied == report.offered
    assert sum(report.delivered for report in reports) > len(reports)
    assert len(faults) >= FAULTS_SEEN, f"only {sorted(faults)} were tried"


def test_a_seed_is_played_again_step_by_step() -> None:
    """A failure that cannot be repeated cannot be understood."""
    first, again, other = live(7), live(7), live(8)

    assert first == again
    assert first.digest != other.digest


@pytest.mark.slow
@pytest.mark.parametrize("name", SABOTAGES)
def test_each_sabotage_is_found_and_its_seed_fails_again_in_the_same_way(name: str) -> None:
    """A simulation that finds nothing proves nothing."""
    with sabotaged(name):
        found = next((each for each in map(live, range(FOUND_WITHIN)) if each.wrong), None)
    assert found is not None, f"{FOUND_WITHIN} seeds do not tell it from the engine"
    again = []
    for _ in range(2):
        with sabotaged(name):
            again.append(live(found.seed))

    assert again[0].wrong
    assert again[0] == again[1]
    assert "WRONG" in again[0].trace.splitlines()[-1]
    assert not live(found.seed).wrong
