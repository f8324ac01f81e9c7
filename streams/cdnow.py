"""CDNOW: a text file of purchases, one a line, as a source of order events.

Promise   Each line is one event order.placed, in the file's order; a line that is none stops the reading,
          with file, line and what to mend.
How       A line has `customer date CDs dollars`, or the same with a second number of the customer, which then
          is the customer's id: that of a sample. The schema knows no time before 2000, so all dates are
          moved by 28 years, which are whole weeks; models see differences of time alone.
Limits    One chunk in memory. LINES_MAX lines.
Not here  What is made of the orders (order_history.py).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from processors.batch import RECORDS_MAX
from processors.event import AMOUNT_MAX
from streams.source import Chunk, SourceError, fingerprint_of_file, in_chunks

MOVED: Final = timedelta(days=28 * 365 + 7)
LINES_MAX: Final = 10_000_000
FORM: Final = "customer [sample customer] YYYYMMDD CDs dollars"

assert MOVED % timedelta(weeks=1) == timedelta(0), "days of the week stay"


class CdnowSource:
    """The purchases of one file."""

    def __init__(self, file: Path) -> None:
        """Look whether the file can be read.

        Raises:
            MissingError: There is no such file.
            SourceError: It cannot be read.
        """
        self.name = str(file)
        self.notices: tuple[str, ...] = ()
        self._file = file
        self._sample = fingerprint_of_file(file)

    def fingerprint(self) -> str:
        return self._sample

    def count(self) -> int | None:
        return None

    def chunks(self, skip: int = 0, size: int = RECORDS_MAX) -> Iterator[Chunk]:
        return in_chunks((row for row in self._events() if row[0] > skip), size)

    def _events(self) -> Iterator[tuple[int, bytes]]:
        number = 0
        try:
            with self._file.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if number > LINES_MAX:
                        raise SourceError(
                            f"{self.name}: has more than {LINES_MAX:,} lines: give a sample"
                        )
                    if line.strip():
                        yield number, self._event(number, line)
        except (OSError, UnicodeDecodeError) as error:
            told = f"{self.name}: cannot be read after line {number}: {error}"
            raise SourceError(told) from error

    def _event(self, number: int, line: str) -> bytes:
        try:
            return _event(number, line.split())
        except (ValueError, OverflowError) as error:
            raise SourceError(
                f"{self.name}:{number}: {error}; a line must be: {FORM}, such as"
                " 00004 0001 19970101 2 29.33"
            ) from error


def _event(number: int, parts: list[str]) -> bytes:
    """The event of a line, as JSON; ValueError says what is wrong with it."""
    if len(parts) not in (4, 5):
        raise ValueError(f"has {len(parts)} columns")
    day, items, amount = parts[-3:]
    at = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC) + MOVED
    money, count = float(amount), int(items)
    if not 0 <= money <= AMOUNT_MAX or count < 0:
        raise ValueError("has a negative number, or one that is no amount")
    return msgspec.json.encode(
        {
            "id": f"line-{number}",
            "type": "order",
            "action": "placed",
            "customer_id": parts[-4],
            "at_ms": int(at.timestamp() * 1000),
            "amount": money,
            "items_count": count,
        }
    )
