"""Pieces for the tests of the embedded log: an engine, recorded ports, events and a running loop."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from processors.batch import DeadLetter
from processors.event import Event
from processors.model_file import default_model
from processors.plan import PlanBuilder
from processors.scores import Scores
from rules.action import Action
from rules.load import load
from streams.claimer import Claimer
from streams.fence import Fence
from streams.ownership import Claims
from streams.redis_appender import RedisAppender
from streams.redis_log import RedisLog
from streams.step import Engine
from streams.store import StoreAddress
from streams.store_async import AsyncConnection
from streams.work import ARRIVED, DeadLetterPort, Letters, Ports, Work

PATIENCE_MS = 10_000
WAIT_SECONDS_MAX = 10.0
POLL_SECONDS = 0.005

FIRST_ORDER = b"""
[rule.first-order]
version  = 1
describe = "Say thanks for the first order"
when     = "count(order.placed, 365d) >= 1"
reason   = "An order"
then     = [{ log = "thanks", type = "order.thanks" }]
"""
NO_RULES = b""


def engine_of(rules: bytes = NO_RULES) -> Engine:
    """The engine with the default model and these rules."""
    model = default_model()
    builder = PlanBuilder()
    Scores.compile(builder, model)
    return Engine(model, load({"test.toml": rules}, builder.names))


@dataclass
class Recorder:
    """The ports of shards, writing down what they are told."""

    works: list[Work] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    rollbacks: list[tuple[int, Fence, Fence | None]] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)

    @property
    def records_count(self) -> int:
        return sum(len(work.times_ms) for work in self.works)

    def ports(self, dead_letters: DeadLetterPort | None = None) -> Ports:
        return Ports(
            dead_letters or self,
            lambda _number, _sequence, actions: self.actions.extend(actions),
            lambda work, _took_ns: self.works.append(work),
            lambda number, ours, found: self.rollbacks.append((number, ours, found)),
        )

    def send(self, letters: Sequence[DeadLetter]) -> Letters:
        self.letters.extend(letters)
        return ARRIVED


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def order(number: int, customer_id: str, at_ms: int, amount: float = 1.0) -> tuple[Event, bytes]:
    """An order with its bytes, as intake hands it over."""
    event = Event(f"e{number}", "order", "placed", customer_id, at_ms, amount=amount)
    named = {name: getattr(event, name) for name in event.__struct_fields__}
    value = msgspec.json.encode({name: each for name, each in named.items() if each is not None})
    return event, value


def append(url: str, partitions: int, events: Sequence[tuple[Event, bytes]]) -> None:
    """Append as the gateway does."""

    async def appending() -> None:
        connection = AsyncConnection(StoreAddress.parse(url))
        try:
            await RedisAppender(connection, partitions).append(events)
        finally:
            await connection.close()

    asyncio.run(appending())


@contextmanager
def running_log(
    url: str, partitions: int, recorder: Recorder, engine: Engine | None = None
) -> Iterator[RedisLog]:
    """A loop in a thread of its own, ended with the block; its failure is raised there."""
    store = StoreAddress.parse(url)
    made = engine or engine_of()
    claimer = Claimer(store, lambda: made, recorder.ports(), now_ms)
    log = RedisLog(store, partitions, Claims(claimer, PATIENCE_MS))
    failures: list[BaseException] = []

    def running() -> None:
        try:
            log.run()
        except BaseException as error:  # noqa: BLE001  raised again by who waits
            failures.append(error)

    thread = threading.Thread(target=running)
    thread.start()
    try:
        yield log
    finally:
        log.halt()
        thread.join(WAIT_SECONDS_MAX)
        assert not thread.is_alive(), "the loop does not end"
        if failures:
            raise failures[0]


def wait_until(is_so: Callable[[], bool], words: str) -> None:
    """Return when it is so."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not is_so():
        assert time.monotonic() < deadline, f"waited in vain: {words}"
        time.sleep(POLL_SECONDS)
