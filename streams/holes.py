"""Holes: offsets between two records that nobody is given, and how one is told from a loss.

Promise   A record is passed over only where the log has twice been read from before it without giving it.
How       Offsets of a partition have holes where the log holds no record: markers of transactions, what a
          transaction gave up, what compaction removed. A client that leaves records out looks the same, and
          librdkafka did so more than once (its pull requests 4117 and 4208). So what follows a hole is not
          taken; the partition is read again from the hole on, and a hole that comes again is one.
Limits    Where a partition has shown a hole twice, it has transactions: from then on holes up to MARKERS_MAX
          are believed at once, or each transaction would cost a second reading.
Not here  Reading again (feed.py).
"""

import logging
from collections.abc import Sequence
from typing import Final

from confluent_kafka import Message

from streams.messages import offset_of

MARKERS_MAX: Final = 8  # one a transaction; more missing offsets are a fault, not markers

logger = logging.getLogger(__name__)


class Holes:
    """The holes of one partition, as one feed meets them."""

    def __init__(self, name: str) -> None:
        """`name` is the partition's, for people."""
        self.is_in_doubt = False  # nothing is taken until the partition is read again
        self._name = name
        self._doubted: tuple[int, int] | None = (
            None  # from the first offset not given to the next given
        )
        self._are_usual = False

    def believed(self, position: int, messages: Sequence[Message]) -> Sequence[Message]:
        """The messages from `position` on, as far as it is sure that none is missing before or between."""
        if self.is_in_doubt:
            return ()
        first, last = offset_of(messages[0]), offset_of(messages[-1])
        if first == position and last - first == len(messages) - 1:
            return messages
        taken = []
        for message in messages:
            offset = offset_of(message)
            if offset < position:  # sent again, after a reconnection
                continue
            if offset > position and not self._is_believed(position, offset):
                break
            taken.append(message)
            position = offset + 1
        return taken

    def read_again(self) -> None:
        """Note that the partition is read again from the hole on."""
        self.is_in_doubt = False

    def _is_believed(self, start: int, end: int) -> bool:
        if self._doubted == (start, end):
            self._are_usual = True
            return True
        if self._are_usual and end - start <= MARKERS_MAX:
            return True
        logger.warning(
            "%s gives %d after %d: reading again what is between", self._name, end, start - 1
        )
        self._doubted = (start, end)
        self.is_in_doubt = True
        return False
