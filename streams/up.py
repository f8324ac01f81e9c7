"""Up: everything in one process, on the embedded log.

Promise   When `started` is called, events are accepted, folded and answered with actions. It ends within
          two seconds of being asked, with everything that was accepted on disk, and goes on from there at
          the next start.
How       A redis-server of our own (or the one that the settings name), one thread that folds, and one
          event loop for HTTP, delivery and the rulebook. They are opened in this order and closed in the
          reverse one, so that each finds what it needs until its own end.
Limits    One machine. THREAD_SECONDS_MAX for the batch in hand.
Not here  The same over Kafka: worker.py. The simulated shop: shop.py. What is shown meanwhile: commands/.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from streams import partitions
from streams.accounting import ports_of, trouble_of
from streams.beside import Failed, beside
from streams.claimer import Claimer
from streams.deliveries import Deliveries, telling
from streams.endpoints import Outside
from streams.errors import ServerError, StreamsError
from streams.guard_watch import GuardWatch
from streams.inquiry import Inquiry
from streams.kept_history import FOLDER, KeptHistory
from streams.outfit import Outfit
from streams.ownership import Claims
from streams.read import StoreReader
from streams.redis_appender import RedisAppender
from streams.redis_dead_letters import RedisDeadLetters
from streams.redis_log import RedisLog
from streams.redis_server import RedisServer
from streams.relaying import Means, open_relay
from streams.rule_life import RuleLife
from streams.safety import check
from streams.settings import Address, EmbeddedLog, Settings
from streams.store import Connection, StoreAddress
from streams.store_async import AsyncConnection
from streams.web import Ports, listening

THREAD_SECONDS_MAX: Final = 1.0
WATCH_MS: Final = 500


@dataclass(frozen=True, slots=True)
class Running:
    """What can be used while it runs."""

    address: Address  # of HTTP
    store: StoreAddress
    appender: RedisAppender
    reader: StoreReader
    log: RedisLog
    guard: GuardWatch


class EndedError(StreamsError):
    """A part of the whole has ended by itself, so that the rest cannot go on."""


async def run(outfit: Outfit, stop: asyncio.Event, started: Callable[[Running], None]) -> None:
    """Run until `stop` is set.

    Raises:
        StreamsError: Something cannot be started, or has ended by itself.
        OSError: The address cannot be listened at.
    """
    failures: list[BaseException] = []

    def failed(error: BaseException) -> None:
        failures.append(error)
        stop.set()

    async with AsyncExitStack() as stack:
        server = await _server(outfit.settings, stack)
        running = await _opened(outfit, server, stack, failed)
        works = (outfit.rulebook.watch(stop), running.guard.watch(stop))
        await stack.enter_async_context(beside(failed, *works))
        started(running)
        while not stop.is_set():
            if server is not None and not server.is_running():
                failed(EndedError(f"redis-server has ended; {server.log} may say why"))
            await outfit.clock.wait(stop, outfit.clock.now_ms() + WATCH_MS)
    if failures:
        raise failures[0]


async def _server(settings: Settings, stack: AsyncExitStack) -> RedisServer | None:
    """The embedded server, unless the settings name a Redis."""
    if settings.redis is not None:
        return None
    if not isinstance(settings.log, EmbeddedLog):
        raise ServerError("the log is Kafka; set redis to the URL of the Redis that workers share")
    server = RedisServer(settings.log.directory)
    starting = asyncio.create_task(asyncio.to_thread(server.start))
    stack.push_async_callback(asyncio.to_thread, server.stop)
    await asyncio.shield(starting)
    return server


async def _opened(
    outfit: Outfit,
    server: RedisServer | None,
    stack: AsyncExitStack,
    failed: Failed,
) -> Running:
    """Open the store, the relay, the log and HTTP, in this order."""
    settings = outfit.settings
    url = settings.redis or (server.url if server is not None else "")
    store = StoreAddress.parse(url)
    await asyncio.to_thread(_prepare, store, settings)
    connection = AsyncConnection(store)
    stack.push_async_callback(connection.close)
    reader = StoreReader(connection, settings.partitions)
    appender = RedisAppender(connection, settings.partitions)
    guard = outfit.guard(connection)
    await guard.begin()
    means = Means(
        url,
        settings.endpoints,
        Outside(outfit.clock.now_ms, outfit.console),
        outfit.clock,
        outfit.metrics,
        outfit.changed,
    )
    deliveries = await stack.enter_async_context(open_relay(means, failed))
    log = await stack.enter_async_context(_folding(outfit, store, deliveries, failed))
    stack.push_async_callback(deliveries.rest)  # while the shards are ours, so that it is recorded
    ports = Ports(
        outfit.metrics,
        outfit.clock,
        lambda: time.monotonic_ns() // 1_000_000,
        appender=appender,
        reader=reader,
        why=Inquiry(reader, outfit.rulebook.current, outfit.clock.now_ms),
        rules=outfit.rulebook.told,
        reload=outfit.rulebook.reload,
        life=RuleLife(connection),
        shards=lambda: log.statuses,
        probes={"redis": reader.probe},
    )
    runner, address = await listening(ports, settings.http, settings.token)
    stack.push_async_callback(runner.cleanup)
    return Running(address, store, appender, reader, log, guard)


def _prepare(store: StoreAddress, settings: Settings) -> None:
    """Make sure that this Redis keeps what it is given, and is ours."""
    connection = Connection(store)
    try:
        check(connection, log_inside=True, allowed=settings.unsafe)
        partitions.settle(connection, settings.partitions)
    finally:
        connection.close()


def _history(settings: Settings) -> KeptHistory | None:
    """Where the events that are folded go, if they are kept."""
    if not settings.history_mb or not isinstance(settings.log, EmbeddedLog):
        return None
    return KeptHistory(settings.log.directory / FOLDER, settings.history_mb * 1024 * 1024)


def _not_kept(_values: Sequence[bytes | None]) -> None:
    """Nobody wants them."""


@asynccontextmanager
async def _folding(
    outfit: Outfit,
    store: StoreAddress,
    deliveries: Deliveries,
    failed: Failed,
) -> AsyncIterator[RedisLog]:
    """The log and its thread, as long as the block lasts."""
    loop = asyncio.get_running_loop()
    dead_letters = RedisDeadLetters(Connection(store))
    ports = ports_of(outfit.metrics, dead_letters, deliveries, outfit.noted)
    claimer = Claimer(store, outfit.engines, ports, outfit.clock.now_ms, outfit.settings.stale_ms)
    claims = Claims(telling(claimer, deliveries), patience_ms=0)
    kept = _history(outfit.settings)
    log = RedisLog(
        store,
        outfit.settings.partitions,
        claims,
        trouble_of(outfit.metrics),
        accept_gap=outfit.settings.accept_gap,
        keep=_not_kept if kept is None else kept.add,
    )

    def fold() -> None:
        try:
            log.run()
        except BaseException as error:  # noqa: BLE001  whatever it was, `run` raises it
            loop.call_soon_threadsafe(failed, error)
        finally:
            if kept is not None:
                kept.close()

    thread = threading.Thread(target=fold, name="log", daemon=True)
    thread.start()
    try:
        yield log
    finally:
        log.halt()
        await asyncio.to_thread(thread.join, THREAD_SECONDS_MAX)
