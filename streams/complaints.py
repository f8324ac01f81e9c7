"""Complaints: what cannot be done for now, told once and not at each try.

Promise   An error is logged when it first stands in the way of something, and when it becomes another;
          each try is counted.
Limits    WHATS_MAX things that something stands in the way of; beyond them each try is told.
Not here  When to try again: whoever does.
"""

import logging
from typing import Final

WHATS_MAX: Final = 10_000


class Complaints:
    def __init__(self, log: logging.Logger) -> None:
        self.count = 0  # of failed tries
        self._log = log
        self._standing: dict[str, str] = {}

    def met(self, what: str, error: Exception, *, level: int = logging.WARNING) -> None:
        """A try failed; `what` begins the sentence, as in "the records of shard 3 are not written"."""
        self.count += 1
        if self._standing.get(what) == str(error):
            return
        if what in self._standing or len(self._standing) < WHATS_MAX:
            self._standing[what] = str(error)
        self._log.log(level, "%s: %s; trying again until it goes", what, error)

    def over(self, what: str) -> None:
        """It has been done."""
        if self._standing.pop(what, None) is not None:
            self._log.info("%s: no longer", what)
