"""Spans: the fields of a batch as columns, and its texts by where they stand in the records.

Promise   Plain values. A text is not copied until somebody wants it.
How       All records of a batch are joined; of each text there are its first byte and its length.
Limits    Valid until the next batch is scanned: the arrays are used again.
Not here  Who fills them (scan.py).
"""

from dataclasses import dataclass, replace
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from processors.event import TEXT_FIELDS

SPANS: Final = ("customer_id", "action", *TEXT_FIELDS, "id")

Bytes: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
Places: TypeAlias = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Columns:
    """The fields of a batch of records; all arrays have one entry, or one row, a record.

    Of an unusual record there are no texts, and the rest is what somebody else fills in.
    """

    data: Bytes  # the records, joined
    text: str  # the same, a character a byte
    unusual: list[int]  # records that are not plain
    kinds: Integers  # in KINDS
    at_ms: Integers
    id_hashes: Integers  # 63 bits, never zero
    numbers: Floats  # as in NUMBER_FIELDS; NaN where there is none
    spans: Places  # as in SPANS: where in `data` a text begins, and its bytes; below zero: none

    def texts(self, field: str) -> list[str]:
        """The texts of a field that each record has; of unusual ones, anything."""
        span = SPANS.index(field)
        starts = self.spans[:, span, 0]
        ends = starts + self.spans[:, span, 1]
        text = self.text
        return [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]

    def text_of(self, span: int, index: int) -> str:
        """The text of one field of one record, which has it."""
        start, length = self.spans[index, span].tolist()
        return self.text[start : start + length]

    def chosen(self, indexes: Integers) -> Self:
        """Those of these records, in this order; none of them counts as unusual."""
        return replace(
            self,
            unusual=[],
            kinds=self.kinds[indexes],
            at_ms=self.at_ms[indexes],
            id_hashes=self.id_hashes[indexes],
            numbers=self.numbers[indexes],
            spans=self.spans[indexes],
        )

    def left(self, unusual: list[int]) -> Self:
        """The same, with these as the unusual ones."""
        return replace(self, unusual=unusual)
