"""What is read of the store about one rule and one customer."""

from typing import Any

import msgspec
import pytest

from processors.layout import Layout
from processors.partition import partition_of
from streams.errors import DamagedError
from streams.keys import Keys
from streams.read import FIRES_MAX, RECORDS_AT_ONCE, StoreReader
from streams.receipts import KEPT_MAX

PARTITIONS = 4
KEYS = Keys.of(partition_of("ann", PARTITIONS))


class Redis:
    """The records of one shard, the newest first, and how often they were asked for."""

    def __init__(self, records: list[dict[str, Any]], layouts: dict[bytes, bytes]) -> None:
        self.records = {each["id"].encode(): msgspec.json.encode(each) for each in records}
        self.layouts = layouts
        self.pages = 0

    async def call(self, *command: bytes | str | int) -> object:
        match command:
            case ("ZREVRANGE", key, int(first), int(last)):
                assert key == KEYS.actions_by_time
                self.pages += 1
                return list(self.records)[first : last + 1]
            case ("HMGET", key, *ids):
                assert key == KEYS.actions
                return [self.records[bytes(each)] for each in ids if isinstance(each, bytes)]
            case ("GET", bytes(key)):
                return self.layouts.get(key)
        raise AssertionError(command)

    async def ask(self, commands: list[object]) -> list[object]:
        assert commands == [("GET", KEYS.fence), ("GET", KEYS.relay)]
        return [None, None]


def record(number: int, customer_id: str = "bob", rule: str = "vip") -> dict[str, Any]:
    return {
        "id": f"act_{number}",
        "customer_id": customer_id,
        "rule": rule,
        "at_ms": 1_000_000 - number,
        "reason": 'by "ann" of "vip"',
    }


def reader(records: list[dict[str, Any]], layouts: dict[bytes, bytes]) -> tuple[StoreReader, Redis]:
    redis = Redis(records, layouts)
    return StoreReader(redis, PARTITIONS), redis  # type: ignore[arg-type]  # as much of it as is used


async def test_the_fires_of_one_rule_for_one_customer_are_found_among_all() -> None:
    """Names that merely stand in the text of another's action are no match."""
    many = [record(number) for number in range(3 * RECORDS_AT_ONCE)]
    many[2 * RECORDS_AT_ONCE] = record(2 * RECORDS_AT_ONCE, "ann")
    many[5] = record(5, "ann", "other")
    found, redis = reader(many, {})

    assert [each["id"] for each in await found.fires("ann", "vip")] == [
        f"act_{2 * RECORDS_AT_ONCE}"
    ]
    assert redis.pages == 4


async def test_no_more_is_read_once_there_are_enough() -> None:
    """A customer may have thousands; the last ones are what is asked for."""
    found, redis = reader([record(number, "ann") for number in range(KEPT_MAX)], {})

    fires = await found.fires("ann", "vip")

    assert [each["id"] for each in fires] == [f"act_{number}" for number in range(FIRES_MAX)]
    assert redis.pages == 1


async def test_the_search_ends_with_the_records_that_are_kept() -> None:
    """Else an index that nobody trims would be read to its end."""
    found, redis = reader([record(number) for number in range(KEPT_MAX + RECORDS_AT_ONCE)], {})

    assert await found.fires("ann", "vip") == []
    assert redis.pages == KEPT_MAX // RECORDS_AT_ONCE


async def test_the_layout_of_a_row_is_read_or_missed_aloud() -> None:
    """A row without its layout is noise."""
    layout = Layout.of([("newest", 1), ("ring", 4)])
    key = KEYS.layout(layout.fingerprint)
    found, _ = reader([], {key: layout.encode()})
    without, _ = reader([], {})
    damaged, _ = reader([], {key: b"{"})

    assert await found.layout("ann", layout.fingerprint) == layout
    for each in (without, damaged):
        with pytest.raises(DamagedError, match="layout"):
            await each.layout("ann", layout.fingerprint)
