"""What the embedded log costs its callers: events a second and milliseconds, by call and by fsync.

Question  How long a request waits until its events are on disk, and what many callers at once get.
Workload  Order events of 150 bytes of 10,000 customers over 4 shards; calls of one event by one and by
          64 callers at once, calls of 1,000 events by one; a redis-server of its own.
Caveats   Client and server share the machine, and fsync is as slow as its disk.
Run       python benchmarks/append.py
"""

import asyncio
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from processors.event import Event
from streams.redis_appender import RedisAppender
from streams.redis_server import Fsync, RedisServer
from streams.store_async import AsyncConnection

PARTITIONS: Final = 4
CALLS: Final = ((1, 1, 2_000), (64, 1, 20_000), (1, 1_000, 100))  # callers, events a call, calls


def events_of(count: int) -> list[tuple[Event, bytes]]:
    made = []
    for number in range(count):
        event = Event(
            f"event-{number:010}", "order", "placed", f"c{number % 10_000}", 1_700_000_000_000
        )
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        given = {name: value for name, value in fields.items() if value is not None}
        made.append(
            (event, msgspec.json.encode({**given, "amount": 12.5, "order_id": "o-1234567"}))
        )
    return made


async def measure(server: RedisServer, callers: int, size: int, calls: int) -> str:
    connection = AsyncConnection(server.address)
    appender = RedisAppender(connection, PARTITIONS, records_max=10**9)
    events = events_of(size)
    waits: list[float] = []

    async def calling() -> None:
        for _ in range(calls // callers):
            started = time.perf_counter()
            await appender.append(events)
            waits.append(time.perf_counter() - started)

    await appender.append(events)
    cpu, started = time.process_time(), time.perf_counter()
    await asyncio.gather(*(calling() for _ in range(callers)))
    took, used = time.perf_counter() - started, time.process_time() - cpu
    await connection.close()
    count = len(waits) * size
    p99 = sorted(waits)[int(len(waits) * 0.99)]
    return (
        f"{callers:3} callers × {size:5} events   p50 {statistics.median(waits) * 1e3:7.2f} ms   "
        f"p99 {p99 * 1e3:7.2f} ms   {count / took:9,.0f} events/s   "
        f"client {used / count * 1e6:6.2f} µs an event"
    )


def main() -> None:
    policies: tuple[Fsync, ...] = ("everysec", "always")
    for fsync in policies:
        with TemporaryDirectory(prefix="rapport-bench-") as folder:
            server = RedisServer(Path(folder), fsync=fsync)
            server.start()
            try:
                for callers, size, calls in CALLS:
                    line = asyncio.run(measure(server, callers, size, calls))
                    print(f"{fsync:9} {line}")
            finally:
                server.stop()


if __name__ == "__main__":
    main()
