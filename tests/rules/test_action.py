"""Actions: equal causes have equal ids, different ones never."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.action import action_id

PARTS = st.text(alphabet="ab1\x00", max_size=3)
CAUSES = st.tuples(PARTS, st.integers(1, 12), PARTS, PARTS, st.integers(0, 12))


@pytest.mark.slow
@given(CAUSES, CAUSES)
def test_ids_are_equal_exactly_when_causes_are(
    one: tuple[str, int, str, str, int], other: tuple[str, int, str, str, int]
) -> None:
    """Parts run together (`ab`+`c`, `a`+`bc`) would let one customer's action swallow another's."""
    assert (action_id(*one) == action_id(*other)) == (one == other)


def test_an_id_is_the_same_on_every_machine() -> None:
    """Receivers keep ids for months: the recipe must never change."""
    assert action_id("churn", 3, "c-1", "e-1", 0) == "act_3fe950c596daee781874cbfa453e1625"
