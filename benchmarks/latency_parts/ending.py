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
    file.write_bytes(orjson.dumps(seen))
