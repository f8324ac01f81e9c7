"""The worker: what `rapport worker` runs.

Promise   It reads its shards until SIGTERM or SIGINT, then ends in order within two seconds with exit
          code 0. When it cannot go on it says why and ends with 1, for a supervisor to start it again;
          when the topics are not as they must be, with 2.
How       A Kafka log whose shards are the real ones. Kernels are compiled before the group is joined,
          so that no shard waits for the compiler.
Not here  The command line (cli.py). Delivery of actions, and HTTP: they are handed in, and run beside.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from processors.batch import Origin, Records
from processors.decode import decode
from processors.layout import Layout
from streams.claimer import Claimer
from streams.deliveries import Deliveries, telling
from streams.errors import (
    FencedError,
    MismatchError,
    StoreDownError,
    StreamsError,
    TopicsError,
)
from streams.faust_log import FaustLog
from streams.fence import Fence
from streams.kafka_dead_letters import KafkaDeadLetters
from streams.kafka_settings import KafkaSettings
from streams.metrics import Metrics
from streams.ownership import Claim
from streams.shard import Ports, Work
from streams.step import STAGES, Engine, run
from streams.store import StoreAddress

OK: Final = 0
FAILED: Final = 1
REFUSED: Final = 2
OBSERVE_SECONDS: Final = 1.0

Beside: TypeAlias = Callable[[asyncio.Event], Coroutine[None, None, None]]
"""Something to run beside the log until the event is set: the relay, a web server."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of."""

    kafka: KafkaSettings
    store: StoreAddress
    engine: Callable[[], Engine]  # the one in force; asked before each batch
    metrics: Metrics
    deliveries: Deliveries


def made(parts: Parts, *, aligned: bool = True) -> FaustLog:
    """The log of a worker, with real shards. To be run on an event loop."""

    def trouble(error: StreamsError) -> None:
        if isinstance(error, FencedError | MismatchError):
            parts.metrics.fence_refused()
        if isinstance(error, StoreDownError):
            parts.metrics.store_unavailable(error.reason)

    return FaustLog(parts.kafka, claims_of(parts), trouble, aligned=aligned)


def claims_of(parts: Parts) -> Claim:
    """How shards are claimed; for one thread."""

    def stored(work: Work, took_ns: int) -> None:
        count(parts.metrics, work, took_ns, time.time_ns() / 1_000_000)

    def rolled_back(number: int, ours: Fence, found: Fence | None) -> None:
        logger.error("Redis has lost commits of shard %d: %s is now %s", number, ours, found)
        parts.metrics.rolled_back()

    ports = Ports(KafkaDeadLetters(parts.kafka), parts.deliveries.offer, stored, rolled_back)
    claimer = Claimer(parts.store, parts.engine, ports, lambda: time.time_ns() // 1_000_000)
    return telling(claimer, parts.deliveries)


def count(metrics: Metrics, work: Work, took_ns: int, now_ms: float) -> None:
    """Count a commit, and the step before it."""
    outcome = work.outcome
    metrics.batch(
        admitted=outcome.admitted,
        duplicates=outcome.duplicates,
        late=outcome.late,
        suppressed=outcome.suppressed,
        stage_ns=dict(zip(STAGES, outcome.stage_ns, strict=True)),
    )
    metrics.commit(
        times_ms=work.times_ms,
        committed_ms=now_ms,
        took_ns=took_ns,
        customers=len(outcome.changed_ids),
    )
    if work.dead:
        metrics.dead_letters(letter.reason for letter in work.dead)
    if outcome.actions:
        metrics.fired(action.rule for action in outcome.actions)


def warm(engine: Engine) -> None:
    """Run a step on nobody's table, so that all kernels are compiled or read from their cache."""
    value = b'{"id":"w","type":"click","action":"view","customer_id":"w","at_ms":1700000000000}'
    at_ms = 1_700_000_000_000
    origin = Origin("", 0, "", None, (), at_ms)
    records = Records([value], [at_ms], lambda _index: origin)
    table = engine.table()
    layouts: dict[bytes, Layout] = {}
    table.insert(["w"], [None], layouts.__getitem__)
    run(engine, table, records, decode(records), 0)


async def work(
    log: FaustLog, metrics: Metrics, stop: asyncio.Event, beside: Sequence[Beside] = ()
) -> None:
    """Run the log, and what is beside it, until `stop` is set or the log ends.

    Raises:
        Exception: What ended the log, or what is beside it.
    """
    ended = asyncio.Event()

    # An end of the log is the end of all; who is beside it ends after it, to deliver its last actions.
    async def logging_on() -> None:
        try:
            await log.run(stop)
        finally:
            ended.set()

    async def observing() -> None:
        while not ended.is_set():
            metrics.shards(log.statuses)
            try:
                await asyncio.wait_for(ended.wait(), OBSERVE_SECONDS)
            except TimeoutError:
                continue

    tasks = [asyncio.create_task(each) for each in (logging_on(), observing())]
    tasks += [asyncio.create_task(each(ended)) for each in beside]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        stop.set()
        ended.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def until_signalled(main: Callable[[asyncio.Event], Coroutine[None, None, None]]) -> int:
    """Run `main` on a new event loop; SIGTERM and SIGINT set its event. Returns the exit code."""

    async def guarded() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, stop.set)
        await main(stop)

    try:
        asyncio.run(guarded())
    except TopicsError as error:
        logger.critical("%s", error)
        return REFUSED
    except Exception:
        logger.exception("the worker cannot go on")
        return FAILED
    return OK
