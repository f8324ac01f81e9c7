"""One world: processes, Redis, log, clocks and receivers, through a time of faults and then of peace.

Promise   Everything follows from the seed; the same seed gives the same trace, in another process too.
          After the faults end, everything that is in the log is folded, decided and delivered within
          PEACE_MS_MAX, by the clock of the world.
How       Runs the product on a loop whose time is virtual. Nonces are counted instead of drawn.
Not here  What must be true (witness.py). Which faults there are (chance.py, wire.py).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from types import SimpleNamespace
from typing import Final
from unittest.mock import patch

from streams import claimer, receipts_redis, store
from streams.step import Engine
from tests.replaying import engine_of
from tests.simulation import waiting
from tests.simulation.chance import Chance
from tests.simulation.memory_client import MemoryClient
from tests.simulation.memory_receiver import MemoryReceiver
from tests.simulation.memory_redis import REFUSALS, MemoryRedis
from tests.simulation.process import Process
from tests.simulation.report import Report
from tests.simulation.shop import RULES, RULES_LATER, SHARDS, Shop
from tests.simulation.trace import Trace
from tests.simulation.virtual_loop import START_MS, VirtualLoop
from tests.simulation.wire import Wire
from tests.simulation.witness import Witness, decode

FAULTS_MS: Final = 6_000
PEACE_MS_MAX: Final = 120_000  # longer than clocks may be apart, or a breaker open
LOOK_MS: Final = 250
DOWN_MS_MAX: Final = 800  # of a process or of Redis
STOPPED_MS_MAX: Final = 3_000
RECORDS: Final = (20, 70)
PROCESSES: Final = (2, 3)
SKEW_MS_MAX: Final = 5_000
JUMP_MS: Final = (-15_000, 15_000)  # a retry may wait for as long as a clock was wrong
ROLLBACK_MAX: Final = 40  # writes


@cache
def engines() -> tuple[Engine, Engine]:
    """Two rule sets that decide the same, in rows of different layouts."""
    timed = waiting.RULES
    return engine_of(RULES, timed), engine_of(RULES, timed, RULES_LATER)


class World:
    """Made inside `installed`, which puts its ports in their places."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.loop = VirtualLoop()
        self.chance = Chance.of(seed)
        self.trace = Trace()
        self.shop = Shop(self.chance)
        self.letters: Counter[tuple[str, int, str]] = Counter()
        self.redis = MemoryRedis()
        self.wire = Wire(self.redis, self.chance, self.trace, self.loop, self._meanwhile)
        self.receiver = MemoryReceiver(self.loop, self.chance, self.wire.note, self.accuse)
        self.witness = Witness(self.shop, self.receiver, self.letters, self.accuse)
        self.witness.waiting.now_ms = lambda: START_MS + self.loop.now_ms
        self.redis.wrote = self.witness.wrote
        self.engine = engines()[0]
        self.rollbacks_told = self.refused = 0
        self._generation = 1
        self._is_over = False
        self._lives: Counter[int] = Counter()
        self._processes: dict[int, Process] = {}
        self._assigned: dict[int, int] = {}  # shard: which process
        # In half of the worlds no clock is fast: then every timer is decided alike in all histories.
        self._fastest_ms = self.chance.random.choice((0, SKEW_MS_MAX))
        self._skews_ms = [
            self.chance.random.randint(-SKEW_MS_MAX, self._fastest_ms)
            for _ in range(self.chance.random.choice(PROCESSES))
        ]

    # ---- what processes need

    def accuse(self, sentence: str) -> None:
        self.trace.accuse(self.loop.now_ms, sentence)

    def died(self, process: Process) -> None:
        place = next(place for place, each in self._processes.items() if each is process)
        delay_ms = self.chance.random.randint(1, DOWN_MS_MAX)
        self.loop.call_later(delay_ms / 1_000, self._born, place)

    def _meanwhile(self) -> None:
        ready = [each for each in self._processes.values() if not (each.is_dead or each.is_busy)]
        if ready:
            self.chance.random.choice(ready).turn()

    # ---- life

    def run(self) -> Report:
        """Live it through."""
        asyncio.set_event_loop(None)
        try:
            self.loop.run_until_complete(self._history())
        finally:
            self._is_over = True
            self._end()
            self.loop.close()
        return self._report()

    async def _history(self) -> None:
        for place in range(len(self._skews_ms)):
            self._born(place)
        for number in range(SHARDS):
            self._assign(number, self.chance.random.randrange(len(self._skews_ms)))
        self._tell_all()
        self._plan()
        await self.loop.pass_ms(FAULTS_MS)
        self._make_peace()
        deadline_ms = self.loop.now_ms + PEACE_MS_MAX
        while not self._is_done() and self.loop.now_ms < deadline_ms:
            await self.loop.pass_ms(LOOK_MS)
        if not self._is_done():
            self.accuse("it does not come to rest")

    def _plan(self) -> None:
        """Lay down when what happens."""
        random = self.chance.random

        def within() -> float:
            return random.randint(1, FAULTS_MS) / 1_000

        for _ in range(random.randint(*RECORDS)):
            self.loop.call_later(within(), lambda: self.shop.happen(self.loop.now_ms))
        happenings = {
            "takeover": self._take_over,
            "redis restart": lambda: self._restart(0),
            "redis rollback": lambda: self._restart(random.randint(1, ROLLBACK_MAX)),
            "redis refuses": self._refuse,
            "clock jump": self._jump,
            "reload": self._reload,
        }
        for name, times in self.chance.life.items():
            self.chance.counts[name] += times
            for _ in range(times):
                self.loop.call_later(within(), happenings[name])

    def _make_peace(self) -> None:
        self.wire.note("world", "peace")
        self.chance.is_calm = True
        self.redis.refuses = None
        for number in range(SHARDS):
            self._assign(number, self.chance.random.randrange(len(self._skews_ms)))
        self._tell_all()

    def _born(self, place: int) -> None:
        if self._is_over:
            return
        self._lives[place] += 1
        name = f"{'abc'[place]}{self._lives[place]}"
        self.wire.note(name, "is born")
        self._processes[place] = Process(self, name, lambda: self._skews_ms[place])
        self._tell(place)

    def _assign(self, number: int, place: int) -> None:
        self._assigned[number] = place
        self._generation += 1

    def _tell(self, place: int) -> None:
        numbers = frozenset(each for each, owner in self._assigned.items() if owner == place)
        self._processes[place].own(numbers, self._generation)

    def _tell_all(self) -> None:
        for place, process in self._processes.items():
            if not process.is_dead:
                self._tell(place)

    # ---- what happens

    def _take_over(self) -> None:
        """The group gives a shard to another process; the former one hears of it late, or is stopped."""
        random = self.chance.random
        number, place = random.randrange(SHARDS), random.randrange(len(self._skews_ms))
        former = self._processes[self._assigned[number]]
        self._assign(number, place)
        self.wire.note("world", "gives shard", number, "to", self._processes[place].name)
        delay_ms = random.randint(1, STOPPED_MS_MAX)
        if self.chance.coin():
            former.stopped_until_ms = self.loop.now_ms + delay_ms
            self.wire.note(former.name, "is stopped for", delay_ms, "ms")
        for each, process in self._processes.items():
            if process is not former and not process.is_dead:
                self._tell(each)
        self.loop.call_later(delay_ms / 1_000, self._tell_all)

    def _restart(self, states: int) -> None:
        down_ms = self.chance.random.randint(1, DOWN_MS_MAX)
        writes_count = self.wire.restart(states, down_ms)
        self.witness.went_back(self.redis)
        self.wire.note("redis", "is back after", down_ms, "ms, with", writes_count, "writes")

    def _refuse(self) -> None:
        self.redis.refuses = self.chance.random.choice(list(REFUSALS))
        self.wire.note("redis", "refuses:", self.redis.refuses)
        self.loop.call_later(self.chance.random.randint(1, 1_500) / 1_000, self._take_again)

    def _take_again(self) -> None:
        self.redis.refuses = None

    def _jump(self) -> None:
        place = self.chance.random.randrange(len(self._skews_ms))
        self._skews_ms[place] += self.chance.random.choice(
            [self.chance.random.randint(*JUMP_MS), self.chance.random.randint(JUMP_MS[0], 0)]
        )
        if not self._fastest_ms:
            self._skews_ms[place] = min(self._skews_ms[place], 0)
        self.wire.note("world", "clock", place, "is wrong by", self._skews_ms[place])

    def _reload(self) -> None:
        self.engine = engines()[self.engine is engines()[0]]
        self.wire.note("world", "reloads the rules")

    # ---- the end

    def _is_done(self) -> bool:
        """Whether all is read, nobody waits for a time, and nothing waits to be delivered."""
        for number in range(SHARDS):
            fence = self.redis.data.get(b"rapport:{%d}:fence" % number)
            ends = {name: end for name, end in self.shop.ends(number).items() if end != "0"}
            if not isinstance(fence, bytes) or decode(fence)["offsets"] != ends:
                return False
            # What arrives late may leave too much in the index, until somebody looks there again.
            if b"rapport:{%d}:timers" % number in self.redis.data and not self.wire.lates_count:
                return False
            if self.witness.waiting.waits(number):
                return False
        return not any(b":outbox:" in key or key.endswith(b":waiting") for key in self.redis.data)

    def _end(self) -> None:
        """End all tasks, so that the loop can be closed."""
        tasks = [each for each in asyncio.all_tasks(self.loop) if not each.done()]
        for process in self._processes.values():
            process.is_dead = True
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    def _report(self) -> Report:
        ending = self.witness.finish(self.redis)
        for failure in self.loop.failures:
            self.accuse(f"a task failed: {failure}")
        faults = Counter(self.chance.counts)
        del faults["meanwhile"]
        return Report(
            seed=self.seed,
            wrong=tuple(self.trace.wrong),
            faults=faults,
            offered=self.shop.count,
            applied=ending.applied,
            decided=sum(len(each.actions) for each in self.witness.decided),
            delivered=ending.delivered,
            hasty=ending.hasty,
            repeated=self.receiver.counts.total() - len(self.receiver.counts),
            missing=ending.missing,
            surplus=ending.surplus,
            refused=self.refused,
            digest=self.trace.digest(),
            trace=self.trace.shown() if self.trace.wrong else "",
        )


@contextmanager
def installed(seed: int) -> Iterator[World]:
    """A world whose ports are in the places of the real ones."""
    world = World(seed)
    nonces = count(1)
    secrets = SimpleNamespace(token_hex=lambda _bytes: f"nonce-{next(nonces)}")
    redis = SimpleNamespace(
        from_url=lambda name, **_: MemoryClient(world.wire, world.wire.owners[name])
    )
    with ExitStack() as stack:
        stack.enter_context(patch.object(store, "_open", lambda to: world.wire.open(to.path)))
        stack.enter_context(patch.object(claimer, "secrets", secrets))
        stack.enter_context(patch.object(receipts_redis, "Redis", redis))
        yield world


def live(seed: int) -> Report:
    """The world of this seed, from its beginning to its end."""
    quiet = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with installed(seed) as world:
            return world.run()
    finally:
        logging.disable(quiet)
