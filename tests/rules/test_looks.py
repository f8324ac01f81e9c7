"""Silence: what becomes true with no event coming is judged on the very millisecond."""

import pytest

from rules.looks import looks_of
from tests.rules.loading import loaded

THEN = 'then = [{ log = "x" }]\n'
DAY_MS = 86_400_000


def delays(when: str, unless: str = "") -> list[int]:
    more = f'unless = "{unless}"\n' if unless else ""
    (rule,) = loaded(f'[rule.r]\nwhen = "{when}"\n{more}{THEN}').rules
    return [each.delay_ms for each in looks_of(rule)]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("since(order.placed) > 30d", [30 * DAY_MS + 1]),
        ("since(order.placed) >= 30d", [30 * DAY_MS]),
        ("30d < since(order.placed)", [30 * DAY_MS + 1]),
        ("since(order.placed) / 1d >= 30", [30 * DAY_MS]),
        ("not since(order.placed) <= 30d", [30 * DAY_MS + 1]),
        ("since(order.placed) < 30d", []),
        ("count(order.placed, 7d) = 0", [7 * DAY_MS]),
        ("count(order.placed, 7d) < 1", [7 * DAY_MS]),
        ("not count(order.placed, 7d) > 0", [7 * DAY_MS]),
        ("not (count(order.placed, 7d) >= 1 or health < 3)", [7 * DAY_MS]),
        ("count(order.placed, 7d) < 2", []),
        ("count(order.placed, 7d) >= 1", []),
        ("count(order.placed) = 0", []),
        ("health < 40 and (since(click.*) > 1h or since(order.*) > 2h)", [3_600_001, 7_200_001]),
        ("health < 40", []),
    ],
)
def test_what_silence_makes_true(when: str, expected: list[int]) -> None:
    """Only what it can make true needs a look."""
    assert delays(when) == expected


def test_silence_ends_an_exception() -> None:
    """As long as something happens, nothing is done; then it is."""
    assert delays("health < 40", "count(order.placed, 7d) > 0") == [7 * DAY_MS]
    assert delays("health < 40", "since(order.placed) > 7d") == []
