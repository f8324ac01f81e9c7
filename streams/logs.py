"""The logs: what the engine tells its operators, on stderr.

Promise   One line a message: plain where a person looks, a JSON object elsewhere, so that a collector
          needs no pattern. Ours from "info" on, those of libraries from "warning" on.
Not here  What is told: each module has a logger of its name. Metrics: metrics.py.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

OURS: Final = ("streams", "sinks", "rapport")


class LineFormatter(logging.Formatter):
    """For people."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        text = f"{at} {record.levelname.lower():8} {record.getMessage()}"
        return (
            text if record.exc_info is None else f"{text}\n{self.formatException(record.exc_info)}"
        )


class JsonFormatter(logging.Formatter):
    """For collectors."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info is not None:
            told["trace"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


def set_up(stream: TextIO | None = None) -> None:
    """Write logs to this stream, by default stderr, and nowhere else."""
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    handler.setFormatter(LineFormatter() if target.isatty() else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
