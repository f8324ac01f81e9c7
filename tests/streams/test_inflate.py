"""Compressed bodies cost what they may cost, not what they say."""

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.inflate import MEMBERS_MAX, InflateError, inflate


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=MEMBERS_MAX))
def test_members_are_inflated_one_after_the_other(members: list[bytes]) -> None:
    """`cat a.gz b.gz` is a valid gzip file, and log shippers send such."""
    whole = b"".join(members)

    assert inflate(b"".join(map(gzip.compress, members)), len(whole)) == whole


def test_a_bomb_costs_no_more_than_is_allowed() -> None:
    """A thousandth of what it says: 16 MB of zeros in 16 KB."""
    bomb = gzip.compress(bytes(16_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(InflateError) as caught:
            inflate(bomb, 100_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert caught.value.reason == "too_large"
    assert peak < 1_000_000


def test_members_share_one_limit() -> None:
    """A bomb in pieces is a bomb."""
    with pytest.raises(InflateError) as caught:
        inflate(gzip.compress(b"123456") + gzip.compress(b"789"), 8)

    assert caught.value.reason == "too_large"


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"x" * 100)[:-1],
        gzip.compress(b"x" * 100)[:15],
        b"\x1f\x8b rubbish",
        gzip.compress(b"x") + b"rubbish",
        gzip.compress(b"x") * (MEMBERS_MAX + 1),
    ],
    ids=["no trailer", "cut off", "rubbish", "rubbish behind", "too many members"],
)
def test_what_is_not_gzip_to_its_end_is_refused(body: bytes) -> None:
    """Half a body would be half the events, with nobody told."""
    with pytest.raises(InflateError) as caught:
        inflate(body, 1_000)

    assert caught.value.reason == "malformed"
