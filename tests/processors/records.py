"""Records of all kinds, for tests that read them: mangled ones, and ones with fields of any type."""

import json
from typing import Any

from hypothesis import strategies as st

from processors.event import KINDS, Event
from tests.corpus import ODD, RECORD_MS, good, record

FIELDS = Event.__struct_fields__
TOLD = st.dictionaries(
    st.text(max_size=70) | st.sampled_from(["phone", "tier", "\t"]),
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=9),
    max_size=20,
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=120)
    | st.sampled_from([*KINDS, "placed", "csat", "nps", RECORD_MS]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A good or odd record with some bytes cut out or put in."""
    value = draw(st.sampled_from([record(), *ODD.values()]))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(value)))
        value = (
            value[:start] + draw(st.binary(max_size=4)) + value[start + draw(st.integers(0, 4)) :]
        )
    return value


@st.composite
def replaced(draw: st.DrawFn) -> bytes:
    """A good record in which some fields have values of any type."""
    fields = draw(st.dictionaries(st.sampled_from([*FIELDS, "other"]), VALUES, max_size=4))
    if draw(st.booleans()):
        fields |= draw(st.dictionaries(st.sampled_from(["attributes", "consent"]), TOLD))
    return json.dumps({**good(), **fields}, ensure_ascii=draw(st.booleans())).encode(
        errors="surrogatepass"
    )
