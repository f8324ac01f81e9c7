"""What Redis was made to write about the shards: every fence, in order, from its append-only file.

Promise   `fence_writes` has each claim and each commit that Redis carried out, in their order, and
          `actions_written` what they decided. `judged` finds commits of former owners, claims that do
          not begin where the last commit ended, and positions that go back.
How       The file is read as it is, with hiredis and msgspec; nothing of the engine is asked. Whatever
          was overwritten in Redis is still in the file.
Limits    A file that was never rewritten: run Redis with the settings KEEP_ALL. Nothing may be cut off.
Not here  What must be counted: oracle.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import hiredis
import msgspec

from tests.integration.redis_server import RedisServer
from tests.integration.shop import KEY

KEEP_ALL: Final = {"auto-aof-rewrite-percentage": "0"}
BYTES_AT_ONCE: Final = 1 << 20


class Fence(msgspec.Struct, frozen=True):
    """A fence as the engine's documents describe it; `offsets` are the next positions to read."""

    epoch: int
    nonce: str
    generation: int
    offsets: dict[str, str]
    outbox: int = 0
    commits: int = 0

    @property
    def positions(self) -> dict[str, int]:
        return {topic: int(offset) for topic, offset in self.offsets.items()}


@dataclass(frozen=True, slots=True)
class Action:
    """What was decided: an entry of an outbox has several."""

    id: str
    customer: str
    rule: str
    cause: str
    entry: tuple[int, int]
    """Shard, and sequence in its outbox."""


def fence_writes(server: RedisServer) -> Iterator[tuple[int, Fence]]:
    """Each fence that was written, with the number of its shard."""
    for number, kind, _, value in _writes(server):
        if kind == "fence":
            yield number, msgspec.json.decode(value, type=Fence)


def actions_written(server: RedisServer) -> list[Action]:
    """Each action that was put into an outbox; relays delete what they have settled."""
    return [
        Action(
            *(each["id"], each["customer_id"], each["rule"], each["cause"]),
            entry=(number, int(sequence)),
        )
        for number, kind, sequence, value in _writes(server)
        if kind == "outbox"
        for each in msgspec.json.decode(value)
    ]


def _writes(server: RedisServer) -> Iterator[tuple[int, str, str, bytes]]:
    """Shard, kind and rest of the key, and value of each pair that a commit or a claim has set."""
    for command in _commands(server):
        if command[0].upper() != b"MSET":
            continue
        for key, value in zip(command[1::2], command[2::2], strict=True):
            named = KEY.fullmatch(key.decode(errors="replace"))
            if named is not None:
                yield int(named[1]), named[2], named[3], value


def _commands(server: RedisServer) -> Iterator[list[bytes]]:
    files = server.append_only_files
    assert files, "Redis keeps an append-only file"
    for file in files:
        reader = hiredis.Reader()
        with file.open("rb") as stream:
            while chunk := stream.read(BYTES_AT_ONCE):
                reader.feed(chunk)
                while (command := reader.gets()) is not False:
                    assert isinstance(command, list), "the file holds commands"
                    yield command


@dataclass
class Course:
    """How the shards have gone."""

    claims: int = 0
    commits: int = 0
    records: int = 0
    """By which committed positions went forward."""
    stale: list[str] = field(default_factory=list)
    """Writes of who was not the owner, as sentences."""
    jumps: list[str] = field(default_factory=list)
    """Positions that do not join, as sentences."""

    @property
    def wrong(self) -> list[str]:
        return [*self.stale, *self.jumps]


def judged(writes: Iterable[tuple[int, Fence]]) -> Course:
    """Follow every shard from its first claim on."""
    course = Course()
    lasts: dict[int, Fence] = {}
    owners: dict[int, set[str]] = {}
    for number, fence in writes:
        last, former = lasts.get(number), owners.setdefault(number, set())
        words = f"shard {number}, epoch {fence.epoch}, commit {fence.commits}"
        if last is not None and fence.nonce == last.nonce:
            _committed(course, words, last, fence)
        elif fence.nonce in former or fence.commits:
            course.stale.append(f"{words}: written by who is not the owner")
            continue  # the owner goes on from its own
        else:
            _claimed(course, words, {} if last is None else last.positions, fence)
        former.add(fence.nonce)
        lasts[number] = fence
    return course


def _claimed(course: Course, words: str, before: Mapping[str, int], fence: Fence) -> None:
    course.claims += 1
    if fence.positions != before:
        course.jumps.append(f"{words}: begins at {fence.positions}, the last commit was {before}")


def _committed(course: Course, words: str, last: Fence, fence: Fence) -> None:
    course.commits += 1
    before, after = last.positions, fence.positions
    steps = [after.get(topic, 0) - before.get(topic, 0) for topic in {*before, *after}]
    course.records += sum(steps)
    if fence.commits != last.commits + 1 or min(steps, default=0) < 0:
        course.jumps.append(f"{words}: {after}, after commit {last.commits} at {before}")
