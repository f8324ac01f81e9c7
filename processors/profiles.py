"""Profiles in memory: the rows of the customers that were seen last, one table a shard.

Promise   A row that is here is the newest state; what was dropped is in the store, because rows are only
          dropped between batches, after the commit.
How       One matrix of 8-byte words, one of what readings keep in mind (readings.py), a dictionary
          customer -> slot, and for each slot the last batch that touched it; when full, the quarter
          that was touched longest ago is dropped.
Limits    `bytes_max` of rows a table, but always room for one whole batch.
Not here  Loading and storing (streams/shard.py). What stands in a row (tables.py).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.batch import RECORDS_MAX
from processors.layout import Layout, fingerprint_of, migrate, unpack
from processors.tables import DUE

TABLE_BYTES_MAX: Final = 128 * 1024 * 1024
_SLOTS_AT_FIRST: Final = 256

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Table:
    """The rows of one shard; single-threaded, like the shard."""

    def __init__(
        self, layout: Layout, bytes_max: int = TABLE_BYTES_MAX, memos_count: int = 0
    ) -> None:
        """Make an empty table of rows of this layout, for a plan that keeps so many readings in mind."""
        self.layout = layout
        self._memos_count = memos_count
        self._bytes_max = bytes_max
        self._slots_max = self._most()
        self.forget()

    @property
    def _words(self) -> int:
        return self.layout.words + 2 * self._memos_count

    def _most(self) -> int:
        return max(2 * RECORDS_MAX, self._bytes_max // (8 * self._words))

    def forget(self) -> None:
        """Drop everything: somebody else may have written since."""
        self._slot_of: dict[str, int] = {}
        self._allocate(_SLOTS_AT_FIRST)
        self._free = list(range(_SLOTS_AT_FIRST - 1, -1, -1))
        self._id_of = [""] * _SLOTS_AT_FIRST
        self._touched = np.zeros(_SLOTS_AT_FIRST, dtype=np.int64)
        self._batch = 0

    def _allocate(self, slots: int) -> None:
        self.whole_rows = np.zeros((slots, self.layout.words), dtype=np.int64)
        self.rows = self.whole_rows.view(np.float64)
        self.forget_memos()

    def forget_memos(self) -> None:
        """Take all readings anew: what is kept in mind stands until the time zero."""
        self.whole_memos = np.zeros((len(self.whole_rows), 2 * self._memos_count), dtype=np.int64)
        self.memos = self.whole_memos.view(np.float64)

    @property
    def matrices(self) -> tuple[Floats, Integers, Floats, Integers]:
        """Rows, and what is kept in mind, each as floats and as integers: as `fold_events` takes them."""
        return self.rows, self.whole_rows, self.memos, self.whole_memos

    def __len__(self) -> int:
        """How many customers are here."""
        return len(self._slot_of)

    def __contains__(self, customer_id: str) -> bool:
        """Whether the customer's row is here."""
        return customer_id in self._slot_of

    def missing(self, customer_ids: Iterable[str]) -> list[str]:
        """Which of these are not here, each once, in order."""
        distinct = dict.fromkeys(customer_ids)
        if distinct.keys() <= self._slot_of.keys():
            return []
        return [each for each in distinct if each not in self._slot_of]

    def has_room(self, count: int) -> bool:
        """Whether so many more customers can be put in without dropping others."""
        return count <= len(self._free) + self._slots_max - len(self._id_of)

    def slots(self, customer_ids: Sequence[str]) -> list[int]:
        """The rows of these customers, all of which are here; starts a new batch."""
        self._batch += 1
        slot_of = self._slot_of
        found = [slot_of[each] for each in customer_ids]
        if len(found) == 1:  # an index is five times as fast as a list of one
            self._touched[found[0]] = self._batch
        else:
            self._touched[found] = self._batch
        return found

    def dues_ms(self, slots: Sequence[int]) -> list[int]:
        """When the first timer of each of these rows is due; 0: none waits."""
        if len(slots) == 1:  # as in `slots`
            return [int(self.whole_rows[slots[0], DUE])]
        found: list[int] = self.whole_rows[slots, DUE].tolist()
        return found

    def insert(
        self,
        customer_ids: Sequence[str],
        blobs: Sequence[bytes | None],
        layout_of: Callable[[bytes], Layout],
        keep: Iterable[str] = (),
    ) -> None:
        """Put stored rows in; None is a customer who was never seen.

        Args:
            customer_ids: distinct, and not here yet.
            blobs: packed rows, in the same order.
            layout_of: the layout of a fingerprint that is not ours, read from the store.
            keep: customers of the coming batch who are here already and must stay.

        Raises:
            LayoutError: A row is damaged; the table is then unchanged but for rows dropped.
        """
        moved = [self._current(blob, layout_of) for blob in blobs]
        self._make_room(len(customer_ids), keep)
        slots = [self._free.pop() for _ in customer_ids]
        ours = [
            (slot, blob)
            for slot, blob, row in zip(slots, blobs, moved, strict=True)
            if row is None and blob is not None
        ]
        self.whole_rows[slots] = 0
        self.whole_memos[slots] = 0
        if ours:
            try:
                unpack(
                    self.layout,
                    [blob for _, blob in ours],
                    self.whole_rows,
                    np.array([slot for slot, _ in ours], dtype=np.int64),
                )
            except ValueError:
                self._free.extend(slots)
                raise
        for slot, customer_id, row in zip(slots, customer_ids, moved, strict=True):
            if row is not None:
                self.whole_rows[slot] = row
            self._slot_of[customer_id] = slot
            self._id_of[slot] = customer_id
            self._touched[slot] = self._batch + 1

    def _current(self, blob: bytes | None, layout_of: Callable[[bytes], Layout]) -> Integers | None:
        """A row of another layout moved into ours; None where the blob can be read as it is."""
        if blob is None or fingerprint_of(blob) == self.layout.fingerprint:
            return None
        old = layout_of(fingerprint_of(blob))
        row = np.zeros((1, old.words), dtype=np.int64)
        unpack(old, [blob], row, np.zeros(1, dtype=np.int64))
        return migrate(old, self.layout, row[0])

    def _make_room(self, wanted: int, keep: Iterable[str]) -> None:
        if wanted <= len(self._free):
            return
        slots = len(self._id_of)
        if slots < self._slots_max:
            grown = min(self._slots_max, max(2 * slots, slots + wanted))
            old, old_touched = self.whole_rows, self._touched
            self._allocate(grown)
            self.whole_rows[:slots] = old
            self._touched = np.zeros(grown, dtype=np.int64)
            self._touched[:slots] = old_touched
            self._id_of.extend([""] * (grown - slots))
            self._free.extend(range(grown - 1, slots - 1, -1))
        if wanted > len(self._free):
            self._drop_oldest(wanted, keep)

    def _drop_oldest(self, wanted: int, keep: Iterable[str]) -> None:
        kept = {self._slot_of[each] for each in keep if each in self._slot_of}
        order = np.argsort(self._touched, kind="stable").tolist()
        target = max(wanted, len(self._id_of) // 4)
        for slot in order:
            if len(self._free) >= target:
                return
            customer_id = self._id_of[slot]
            if customer_id and slot not in kept:
                del self._slot_of[customer_id]
                self._id_of[slot] = ""
                self._free.append(slot)
        assert wanted <= len(self._free), "a table has room for two whole batches"

    def migrate(self, layout: Layout, memos_count: int = 0) -> None:
        """Move all rows at once into another layout: what has the same name and width is kept.

        To be called when all rows are stored: of wider rows fewer may fit, and then all are dropped.
        """
        old, self.layout = self.layout, layout
        self._memos_count = memos_count
        self._slots_max = self._most()
        if len(self._id_of) > self._slots_max:
            self.forget()
            return
        self.whole_rows = migrate(old, layout, self.whole_rows)
        self.rows = self.whole_rows.view(np.float64)
        self.forget_memos()
