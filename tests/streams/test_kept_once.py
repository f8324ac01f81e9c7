"""What the embedded log hands on to be kept: each entry once, however often its batch is folded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from processors.batch import Records
from streams.errors import FencedError, MismatchError, StoreError
from streams.kept_history import KeptOnce
from streams.log_entries import TOPIC, Entry
from streams.log_reader import Heard
from streams.ownership import RETRY_MS, Claims
from streams.redis_log import OBSERVE_MS, START, RedisLog
from streams.store import Command, Reply, StoreAddress

Values = list[bytes | None]

TURNS_MAX = 10
ENTRIES: list[Entry] = [("9-2", b"a"), ("9-11", b"b"), ("10-1", b"c"), ("10-2", b"d")]
LOST = FencedError(0, "ours", "theirs")
ROLLED_BACK = MismatchError(0, "ours", "theirs")


@dataclass
class Committing:
    """What stores a step."""

    work: Callable[[], None]

    def __call__(self) -> None:
        self.work()

    def prepare(self) -> bool:
        return True

    def begin(self) -> None: ...
    def finish(self) -> None: ...


@dataclass
class Held:
    """Shard 0, whose owner may change, and whose Redis may fall back."""

    committed: str = START
    refusals: list[StoreError] = field(default_factory=list)  # of the next commits
    falls_back_to: str | None = None  # and says so at the next look
    folded: list[Values] = field(default_factory=list)
    due_ms: int | None = None

    @property
    def offsets(self) -> dict[str, str]:
        return {TOPIC: self.committed}

    def is_full(self) -> bool:
        return False

    def look(self) -> None:
        if self.falls_back_to is not None:
            self.committed, self.falls_back_to = self.falls_back_to, None
            raise ROLLED_BACK

    def step(self, records: Records, offsets: dict[str, str]) -> Committing:
        def commit() -> None:
            if self.refusals:
                raise self.refusals.pop()
            self.committed = offsets[TOPIC]

        self.folded.append(list(records.values))
        return Committing(commit)

    def fire(self, until_ms: int) -> None:
        raise AssertionError(f"no timer is due by {until_ms}")

    def close(self) -> None: ...


@dataclass
class Log:
    """The log of the shard, as far as it was written, for its reader and for whoever looks at it."""

    entries: Sequence[Entry] = ()
    asked: Heard | None = None
    is_waiting = False

    def ask(self, positions: Mapping[int, str], count: int, _block_ms: int | None) -> None:
        ids = [START, *(entry_id for entry_id, _ in self.entries)]
        found = list(self.entries[ids.index(positions[0]) :])
        self.asked = Heard(positions, count, {0: found} if found else {})

    def hear(self, _within_ms: int | None) -> Heard:
        assert self.asked is not None, "ask comes before hear"
        return self.asked


class Redis:
    """Nothing was trimmed, and nothing waits."""

    def ask(self, commands: list[Command]) -> list[Reply]:
        return [0 if command[0] in ("XLEN", "XTRIM") else [] for command in commands]

    def close(self) -> None: ...


class World:
    """A loop over that log, on a clock that goes on by as much as one claim has to wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log, self.shard, self.now_ms = Log(), Held(), 0
        self.kept: list[Values] = []
        monkeypatch.setattr("streams.redis_log.LogReader", lambda _connection: self.log)
        monkeypatch.setattr("streams.redis_log.Connection", lambda _address: Redis())
        self.loop = RedisLog(
            StoreAddress.parse("redis://nowhere"),
            1,
            Claims(lambda *_claim: self.shard, 0),
            accept_gap=True,
            keep=lambda values: self.kept.append(list(values)),
            now_ms=lambda: self.now_ms,
            wall_ms=lambda: self.now_ms,
        )

    def written(self, count: int) -> None:
        """So many entries are in the log, and are read."""
        self.log.entries = ENTRIES[:count]
        for _ in range(TURNS_MAX):
            self.loop.turn()
            self.now_ms += RETRY_MS


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_batch_that_is_folded_again_is_kept_once(world: World) -> None:
    """The shard was lost at its commit; what came meanwhile is in the same batch then."""
    world.written(1)
    world.shard.refusals = [LOST, LOST]
    world.written(3)
    world.written(4)

    assert world.shard.folded == [[b"a"], [b"b", b"c"], [b"b", b"c"], [b"b", b"c"], [b"d"]]
    assert world.kept == [[b"a"], [b"b", b"c"], [b"d"]]


def test_what_redis_has_forgotten_is_folded_again_and_kept_once(world: World) -> None:
    """It has lost commits of several batches, which are in the files."""
    for count in (1, 2, 3):
        world.written(count)
    world.shard.falls_back_to = START
    world.now_ms += OBSERVE_MS
    world.written(3)
    world.written(4)

    assert world.shard.folded[-2:] == [[b"a", b"b", b"c"], [b"d"]]
    assert world.kept == [[b"a"], [b"b"], [b"c"], [b"d"]]


def test_a_batch_is_kept_before_it_is_folded(world: World) -> None:
    """Who is killed between the two has it twice afterwards; after the commit, it would be nowhere."""
    seen: list[list[Values]] = []
    step = world.shard.step

    def watched(records: Records, offsets: dict[str, str]) -> Committing:
        seen.append(list(world.kept))
        return step(records, offsets)

    world.shard.step = watched  # type: ignore[method-assign]  # a look in between
    world.written(2)

    assert seen == [[[b"a", b"b"]]]


def test_each_shard_has_its_own_place_and_ids_are_compared_as_numbers() -> None:
    """Of two shards either may be ahead; and 9-2 comes before 9-11, which comes before 10-1."""
    kept: list[Values] = []
    once = KeptOnce(lambda values: kept.append(list(values)))
    once.add(0, ENTRIES[2:])
    once.add(1, ENTRIES[:1])
    once.add(1, ENTRIES[:2])
    once.add(1, ENTRIES[1:2])
    once.add(1, ENTRIES[:1])
    once.add(1, ENTRIES)

    assert kept == [[b"c", b"d"], [b"a"], [b"b"], [b"c", b"d"]]
