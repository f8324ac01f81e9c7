"""Patience: the same work again, while Redis or the log is down and the work is still ours.

Promise   What failed because something is away is tried again, unchanged, until it succeeds or nobody
          wants it any more. Each failure is told once to who counts them.
Limits    RETRY_MS between tries.
Not here  What may be tried again: shard.py says so of its errors.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

from streams.errors import LogDownError, StoreDownError, StreamsError

RETRY_MS: Final = 100

Trouble: TypeAlias = Callable[[StreamsError], None]
"""Is told of each error that is met, from the thread that meets it."""

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class UnwantedError(Exception):
    """The work is no longer wanted; drop what is in hand."""


class Patience:
    """How one thread waits."""

    def __init__(self, halted: threading.Event, trouble: Trouble, beat: Callable[[], None]) -> None:
        """Be told when to stop, whom to tell of errors, and how to show that we live."""
        self._halted = halted
        self._trouble = trouble
        self._beat = beat
        self._last = ""

    def until_done(self, work: Callable[[], Result], wanted: Callable[[], bool]) -> Result:
        """Do the work, again and again if need be.

        Raises:
            UnwantedError: It was not wanted any more, or we are to stop.
            Exception: What the work raised, if trying again cannot help.
        """
        while True:
            try:
                result = work()
            except (StoreDownError, LogDownError) as error:
                self._tell(error)
            else:
                self._last = ""
                return result
            if self._halted.wait(RETRY_MS / 1_000) or not wanted():
                raise UnwantedError
            self._beat()

    def _tell(self, error: StoreDownError | LogDownError) -> None:
        self._trouble(error)
        if str(error) != self._last:  # ten lines a second would bury what matters
            logger.warning("%s; trying again", error)
        self._last = str(error)
