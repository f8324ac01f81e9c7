"""Holes: offsets that nobody is given, and how one is told from a loss.

Promise   Offsets are passed over only where the log has twice been read from before them without giving them;
          or, where that has been seen in the partition before, where they are MARKERS_MAX at most.
How       Offsets of a partition have holes where the log holds no record: markers of transactions, what a
          transaction gave up, what compaction removed. A client that leaves records out looks the same, and
          librdkafka did so more than once (its pull requests 4117 and 4208). So what follows a hole is not
          taken; the partition is read again from the hole on, and a hole that comes again is one.
Limits    Few offsets are believed at once where transactions are usual, or each of these would cost a second
          reading. There a loss of as few records would go unseen.
Not here  Reading again (feed.py).
"""

import logging
from collections.abc import Sequence
from itertools import pairwise
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
        self._doubted: dict[int, int] = {}  # by the first offset not given, the next one given
        self._next = 0  # after what was not taken
        self._are_usual = False

    def believed(self, position: int, messages: Sequence[Message]) -> tuple[Sequence[Message], int]:
        """The messages from `position` on, as far as it is sure that none is missing before or between.

        And the position after them, and after what is sure to be nothing.
        """
        first, last = offset_of(messages[0]), offset_of(messages[-1])
        if first == position and last - first == len(messages) - 1 and not self.is_in_doubt:
            return messages, last + 1
        taken = []
        for index, message in enumerate(messages):
            offset = offset_of(message)
            if offset < position:  # sent again, after a reconnection
                continue
            position = self.passed(position, offset)
            if position < offset:
                self._leave(list(map(offset_of, messages[index:])))
                break
            taken.append(message)
            position = offset + 1
        return taken, position

    def passed(self, position: int, offset: int) -> int:
        """How far from `position` to `offset` there is surely no record; if not all the way, in doubt."""
        if self.is_in_doubt or offset <= position:
            return position
        read_before = self._doubted.get(position)
        if read_before is not None:
            # Meanwhile the hole may have grown: of that part nothing is known.
            known = min(read_before, offset)
            self._are_usual |= known - position <= MARKERS_MAX
            position = known
        if position == offset or (self._are_usual and offset - position <= MARKERS_MAX):
            return offset
        logger.warning(
            "%s gives %d after %d: reading again what is between", self._name, offset, position - 1
        )
        self.is_in_doubt = True
        self._doubted = {position: offset}
        self._next = offset
        return position

    def _leave(self, offsets: list[int]) -> None:
        """Note the holes in what is not taken: one reading again is enough for all of them."""
        spans = pairwise([self._next - 1, *offsets])
        self._doubted |= {start + 1: end for start, end in spans if end > start + 1}
        self._next = offsets[-1] + 1

    def read_again(self) -> None:
        """Note that the partition is read again from the hole on."""
        self.is_in_doubt = False
