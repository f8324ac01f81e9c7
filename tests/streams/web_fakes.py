"""A log and a store in memory, which keep the contracts that the web application relies on."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from processors.event import Event
from streams.appender import APPEND_BYTES_MAX, APPEND_EVENTS_MAX, Refused
from streams.clock import ManualClock
from streams.errors import LogFullError, StoreDownError
from streams.given import Address
from streams.metrics import Metrics
from streams.shard_status import ShardStatus
from streams.web import Ports, application
from tests.corpus import RECORD_MS

LOOPBACK = Address("127.0.0.1", 0)


class MemoryLog:
    """Appends a call or nothing of it, up to a capacity; may be made to refuse, fail or hang."""

    def __init__(self, capacity: int = 100_000) -> None:
        self.capacity = capacity
        self.records: list[tuple[Event, bytes]] = []
        self.fails = False
        self.hangs = False
        self.refuses: set[str] = set()  # ids
        self.calls: list[int] = []

    async def append(self, records: Sequence[tuple[Event, bytes]]) -> Sequence[Refused]:
        assert len(records) <= APPEND_EVENTS_MAX
        assert sum(len(value) for _, value in records) <= APPEND_BYTES_MAX
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise StoreDownError("oom", "no memory left")
        if len(self.records) + len(records) > self.capacity:
            raise LogFullError(0, len(self.records))
        self.calls.append(len(records))
        self.records += [each for each in records if each[0].id not in self.refuses]
        return [
            Refused(index, "log", "too large for the log")
            for index, (event, _) in enumerate(records)
            if event.id in self.refuses
        ]


class MemoryStore:
    def __init__(self) -> None:
        self.views: dict[str, bytes] = {}
        self.newest_last: list[Mapping[str, Any]] = []
        self.fails = False

    async def customer(self, customer_id: str) -> bytes | None:
        if self.fails:
            raise StoreDownError("loading", "Redis is loading the dataset in memory")
        return self.views.get(customer_id)

    async def actions(self, limit: int) -> list[Mapping[str, Any]]:
        return self.newest_last[::-1][:limit]


class World:
    """An application and everything around it."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.store = MemoryStore()
        self.metrics = Metrics("1")
        self.statuses: list[ShardStatus] = []
        self.monotonic_ms = 0

    def ports(self, **replaced: Any) -> Ports:  # noqa: ANN401  whatever the ports are
        given: dict[str, Any] = {
            "metrics": self.metrics,
            "clock": ManualClock(RECORD_MS),
            "monotonic_ms": lambda: self.monotonic_ms,
            "appender": self.log,
            "reader": self.store,
            "rules": lambda: {"rules": [{"name": "vip", "version": 2}]},
            "shards": lambda: self.statuses,
        }
        return Ports(**{**given, **replaced})


@asynccontextmanager
async def calling(
    made: Application, *, auto_decompress: bool = False
) -> AsyncIterator[TestClient[Request, Application]]:
    server = TestServer(made)
    await server.start_server(auto_decompress=auto_decompress)
    async with TestClient(server) as client:
        yield client


@asynccontextmanager
async def opened(
    world: World,
    *,
    token: str | None = None,
    **replaced: Any,  # noqa: ANN401  as above
) -> AsyncIterator[TestClient[Request, Application]]:
    async with calling(application(world.ports(**replaced), LOOPBACK, token)) as client:
        yield client
