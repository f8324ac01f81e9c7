"""A data plane on a log and a store in memory, with a clock that stands still."""

from collections.abc import Callable
from dataclasses import dataclass, field

from processors.batch import Records
from streams.data_plane import DataPlane
from streams.errors import FencedError, LogDownError, MismatchError, StoreDownError, StoreError
from streams.ownership import Claims
from tests.at_once import AtOnce
from tests.streams.memory_log import MemoryConsumer, MemoryLog

TOPICS = ("clicks", "orders", "service")
PATIENCE_MS = 20_000
FIRED_MAX = 3  # at a time


@dataclass
class Store:
    """What the shards have committed, and what is to go wrong next."""

    fences: dict[int, dict[str, str]] = field(default_factory=dict)
    folded: dict[int, list[bytes]] = field(default_factory=dict)
    claims: list[tuple[int, int, bool]] = field(default_factory=list)
    owners: dict[int, "MemoryShard"] = field(default_factory=dict)
    errors: list[StoreError | LogDownError] = field(default_factory=list)  # of the next commits
    claim_errors: list[StoreError] = field(default_factory=list)
    look_errors: list[StoreError] = field(default_factory=list)
    timers: dict[int, list[int]] = field(default_factory=dict)  # by shard, when they are due
    fired: list[int] = field(default_factory=list)
    full: set[int] = field(default_factory=set)
    poisoned: set[int] = field(default_factory=set)  # shards whose dead letters are on their way
    on_commit: Callable[[int], None] = lambda _number: None

    def claim(self, number: int, generation: int, forced: bool) -> "MemoryShard":
        self.claims.append((number, generation, forced))
        if self.claim_errors:
            raise self.claim_errors.pop(0)
        self.owners[number] = MemoryShard(self, number, dict(self.fences.get(number, {})))
        return self.owners[number]


@dataclass(eq=False)
class MemoryShard:
    store: Store
    number: int
    offsets: dict[str, str]
    steps_count: int = 0
    is_closed: bool = False
    left: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = dict(self.offsets)

    def look(self) -> None:
        if self.store.look_errors:
            raise self.store.look_errors.pop(0)
        if self.store.fences.get(self.number, {}) != self.left:
            raise MismatchError(self.number, str(self.left), "another")

    def is_full(self) -> bool:
        return self.number in self.store.full

    def step(self, records: Records, offsets: dict[str, str]) -> AtOnce:
        self.steps_count += 1
        values = [value or b"" for value in records.values]

        def commit() -> None:
            self.store.on_commit(self.number)
            if self.store.errors:
                raise self.store.errors.pop(0)
            if self.store.owners[self.number] is not self:
                raise FencedError(self.number, "ours", "theirs")
            self.store.folded.setdefault(self.number, []).extend(values)
            self.store.fences[self.number] = self.left = dict(offsets)

        return AtOnce(commit, lambda: self.number not in self.store.poisoned)

    @property
    def due_ms(self) -> int | None:
        return min(self.store.timers.get(self.number, []), default=None)

    def fire(self, until_ms: int) -> AtOnce | None:
        timers = self.store.timers[self.number]
        fired = sorted(each for each in timers if each <= until_ms)[:FIRED_MAX]
        if not fired:
            return None

        def commit() -> None:
            self.store.on_commit(self.number)
            if self.store.errors:
                raise self.store.errors.pop(0)
            for each in fired:
                timers.remove(each)
            self.store.fired += fired

        return AtOnce(commit)

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Bench:
    """A data plane on a log and a store in memory, with a clock that stands still."""

    log: MemoryLog = field(default_factory=MemoryLog)
    store: Store = field(default_factory=Store)
    now_ms: int = 1_000_000
    accept_gap: bool = False
    aligned: bool = True
    chunk: int = 1_000

    def __post_init__(self) -> None:
        self.consumer = MemoryConsumer(self.log, self.chunk)
        self.plane = DataPlane(
            self.consumer,
            TOPICS,
            Claims(self.store.claim, PATIENCE_MS),
            accept_gap=self.accept_gap,
            aligned=self.aligned,
            now_ms=lambda: self.now_ms,
            wall_ms=lambda: self.now_ms,
        )

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.plane.turn()


def filled(*records: tuple[str, int, int]) -> MemoryLog:
    """A log with records of (topic, shard, time), each with a value that says so."""
    log = MemoryLog()
    for topic, number, at_ms in records:
        log.append(topic, number, f"{topic} {at_ms}".encode(), at_ms)
    return log


def down() -> StoreDownError:
    return StoreDownError("connection", "gone")
