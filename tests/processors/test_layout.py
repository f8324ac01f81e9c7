"""Laws of layouts: whatever columns come and go, the state of those that stay is kept."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.batch import RECORDS_MAX
from processors.layout import Layout, Packer, migrate
from processors.machine import Op
from processors.plan import PlanBuilder
from processors.profiles import Table
from processors.register import Register

columns = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 20), min_size=1)
seeds = st.integers(0, 2**32)


def filled(layout: Layout, rows: int, seed: int) -> npt.NDArray[np.int64]:
    """Rows of which about half of the words are something; the padding at the end is empty."""
    generator = np.random.default_rng(seed)
    words = generator.integers(-(2**63), 2**63 - 1, (rows, layout.words), dtype=np.int64)
    words[generator.random(words.shape) < 0.5] = 0
    words[:, sum(count for _, count in layout.columns.values()) :] = 0
    return words


@given(columns, columns, seeds)
def test_a_migrated_row_keeps_what_has_the_same_name_and_width(
    before: dict[str, int], after: dict[str, int], seed: int
) -> None:
    """A reload must not cost a customer's history, nor hand one column's state to another."""
    old, new = Layout.of(before.items()), Layout.of(after.items())
    (row,) = filled(old, 1, seed)
    moved = migrate(old, new, row)

    for name, (start, count) in new.columns.items():
        first, known = old.columns.get(name, (0, 0))
        expected = row[first : first + known] if known == count else np.zeros(count)
        assert np.array_equal(moved[start : start + count], expected)


@given(columns, columns, seeds)
def test_rows_in_memory_and_rows_in_the_store_migrate_alike(
    before: dict[str, int], after: dict[str, int], seed: int
) -> None:
    """Which of a customer's rows is at hand at a reload is chance."""
    old, new = Layout.of(before.items()), Layout.of(after.items())
    rows, ids = filled(old, 5, seed), list("vwxyz")
    stored = Packer(old).pack(rows, np.arange(5))
    here, elsewhere = Table(old), Table(new)
    here.insert(ids, stored, lambda _: old)
    here.migrate(new)
    elsewhere.insert(ids, stored, lambda _: old)

    assert np.array_equal(
        here.whole_rows[here.slots(ids)], elsewhere.whole_rows[elsewhere.slots(ids)]
    )
    assert np.shares_memory(here.rows, here.whole_rows)


def test_a_table_of_wider_rows_keeps_within_its_bytes() -> None:
    """New rules must not make a worker outgrow its memory; the store has what is dropped."""
    narrow, wide = Layout.of([("a", 8)]), Layout.of([("a", 8), ("b", 80)])
    table = Table(narrow, bytes_max=2 * RECORDS_MAX * 2 * 8 * narrow.words)
    ids = [str(number) for number in range(3 * RECORDS_MAX)]
    table.insert(ids, [None] * len(ids), lambda _: narrow)
    table.migrate(wide)

    assert len(table) == 0
    assert table.has_room(2 * RECORDS_MAX)
    assert not table.has_room(2 * RECORDS_MAX + 1)


def test_columns_are_called_the_same_whatever_else_is_asked_and_when() -> None:
    """Another rule in the folder must not make a window begin anew."""

    def both(builder: PlanBuilder) -> tuple[Register, Register]:
        large = builder.apply(Op.GT, builder.number("amount"), builder.constant(100.0))
        return builder.action("click", "checkout"), large

    one, other = PlanBuilder(), PlanBuilder()
    first = one.apply(Op.AND, *both(one))
    other.apply(Op.GT, other.number("amount"), other.constant(100.0))
    second = other.apply(Op.AND, *reversed(both(other)))

    assert first.name == second.name


def test_a_state_of_one_name_has_one_width() -> None:
    """Two kernels that disagree would write into their neighbours' columns."""
    builder = PlanBuilder()
    builder.state("mine", 2)

    assert builder.state("mine", 2) == builder.state("mine", 2)
    with pytest.raises(AssertionError, match="one width"):
        builder.state("mine", 3)
