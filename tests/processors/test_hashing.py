"""XXH64 by our kernel and by the xxhash package."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh64_intdigest

from processors.hashing import xxh64


@given(st.binary(max_size=300), st.integers(0, 2**64 - 1), st.integers(0, 9))
def test_it_is_the_same_as_everybody_elses(value: bytes, seed: int, before: int) -> None:
    data = np.frombuffer(bytearray(b"\xff" * before + value + b"\xff"), dtype=np.uint8)
    with np.errstate(over="ignore"):  # plain numpy, where numba is off, warns of what is meant
        found = xxh64(data, before, len(value), np.uint64(seed))
    assert int(found) == xxh64_intdigest(value, seed)
