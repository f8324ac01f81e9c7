"""What the tests of replay and of its feature file share: rows, sources and rules."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from processors.batch import RECORDS_MAX
from streams.source import Chunk, SourceError

NOW_MS = 1_800_000_000_000
START_MS = 1_700_000_000_000
HOUR_MS = 3_600_000

THIRD_ORDER = """
[rule.third-order]
when = "count(order.placed, 30d) >= 3"
reason = "{sum(order.placed.amount, 30d):.2f} in {count(order.placed, 30d):.0f} orders"
then = [{ log = "orders" }, { log = "again" }]

[rule.never]
when = "count(service.complaint, 1d) > 1000"
then = [{ log = "never" }]
"""


class ListSource:
    """Rows from a list, cut where the test says."""

    name = "list"
    notices: tuple[str, ...] = ()

    def __init__(self, values: Sequence[bytes], cuts: Sequence[int] = ()) -> None:
        self.values = list(values)
        self.cuts = cuts

    def fingerprint(self) -> str:
        return "list"

    def count(self) -> int | None:
        return len(self.values)

    def chunks(self, skip: int = 0, size: int = RECORDS_MAX) -> Iterator[Chunk]:
        cuts = sorted({skip, *self.cuts, *range(skip, len(self.values), size), len(self.values)})
        for begin, end in pairwise(cuts):
            yield Chunk(range(begin + 1, end + 1), list(self.values[begin:end]))


def order(number: int, customer: str = "ann", amount: float = 0.1, at_ms: int = 0) -> bytes:
    return msgspec.json.encode(
        {
            "id": f"o{number}",
            "type": "order",
            "action": "placed",
            "customer_id": customer,
            "at_ms": START_MS + (at_ms or number * HOUR_MS),
            "amount": amount,
        }
    )


def click(number: int, customer: str) -> bytes:
    return msgspec.json.encode(
        {
            "id": f"c{number}",
            "type": "click",
            "action": "view",
            "customer_id": customer,
            "at_ms": START_MS + number * HOUR_MS,
        }
    )


class BrokenSource(ListSource):
    """Breaks off after its rows."""

    def chunks(self, skip: int = 0, size: int = RECORDS_MAX) -> Iterator[Chunk]:
        yield from super().chunks(skip, size)
        raise SourceError("broken off")
