"""The kernel that writes views, against the general writer of JSON."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processors.health import BAND_TEXTS
from processors.model_file import default_model
from processors.plan import PlanBuilder
from processors.scores import Scores
from processors.view_fields import (
    ANOMALIES,
    BAND,
    INTEGERS,
    NUMBERS,
    ORDERS_AMOUNT,
    REASONS,
    REASONS_MAX,
)

VIEW = Scores.compile(PlanBuilder(), default_model()).view
HUNDREDTHS = st.integers(-10_000, 10_000).map(lambda whole: whole / 100)
MICRO = st.one_of(st.integers(0, 10**15), st.integers(0, 2_000)).map(lambda whole: whole / 1e6)


@given(st.data(), st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=9))
def test_both_writers_write_the_same_bytes(data: st.DataObject, ids: list[str]) -> None:
    """Which of them writes depends on the batch; what is stored must not."""
    numbers = np.zeros((len(ids), NUMBERS + REASONS_MAX + 3 * VIEW.kept))
    integers = np.zeros((len(ids), INTEGERS + REASONS_MAX + 2 * VIEW.kept), dtype=np.int64)
    for k in range(len(ids)):
        known = st.one_of(HUNDREDTHS, st.just(math.nan))
        numbers[k, :ORDERS_AMOUNT] = [data.draw(known) for _ in range(ORDERS_AMOUNT)]
        numbers[k, ORDERS_AMOUNT:NUMBERS] = [data.draw(MICRO), data.draw(MICRO)]
        numbers[k, NUMBERS : NUMBERS + REASONS_MAX] = [
            data.draw(HUNDREDTHS) for _ in range(REASONS_MAX)
        ]
        integers[k, :INTEGERS] = [data.draw(st.integers(0, 2**50)) for _ in range(INTEGERS)]
        integers[k, BAND] = data.draw(st.integers(0, len(BAND_TEXTS) - 1))
        integers[k, REASONS] = data.draw(st.integers(0, REASONS_MAX))
        integers[k, ANOMALIES] = data.draw(st.sampled_from([0, 0, 0, min(1, VIEW.kept)]))
        integers[k, INTEGERS : INTEGERS + REASONS_MAX] = [
            data.draw(st.integers(0, len(VIEW.phrases) - 1)) for _ in range(REASONS_MAX)
        ]

    general = [VIEW._one(ids[k], numbers[k], integers[k]) for k in range(len(ids))]
    written = VIEW.text.write(ids, numbers, integers)

    assert [view for view in written if view is not None] == [
        one for one, view in zip(general, written, strict=True) if view is not None
    ]
    if len(ids) >= 4:
        plain = [k for k in range(len(ids)) if integers[k, ANOMALIES] == 0]
        amounts = [
            k for k in plain if all(a == 0 or 1e-3 <= a < 1e9 for a in numbers[k, 3:5].tolist())
        ]
        assert all(written[k] is not None for k in amounts)
