"""Reading: what the web part and the command line show of the store.

Promise   What is shown was committed. An action that the relay has not recorded yet is shown as
          pending, because it is in the outbox.
How       A customer's shard is known by the partitioner. Lists are merged over all shards: per shard
          the newest ids by event time, then their records.
Limits    OUTBOX_ENTRIES_MAX entries a shard are looked through for actions not recorded yet. A rule's
          actions for one customer are looked for among the newest KEPT_MAX of the shard.
Not here  Writing: shard.py, receipts_redis.py. Answering: web.py.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from processors.layout import Layout, LayoutError
from processors.partition import partition_of
from streams import outbox
from streams.delivery import opened
from streams.errors import DamagedError, StreamsError
from streams.fence import Fence
from streams.keys import Keys
from streams.probes import Check
from streams.receipts import KEPT_MAX
from streams.store import Command, list_of, text_of
from streams.store_async import AsyncConnection

OUTBOX_ENTRIES_MAX: Final = 100
FIRES_MAX: Final = 8  # of one rule and customer: an action each target
RECORDS_AT_ONCE: Final = 500

Listed = Sequence[dict[str, Any]]


class StoreReader:
    """Reads all shards of a store that is not a cluster."""

    def __init__(self, connection: AsyncConnection, partitions: int) -> None:
        self._connection = connection
        self._partitions = partitions

    async def customer(self, customer_id: str) -> bytes | None:
        """The customer's view, JSON as stored; None when there is none.

        Raises:
            StoreError: Redis cannot be read.
        """
        keys = Keys.of(partition_of(customer_id, self._partitions))
        return text_of(await self._connection.call("GET", keys.customer_ + customer_id.encode()))

    async def row(self, customer_id: str) -> bytes | None:
        """The customer's packed profile row. Raises as `customer` does."""
        keys = Keys.of(partition_of(customer_id, self._partitions))
        return text_of(await self._connection.call("GET", keys.row_ + customer_id.encode()))

    async def actions(self, limit: int) -> Listed:
        """The newest actions first, by event time, with their status. Raises as `customer` does."""
        found: dict[str, dict[str, Any]] = {}
        for number in range(self._partitions):
            for action in await self._waiting(number):
                found[action["id"]] = action
        shards = [Keys.of(number) for number in range(self._partitions)]
        newest: list[Command] = [
            ("ZREVRANGE", keys.actions_by_time, 0, limit - 1) for keys in shards
        ]
        replies = await self._connection.ask(newest)
        wanted: list[Command] = []
        for keys, reply in zip(shards, replies, strict=True):
            ids = [text_of(each) or b"" for each in list_of(reply)]
            if ids:
                wanted.append(("HMGET", keys.actions, *ids))
        for reply in await self._connection.ask(wanted) if wanted else []:
            for record in map(text_of, list_of(reply)):
                if record is not None:  # else its index entry is left over
                    action = msgspec.json.decode(record)
                    found[action["id"]] = action
        return sorted(found.values(), key=lambda action: -action["at_ms"])[:limit]

    async def layout(self, customer_id: str, fingerprint: bytes) -> Layout:
        """The layout with which the customer's row was written.

        Raises:
            DamagedError: It is not there, or is none.
            StoreError: Redis cannot be read.
        """
        key = Keys.of(partition_of(customer_id, self._partitions)).layout(fingerprint)
        stored = text_of(await self._connection.call("GET", key))
        if stored is None:
            raise DamagedError(key, "is not there, and a profile row was written with it")
        try:
            return Layout.decode(stored)
        except LayoutError as error:
            raise DamagedError(key, str(error)) from error

    async def fires(self, customer_id: str, rule: str) -> Listed:
        """The rule's newest actions for this customer, the newest first. Raises as `customer` does."""
        number = partition_of(customer_id, self._partitions)
        found = {
            action["id"]: action
            for action in await self._waiting(number)
            if (action["customer_id"], action["rule"]) == (customer_id, rule)
        }
        keys = Keys.of(number)
        signs = [msgspec.json.encode(each) for each in (customer_id, rule)]
        for first in range(0, KEPT_MAX, RECORDS_AT_ONCE):
            reply = await self._connection.call(
                "ZREVRANGE", keys.actions_by_time, first, first + RECORDS_AT_ONCE - 1
            )
            ids = [text_of(each) or b"" for each in list_of(reply)]
            records = await self._connection.call("HMGET", keys.actions, *ids) if ids else []
            for record in map(text_of, list_of(records)):
                if record is None or not all(sign in record for sign in signs):
                    continue  # most are of others: not worth decoding
                action = msgspec.json.decode(record)
                if (action["customer_id"], action["rule"]) == (customer_id, rule):
                    found[action["id"]] = action
            if len(found) >= FIRES_MAX or len(ids) < RECORDS_AT_ONCE:
                break
        return sorted(found.values(), key=lambda action: -action["at_ms"])[:FIRES_MAX]

    async def _waiting(self, number: int) -> Listed:
        """The newest actions of the outbox, as if their delivery were recorded."""
        keys = Keys.of(number)
        fence, cursor = await self._connection.ask([("GET", keys.fence), ("GET", keys.relay)])
        stored = text_of(fence)
        if stored is None:
            return []
        last = Fence.decode(number, stored).outbox
        first = max(outbox.cursor(number, text_of(cursor)), last - OUTBOX_ENTRIES_MAX) + 1
        names = [keys.outbox(sequence) for sequence in range(first, last + 1)]
        replies = await self._connection.ask([("GET", name) for name in names]) if names else []
        return [
            msgspec.to_builtins(opened(action, action.at_ms))
            for name, entry in zip(names, map(text_of, replies), strict=True)
            if entry is not None
            for action in outbox.decode(name, entry)
        ]

    async def fences(self) -> dict[int, Fence]:
        """The fences of the shards that were ever claimed. Raises as `customer` does."""
        asked: list[Command] = [("GET", Keys.of(n).fence) for n in range(self._partitions)]
        replies = await self._connection.ask(asked)
        return {
            number: Fence.decode(number, stored)
            for number, stored in enumerate(map(text_of, replies))
            if stored is not None
        }

    async def probe(self) -> Check:
        """Whether Redis takes writes: for /readyz."""
        try:
            await self._connection.call("SET", "rapport:probe", 1)
        except StreamsError as error:
            return Check(ok=False, detail=str(error))
        return Check(ok=True)
