"""The rules of claiming, without a store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import DamagedError, StaleError
from streams.fence import Fence, claimed

TIMES = st.integers(0, 2**53)
FENCES = st.builds(
    Fence,
    epoch=TIMES,
    nonce=st.text(max_size=20),
    generation=st.integers(0, 2**31),
    offsets=st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4),
    outbox=TIMES,
    commits=TIMES,
)


@given(FENCES)
def test_a_fence_reads_as_it_was_written(fence: Fence) -> None:
    """The commit compares bytes: the same fence must always be the same bytes."""
    assert Fence.decode(0, fence.encode()) == fence
    assert Fence.decode(0, fence.encode()).encode() == fence.encode()


@given(FENCES, TIMES, st.integers(0, 2**31))
def test_a_claim_goes_on_where_the_last_owner_was(
    stored: Fence, now_ms: int, generation: int
) -> None:
    """Position and outbox are the shard's; epoch, nonce and count of commits are the owner's."""
    fence = claimed(0, stored, generation, now_ms, "new", forced=True)

    assert fence.epoch > stored.epoch
    assert fence.epoch >= now_ms
    assert (fence.offsets, fence.outbox) == (stored.offsets, stored.outbox)
    assert (fence.nonce, fence.generation, fence.commits) == ("new", generation, 0)


@given(FENCES, st.integers(0, 2**31))
def test_only_an_older_generation_is_stale(stored: Fence, generation: int) -> None:
    """The same generation claims again after every error; a newer one after every rebalance."""
    if generation >= stored.generation:
        assert claimed(0, stored, generation, 0, "new").generation == generation
    else:
        with pytest.raises(StaleError) as caught:
            claimed(0, stored, generation, 0, "new")
        assert (caught.value.generation, caught.value.stored) == (generation, stored.generation)


def test_a_new_shard_begins_at_the_start_of_its_topics() -> None:
    """No position means the earliest."""
    assert claimed(0, None, 3, 77, "new") == Fence(77, "new", 3, {})


@pytest.mark.parametrize("stored", [b"", b"7", b"{}", b'{"epoch":"x"}', b"\xff"])
def test_what_is_no_fence_names_its_key(stored: bytes) -> None:
    """Somebody else's key under our name must not be read as a beginning."""
    with pytest.raises(DamagedError, match=r"rapport:\{4\}:fence"):
        Fence.decode(4, stored)
