"""Fire lines: every fire of a backtest in a file, one line of JSON each.

Promise   One line a fire, however many targets it has, in the order in which they were decided: rule,
          version, customer_id, at, cause, reason, and `withheld` where it would not have been acted on.
          Only of the judged time. The file is there when it is whole.
How       Written beside the file while the history is replayed, for with --since nobody knows yet what is
          judged; then those of the judged time are copied.
Limits    As much disk again, until it is whole.
Not here  What a fire is (rules/fires.py).
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from rules.action import Action
from rules.duration import iso
from streams.errors import StreamsError


class FireLinesError(StreamsError):
    """The file cannot be written; nothing of it is left."""


class FireLine(msgspec.Struct, omit_defaults=True):
    """One line. Scripts depend on these names."""

    rule: str
    version: int
    customer_id: str
    at: str
    at_ms: int
    cause: str
    reason: str
    withheld: str = ""


class FireLines:
    """The file while it is written; to be used with `with`, and finished once all is noted."""

    def __init__(self, file: Path) -> None:
        """Begin it.

        Raises:
            FireLinesError: There cannot be such a file.
        """
        self._file = file
        self._part = file.with_name(f"{file.name}.part")
        self._encoder = msgspec.json.Encoder()
        try:
            self._out = self._part.open("wb")
        except OSError as error:
            raise self._failed(error) from error

    def note(self, fires: Sequence[Action]) -> None:
        """Write these fires, an action of each.

        Raises:
            FireLinesError: The disk does not take them.
        """
        for each in fires:
            about = (each.rule, each.version, each.customer_id, iso(each.at_ms), each.at_ms)
            self._write(FireLine(*about, each.cause, each.reason, each.withheld))

    def finish(self, judged: range) -> None:
        """Keep those of the judged time, in milliseconds. Raises as `note` does."""
        decode = msgspec.json.Decoder(FireLine).decode
        kept = self._file.with_name(f"{self._file.name}.whole")
        try:
            self._out.close()
            with self._part.open("rb") as lines, kept.open("wb") as out:
                out.writelines(line for line in lines if decode(line).at_ms in judged)
            kept.replace(self._file)
        except OSError as error:
            kept.unlink(missing_ok=True)
            raise self._failed(error) from error

    def __enter__(self) -> Self:
        """Nothing more to begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave nothing beside the file."""
        with suppress(OSError):  # a full disk has been told of
            self._out.close()
        self._part.unlink(missing_ok=True)

    def _write(self, line: FireLine) -> None:
        try:
            self._out.write(self._encoder.encode(line) + b"\n")
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> FireLinesError:
        return FireLinesError(f"{self._file}: cannot be written: {error.strerror or error}")
