"""The index of timers when others write, replies are lost, and Redis forgets: it never holds too little."""

from collections.abc import Callable, Iterator, Sequence
from unittest.mock import patch

import pytest

from processors.tables import DUE
from streams.commit import StandingWatch
from streams.errors import DamagedError, FencedError, StoreDownError
from streams.fence import Fence
from streams.shard import Shard
from streams.store import Command
from tests.simulation.memory_commands import Refused, Reply
from tests.simulation.memory_redis import MemoryRedis, Session
from tests.simulation.virtual_loop import START_MS
from tests.simulation.world import World
from tests.streams.timed import KEYS, SILENCE_MS, claimed, clicks, fire, fold, index, timed_world


@pytest.fixture
def world() -> Iterator[World]:
    with timed_world() as made:
        yield made


def test_what_is_no_index_of_ours_stops_the_claim(world: World) -> None:
    """Written over, it would be somebody's data; passed over, timers would be lost."""
    Session("test", world.redis).execute([b"SET", KEYS.timers, b"precious"])
    refused = Refused("WRONGTYPE Operation against a key holding the wrong kind of value")
    read = MemoryRedis.execute

    def typed(redis: MemoryRedis, session: Session, words: Sequence[bytes]) -> Reply:
        return refused if words[0] == b"ZRANGE" else read(redis, session, words)

    with (
        patch.object(MemoryRedis, "execute", typed),
        pytest.raises(DamagedError, match="timers"),
        claimed(world),
    ):
        pass


def test_a_commit_is_not_done_with_while_its_entry_is_refused(world: World) -> None:
    """Full for the entry, and a moment later with room for the commit: the timer would be lost."""
    refusals = [Refused("OOM command not allowed"), Refused("OOM command not allowed")]
    read = MemoryRedis.execute

    def full(redis: MemoryRedis, session: Session, words: Sequence[bytes]) -> Reply:
        if words[0] == b"ZADD" and refusals:
            return refusals.pop()
        return read(redis, session, words)

    with patch.object(MemoryRedis, "execute", full), claimed(world) as shard:
        work = shard.step(clicks(("ann", "add_to_cart", 0)), {"clicks": "1"})
        for _ in range(2):
            with pytest.raises(StoreDownError):
                work()
        work()
        commits = shard.fence.commits

    assert index(world) == {"ann": 1_000}
    assert commits == 1


def test_a_former_owner_cleans_nothing(world: World) -> None:
    """It would remove what the new owner's commit relies on."""
    with claimed(world) as zombie:
        fold(zombie, ("ann", "add_to_cart", 0))
        assert fire(zombie, SILENCE_MS) is not None
        with claimed(world, "two") as owner:
            fold(owner, ("ann", "add_to_cart", 500))
            with pytest.raises(FencedError):
                zombie.fire(START_MS + SILENCE_MS)

    assert index(world) == {"ann": 1_000}


def test_a_cleaning_that_comes_late_removes_no_entry_of_a_commit_under_way(world: World) -> None:
    """1 a cleaning is sent and given up, 2 a commit's entry is written, 3 the cleaning, 4 the commit."""
    with claimed(world) as shard:
        fold(shard, ("ann", "add_to_cart", 0))
        assert fire(shard, SILENCE_MS) is not None
        late = given_up(shard, world)
        work = shard.step(clicks(("ann", "add_to_cart", 3_000)), {"clicks": "2"})
        begin = StandingWatch.begin

        def overtaken(
            watch: StandingWatch,
            fence: bytes,
            pairs: list[bytes],
            also: Command,
            first: Command | None = None,
        ) -> None:
            begin(watch, fence, pairs, also, first)
            if first is not None:
                late()

        with patch.object(StandingWatch, "begin", overtaken):
            work()
        stored = world.redis.data[KEYS.fence]
        assert isinstance(stored, bytes)

        assert index(world) == {"ann": 1_000}  # too early is no harm
        assert Fence.decode(0, stored).commits == 4  # of which one changed nothing else


def given_up(shard: Shard, world: World) -> Callable[[], None]:
    """Have the cleaning time out; answers with what lets it arrive."""
    watch = shard._watch
    found = world.redis.data[KEYS.fence]
    session = Session("one", world.redis)
    session.execute([b"WATCH", KEYS.fence])
    assert found == watch.stored
    with (
        patch.object(type(watch._connection), "ask", side_effect=StoreDownError("timeout", "slow")),
        pytest.raises(StoreDownError),
    ):
        shard.fire(START_MS + SILENCE_MS)
    assert watch.in_doubt

    def arrive() -> None:
        session.execute([b"MULTI"])
        session.execute([b"ZREM", KEYS.timers, b"ann"])
        session.execute([b"EXEC"])

    return arrive


def story(shard: Shard) -> None:
    """Waiting, firing, waiting again, and cleaning."""
    fold(shard, ("ann", "add_to_cart", 0), ("bob", "add_to_cart", 200))
    fire(shard, SILENCE_MS)
    fold(shard, ("ann", "add_to_cart", 1_500), ("cid", "add_to_cart", 1_500))
    fire(shard, SILENCE_MS + 300)
    fire(shard, SILENCE_MS + 300)
    fold(shard, ("bob", "add_to_cart", 1_600), ("cid", "checkout", 1_700))
    fire(shard, 5_000)
    fire(shard, 5_000)


def test_every_prefix_of_what_is_written_has_everybody_who_waits(world: World) -> None:
    """Redis may come back with any of them; whoever claims then must find every timer."""
    with claimed(world) as shard:
        story(shard)
    states = [data for _, data in world.redis.past] + [dict(world.redis.data)]
    found = []
    for number, data in enumerate(states):
        waits = {}
        world.redis.data = dict(data)
        if KEYS.fence not in data:
            continue
        with claimed(world, f"reader{number}") as reader:
            names = [
                key.removeprefix(KEYS.row_).decode() for key in data if key.startswith(KEYS.row_)
            ]
            if names:
                reader._rows.keep_layout(reader.engine.plan.layout)
                reader._load(reader.table.missing(names), names)
                rows = reader.table.whole_rows[reader.table.slots(names)]
                waits = {
                    name: int(row[DUE]) - START_MS
                    for name, row in zip(names, rows, strict=True)
                    if row[DUE]
                }
        world.redis.data = dict(data)
        entries = index(world)
        assert all(entries.get(name, 1 << 60) <= due_ms for name, due_ms in waits.items())
        found.append((waits, entries))

    assert len(found) > 12
    assert len({tuple(sorted(waits)) for waits, _ in found}) >= 4
    assert found[-1] == ({}, {})
