"""How large the next batches may be."""

from processors.batch import RECORDS_MAX
from streams.batch_size import BATCH_MS_MAX, limit_after


def test_a_batch_that_takes_too_long_is_halved() -> None:
    assert limit_after(8_000, BATCH_MS_MAX + 1, 1_000) == 500
    assert limit_after(1_000, BATCH_MS_MAX + 1, 8_000) == 500
    assert limit_after(1, BATCH_MS_MAX + 1, 1) == 1


def test_after_a_quick_one_more_may_come() -> None:
    assert limit_after(500, BATCH_MS_MAX, 1) == 1_000
    assert limit_after(RECORDS_MAX, 1, 1) == RECORDS_MAX
