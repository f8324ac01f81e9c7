"""The size of batches: how many records the next ones may have.

Promise   A batch that takes longer than BATCH_MS_MAX makes the next ones half as large as it was; after one
          that does not, they may be twice as large.
Limits    1 to RECORDS_MAX records.
Not here  Cutting batches, and taking the time: data_plane.py, redis_log.py.
"""

from typing import Final

from processors.batch import RECORDS_MAX

BATCH_MS_MAX: Final = 100  # others wait for the thread that folds


def limit_after(limit: int, took_ms: int, records_count: int) -> int:
    """How many records the next batch may have, after one of so many with this limit.

    >>> limit_after(8_000, took_ms=120, records_count=1_000), limit_after(500, 3, 500)
    (500, 1000)
    """
    if took_ms > BATCH_MS_MAX:
        return max(1, min(limit, records_count) // 2)
    return min(RECORDS_MAX, limit * 2)
