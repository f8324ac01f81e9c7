"""What the history of the fences says is what was seen: experiments judge stalls and recoveries by it."""

from tests.faults.fence_history import FenceHistory, Move


def history(*moves: tuple[float, int, str, int]) -> FenceHistory:
    """Of moves: time, shard, owner, commits since the claim."""
    return FenceHistory([Move(*move, outbox=0) for move in moves])


def test_a_shard_is_recovered_when_somebody_else_has_committed_in_it() -> None:
    """A claim is no progress, and a commit of the dead that was under way is none of a successor."""
    found = history(
        *((1.0, 0, "dead", 7), (2.1, 0, "dead", 8)),
        *((3.0, 0, "next", 0), (3.5, 1, "next", 4), (4.0, 0, "next", 1), (5.0, 0, "next", 2)),
    )

    assert found.recovered(0, since=2.0, dead={"dead"}) == 4.0
    assert found.recovered(1, since=2.0, dead={"dead"}) == 3.5
    assert found.recovered(0, since=5.5, dead={"dead"}) is None
    assert found.owners() == {0: "next", 1: "next"}


def test_a_stall_counts_where_it_ends_and_claims_do_not_end_it() -> None:
    """Else a stall over two changes would be nobody's, or cut in pieces."""
    found = history(
        *((1.0, 0, "a", 1), (1.2, 1, "a", 1), (2.0, 0, "b", 0)),
        *((3.0, 0, "b", 1), (3.1, 0, "b", 2), (4.2, 1, "b", 1), (9.0, 0, "b", 3)),
    )

    assert found.stalls_ms(since=2.5, until=5.0) == {0: 2_000.0, 1: 3_000.0}
    assert found.stalls_ms(since=0.0, until=1.1) == {}
