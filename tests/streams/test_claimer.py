"""When the store is behind what we wrote last."""

import msgspec
import pytest

from streams.claimer import is_behind
from streams.fence import Fence

OURS = Fence(epoch=10, nonce="a", generation=1, offsets={"orders": "5"}, outbox=2, commits=7)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"commits": 8}, False),  # a commit of ours whose reply was lost
        ({"commits": 6}, True),
        ({"epoch": 11, "nonce": "b", "commits": 0}, False),  # another owner came
        ({"epoch": 11, "nonce": "b", "commits": 0, "offsets": {"orders": "12"}}, False),
        ({"epoch": 9, "nonce": "b", "commits": 99}, True),  # our claim itself is gone
        # A claim whose reply was lost came after the loss, and before the one that finds it.
        ({"epoch": 11, "nonce": "b", "commits": 0, "offsets": {"orders": "4"}}, True),
        ({"epoch": 11, "nonce": "b", "commits": 0, "offsets": {}}, True),
    ],
)
def test_an_older_fence_is_told_from_a_newer_one(
    changes: dict[str, object], expected: bool
) -> None:
    """An alert that cries wolf at every rebalance is switched off."""
    assert is_behind(msgspec.structs.replace(OURS, **changes), OURS) is expected


def test_a_store_that_is_empty_is_behind() -> None:
    """Somebody restored nothing at all."""
    assert is_behind(None, OURS)
