"""Ending: a script that works until SIGTERM, and then writes what it has seen."""

import signal
from pathlib import Path

import orjson


class Ending:
    """Whether it is time to end; made before the work begins."""

    def __init__(self) -> None:
        self.is_due = False
        signal.signal(signal.SIGTERM, self._mark)

    def _mark(self, _number: int, _frame: object) -> None:
        self.is_due = True


def write(file: Path, seen: object) -> None:
    """Write it whole or not at all: the one who waits for the file reads it as soon as it is there."""
    whole = file.with_suffix(".whole")
    whole.write_bytes(orjson.dumps(seen))
    whole.replace(file)
