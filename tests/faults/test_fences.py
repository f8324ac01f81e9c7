"""The reader of Redis' file is a checker: it must find what it is there to find."""

import msgspec
import pytest

from tests.faults.fences import KEEP_ALL, Fence, fence_writes, judged
from tests.integration.redis_server import running_redis

CLAIM = Fence(epoch=5, nonce="a", generation=1, offsets={"orders": "3"})
COMMIT = Fence(epoch=5, nonce="a", generation=1, offsets={"orders": "7"}, commits=1)
FIRST = Fence(epoch=4, nonce="z", generation=0, offsets={})
BEFORE = [FIRST, msgspec.structs.replace(FIRST, offsets={"orders": "3"}, commits=1)]
TAKEN = Fence(epoch=6, nonce="b", generation=2, offsets={"orders": "7"})


def test_claims_and_commits_that_join_are_counted() -> None:
    """The course of every shard that nothing has gone wrong with."""
    course = judged((0, each) for each in [*BEFORE, CLAIM, COMMIT, TAKEN])

    assert (course.claims, course.commits, course.records) == (3, 2, 7)
    assert course.wrong == []


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(msgspec.structs.replace(COMMIT, commits=2), id="a former owner commits"),
        pytest.param(CLAIM, id="a claim comes back"),
        pytest.param(Fence(9, "c", 3, {"orders": "7"}, commits=4), id="nobody knows who"),
    ],
)
def test_a_write_of_who_is_not_the_owner_is_stale(late: Fence) -> None:
    """What a worker writes after others have its shard is what the fence is there to refuse."""
    own = msgspec.structs.replace(TAKEN, offsets={"orders": "9"}, commits=1)
    course = judged((0, each) for each in [*BEFORE, CLAIM, COMMIT, TAKEN, late, own])

    assert len(course.stale) == 1
    assert course.jumps == []


@pytest.mark.parametrize(
    "then",
    [
        pytest.param(Fence(6, "b", 2, {"orders": "6"}), id="begins before the last commit"),
        pytest.param(Fence(6, "b", 2, {"orders": "8"}), id="begins after it"),
        pytest.param(msgspec.structs.replace(COMMIT, commits=3), id="leaves out a commit"),
        pytest.param(Fence(5, "a", 1, {"orders": "6"}, commits=2), id="goes back"),
    ],
)
def test_positions_that_do_not_join_are_told(then: Fence) -> None:
    """What is read again is counted again, and what is jumped over is lost."""
    course = judged((0, each) for each in [*BEFORE, CLAIM, COMMIT, then])

    assert len(course.jumps) == 1


def test_the_file_has_every_fence_that_was_overwritten() -> None:
    """Redis itself shows the last one only."""
    with running_redis(settings=KEEP_ALL) as server, server.client() as client:
        for fence in (CLAIM, COMMIT, TAKEN):
            stored = {"rapport:{3}:fence": msgspec.json.encode(fence), "rapport:{3}:row:x": b"."}
            client.mset(stored)
        server.stop()

        assert list(fence_writes(server)) == [(3, CLAIM), (3, COMMIT), (3, TAKEN)]
