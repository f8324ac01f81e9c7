"""Rankings: how well an order foretells what is bad."""

import pytest

from streams.ranking import average_precision


@pytest.mark.parametrize(
    ("scores", "bad", "expected"),
    [
        ([0.9, 0.8, 0.7, 0.6], [True, True, False, False], 1.0),
        ([0.1, 0.4, 0.35, 0.8], [False, False, True, True], 0.8333),
        ([1, 1, 1, 1], [True, False, False, False], 0.25),
        ([1, 2], [False, False], None),
    ],
)
def test_average_precision(scores: list[float], bad: list[bool], expected: float | None) -> None:
    """The second is the example of scikit-learn's own page."""
    assert average_precision(scores, bad) == expected
