"""One process of the engine: owns shards, folds, commits, delivers; may be stopped and die anywhere.

Promise   What runs in it is the product: claims (ownership.py, claimer.py, deliveries.py), step and
          commit (shard.py and below), the relay with its receipts (relay.py and below).
How       Its thread is `turn`: one step, one sending of a commit or one finishing of it at a time, so
          that others have their turns in between; step n + 1 also while commit n is under way. Errors
          are taken as data_plane.py and redis_log.py take them. The relay lives in the event loop.
Limits    Reads the log itself: how Kafka and Redis Streams are read is not looked at here.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from processors.batch import DeadLetter, Origin, Records
from streams.claimer import Claimer
from streams.deliveries import NoDeliveries, telling
from streams.errors import FencedError, MismatchError, StoreDownError, StoreError
from streams.fence import Fence
from streams.ownership import Claims, HeldShard
from streams.receipts_redis import RedisReceipts
from streams.relay import Relay
from streams.step import Engine
from streams.store import StoreAddress
from streams.work import ARRIVED, Letters, Ports, Work
from tests.simulation.chance import Chance
from tests.simulation.memory_receiver import MemoryReceiver
from tests.simulation.shop import TOPICS, Shop
from tests.simulation.virtual_loop import SkewedClock, VirtualLoop
from tests.simulation.wire import Crash, Wire
from tests.simulation.witness import Witness

TURN_MS_MAX: Final = 120
RECORDS_MAX: Final = 4  # of a topic, a batch
PATIENCE_MS: Final = 1_500  # until a claim of an older generation is forced


class Around(Protocol):
    """What a process needs of the world."""

    loop: VirtualLoop
    wire: Wire
    chance: Chance
    shop: Shop
    receiver: MemoryReceiver
    letters: Counter[tuple[str, int, str]]
    engine: Engine
    witness: Witness
    rollbacks_told: int
    refused: int

    def accuse(self, sentence: str) -> None: ...
    def died(self, process: "Process") -> None: ...


class _Telling(NoDeliveries):
    """Tells a relay."""

    def __init__(self, relay: Relay) -> None:
        self.claimed = relay.claimed  # type: ignore[method-assign]  # handed on as they are
        self.released = relay.released  # type: ignore[method-assign]  # the same
        self.offer = relay.offer  # type: ignore[method-assign]  # the same


@dataclass(slots=True)
class Reading:
    """A shard that reads."""

    held: HeldShard
    positions: dict[str, int]  # of what was read
    batch: tuple[Records, dict[str, str]] | None = None  # read, and to be stepped
    stepped: Work | None = None  # and its commit is not begun
    begun: Work | None = None  # its commit is not finished
    is_sent: bool = False


@dataclass(eq=False)
class Process:
    around: Around
    name: str
    skew_ms: Callable[[], int]
    is_dead: bool = False
    is_busy: bool = False
    stopped_until_ms: int = 0
    generation: int = 0
    wanted: frozenset[int] = frozenset()
    is_told: bool = False  # of what is wanted, and has not seen to it
    readings: dict[int, Reading] = field(default_factory=dict)

    def __post_init__(self) -> None:
        around = self.around
        self._clock = clock = SkewedClock(around.loop, self.skew_ms)
        around.wire.owners[self.name] = self
        receipts = RedisReceipts(self.name)
        destination = around.receiver.destination(self)
        self._relay = Relay(receipts, destination, clock, lambda _delivery: None)
        ports = Ports(self, self._relay.offer, lambda _work, _took_ns: None, self._rolled_back)
        engines = lambda: around.engine  # noqa: E731  asked before each step
        claimer = Claimer(StoreAddress(path=self.name), engines, ports, clock.now_ms)
        self._claims = Claims(telling(claimer, _Telling(self._relay)), PATIENCE_MS)
        self._tasks: list[asyncio.Task[Any]] = [
            around.loop.create_task(self._relay.run()),
            around.loop.create_task(self._live()),
        ]
        for each in self._tasks:
            each.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.around.accuse(f"{self.name} ends by itself: {error!r}")

    # ---- life and death

    def own(self, numbers: frozenset[int], generation: int) -> None:
        """The group says so; it is seen to at the next turn."""
        self.wanted, self.generation, self.is_told = numbers, generation, True

    def die(self) -> None:
        """From here on nothing that it does can be seen."""
        if self.is_dead:
            return
        self.is_dead = True
        self.around.wire.sever(self)
        self.end()
        self.around.died(self)

    def end(self) -> None:
        for task in (*self._tasks, *self._relay.dispatch.attempts):
            task.cancel()

    async def thawed(self) -> None:
        while (left_ms := self.stopped_until_ms - self.around.loop.now_ms) > 0:
            await self.around.loop.pass_ms(left_ms)

    async def _live(self) -> None:
        while True:
            await self.around.loop.pass_ms(self.around.chance.random.randint(1, TURN_MS_MAX))
            await self.thawed()
            self.turn()

    def turn(self) -> None:
        if self.is_dead or self.is_busy or self.stopped_until_ms > self.around.loop.now_ms:
            return
        self.is_busy = True
        try:
            self._turn()
        except Crash:
            assert self.is_dead, "others are not told of it"
        finally:
            self.is_busy = False

    # ---- the ports

    def send(self, letters: Sequence[DeadLetter]) -> Letters:
        """Dead letters, as DeadLetterPort has it."""
        wire, chance = self.around.wire, self.around.chance
        fault = chance.at(chance.call)
        if fault == "crash" and chance.coin():
            wire.crash(self)
        if fault in {"lost request", "late", "cut"}:
            raise StoreDownError("connection", fault)
        for each in letters:
            origin = each.origin
            self.around.letters[origin.topic, origin.partition, origin.position] += 1
        if fault == "crash":
            wire.crash(self)
        if fault == "lost reply":
            raise StoreDownError("connection", fault)
        return ARRIVED

    def _rolled_back(self, number: int, ours: Fence, found: Fence | None) -> None:
        self.around.rollbacks_told += 1
        self.around.wire.note(self.name, "misses commits of shard", number, ours, found)

    # ---- a turn

    def _turn(self) -> None:
        now_ms = self.around.loop.now_ms
        if self.is_told:
            self.is_told = False
            for number in list(self.readings):
                self._release(number)
            self._claims.want(self.wanted, now_ms)
        for number in self._claims.due(now_ms):
            try:
                held = self._claims.claim(number, self.generation, now_ms)
            except StoreError as error:
                self.around.accuse(f"{self.name} stops shard {number}: {error}")
                continue
            if held is not None:
                positions = {topic: int(held.offsets.get(topic, "0")) for topic in TOPICS}
                self.readings[number] = Reading(held, positions)
                self.around.wire.note(self.name, "owns shard", number, held.offsets)
        for number in list(self.readings):
            self._advance(number)

    def _advance(self, number: int) -> None:
        reading = self.readings[number]
        try:
            self._go_on(number, reading)
        except StoreDownError as error:
            self.around.wire.note(self.name, "will try again:", error)
        except (FencedError, MismatchError) as error:
            self.around.refused += 1
            self.around.wire.note(self.name, "loses a shard:", error)
            self._release(number)
            self._claims.again(number, self.around.loop.now_ms)
        except StoreError as error:
            self.around.accuse(f"{self.name} stops shard {number}: {error}")
            self._release(number)

    def _go_on(self, number: int, reading: Reading) -> None:
        """One thing of what can be done now."""
        coin = self.around.chance.coin
        if reading.begun is not None and (reading.stepped is not None or coin()):
            self._commit(number, reading, reading.begun)
        elif reading.stepped is not None:
            reading.begun, reading.stepped = reading.stepped, None
            self._note("commits", number, reading.begun)
            self._commit(number, reading, reading.begun)
        elif not self._fire(number, reading):
            self._step(number, reading)

    def _fire(self, number: int, reading: Reading) -> bool:
        """Fire timers, where it is time and the log is read; whether there is something to commit."""
        log, until_ms = self.around.shop.log, self._clock.now_ms()
        is_behind = any(len(log[topic, number]) > reading.positions[topic] for topic in TOPICS)
        due_ms = reading.held.due_ms
        if is_behind or reading.batch or reading.begun or due_ms is None or due_ms > until_ms:
            return False
        if reading.held.is_full():
            return False
        work = reading.held.fire(until_ms)
        assert work is None or isinstance(work, Work)
        reading.stepped = work
        if work is not None:
            self.around.witness.fires(self.name, number, until_ms)
        return work is not None

    def _commit(self, number: int, reading: Reading, work: Work) -> None:
        """Begin it, or finish what was begun; after an error it is to be begun again."""
        is_sent, reading.is_sent = reading.is_sent, False
        if is_sent:
            work.shard.finish(work)
            reading.begun = None
            self._note("has committed", number, work)
        else:
            work.shard.begin(work)
            reading.is_sent = True

    def _note(self, what: str, number: int, work: Work) -> None:
        causes = [action.cause for action in work.outcome.actions]
        self.around.wire.note(self.name, what, number, work.offsets, causes)

    def _step(self, number: int, reading: Reading) -> None:
        if reading.batch is None:
            reading.batch = self._read(number, reading.positions)
        if reading.batch is None or reading.held.is_full():
            return
        work = reading.held.step(*reading.batch)
        assert isinstance(work, Work)
        reading.stepped, reading.batch = work, None

    def _read(
        self, number: int, positions: dict[str, int]
    ) -> tuple[Records, dict[str, str]] | None:
        """The next records of each topic, in its order; between topics in any."""
        chance, log = self.around.chance, self.around.shop.log
        turns = []
        for topic in TOPICS:
            waiting = len(log[topic, number]) - positions[topic]
            turns += [topic] * min(waiting, chance.random.randint(0, RECORDS_MAX))
        if not turns:
            return None
        chance.random.shuffle(turns)
        origins = []
        for topic in turns:
            origins.append((topic, positions[topic]))
            positions[topic] += 1
        found = [log[topic, number][position] for topic, position in origins]
        times_ms = [at_ms for _, at_ms in found]

        def origin(index: int) -> Origin:
            topic, position = origins[index]
            return Origin(topic, number, str(position), None, (), times_ms[index])

        records = Records([value for value, _ in found], times_ms, origin)
        return records, {topic: str(positions[topic]) for topic in dict.fromkeys(turns)}

    def _release(self, number: int) -> None:
        reading = self.readings.pop(number, None)
        if reading is not None:
            reading.held.close()
