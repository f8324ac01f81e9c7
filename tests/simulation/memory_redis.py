"""A Redis in memory that knows the commands that we send, and can go back in time.

Promise   Carries out WATCH, MULTI and EXEC as Redis does: a watched key that was written, with whatever
          value, makes EXEC do nothing; a command that was refused makes it an error. After each write
          there is a state to go back to, also in the middle of a script, as a torn append-only file
          has it. What it does not know is an error, not nothing.
How       Values are never changed in place, so that a state is a copy of one dictionary.
Limits    PAST_MAX states. It says that it is Redis 7, which logs our commit as one command.
Not here  The commands (memory_commands.py), the scripts (memory_scripts.py), the way here (wire.py).
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from tests.simulation.memory_commands import COMMANDS, READING, Data, Refused, Reply

PAST_MAX: Final = 60

Words: TypeAlias = Sequence[bytes]
Wrote: TypeAlias = Callable[["Session", list[bytes], Words], None]
"""Told of each write, after it: by whom, which keys, and the command."""

INFORMATION: Final = (
    b"redis_version:7.2.0\r\nmaxmemory_policy:noeviction\r\n"
    b"aof_enabled:1\r\naof_rewrite_in_progress:0\r\ncluster_enabled:0\r\n"
)
REFUSALS: Final = {
    "loading": "LOADING Redis is loading the dataset in memory",
    "full": "OOM command not allowed when used memory > 'maxmemory'.",
    "read-only": "READONLY You can't write against a read only replica.",
}


@dataclass(slots=True, eq=False)
class Session:
    """One connection, as the server sees it."""

    who: str
    redis: "MemoryRedis"
    watched: dict[bytes, int] = field(default_factory=dict)
    queued: list[Words] | None = None  # a transaction is open
    is_spoilt: bool = False  # one of its commands was refused

    def execute(self, words: Words) -> Reply:
        """The reply to one command."""
        name = words[0].upper()
        if name == b"EXEC":
            return self._exec()
        refusal = self.redis.refusal(name)
        if refusal is not None:
            self.is_spoilt = self.queued is not None
            return refusal
        if name == b"MULTI":
            self.queued, self.is_spoilt = [], False
            return b"OK"
        if name == b"WATCH":
            for key in words[1:]:
                self.watched.setdefault(key, self.redis.versions.get(key, 0))
            return b"OK"
        if self.queued is not None:
            self.queued.append(words)
            return b"QUEUED"
        return self.redis.execute(self, words)

    def _exec(self) -> Reply:
        queued, self.queued = self.queued, None
        watched, self.watched = self.watched, {}
        if queued is None:
            return Refused("ERR EXEC without MULTI")
        if self.is_spoilt:
            self.is_spoilt = False
            return Refused("EXECABORT Transaction discarded because of previous errors.")
        versions = self.redis.versions
        if any(versions.get(key, 0) != seen for key, seen in watched.items()):
            return None
        return [self.redis.execute(self, words) for words in queued]


@dataclass(slots=True)
class MemoryRedis:
    wrote: Wrote = lambda _session, _keys, _words: None
    data: Data = field(default_factory=dict)
    versions: dict[bytes, int] = field(default_factory=dict)
    writes_count: int = 0
    refuses: str | None = None  # one of REFUSALS
    past: deque[tuple[int, Data]] = field(default_factory=lambda: deque(maxlen=PAST_MAX))

    def refusal(self, name: bytes) -> Refused | None:
        if self.refuses is None or (self.refuses != "loading" and name in READING):
            return None
        return Refused(REFUSALS[self.refuses])

    def execute(self, session: Session, words: Words) -> Reply:
        """Carry out a command that stands for itself."""
        name = words[0].upper()
        if name == b"INFO":
            return INFORMATION
        command = COMMANDS.get(name)
        if command is None:
            return Refused(f"ERR unknown command '{name.decode()}'")
        if name in READING:
            return command(self.data, words[1:])[0]
        before = dict(self.data)
        reply, keys = command(self.data, words[1:])
        if keys:
            self.past.append((self.writes_count, before))
            self.writes_count += 1
            for key in keys:
                self.versions[key] = self.writes_count
            self.wrote(session, keys, words)
        return reply

    def go_back(self, states: int) -> int:
        """Lose the newest writes; answers how many there are now. Connections must end with it."""
        for _ in range(min(states, len(self.past))):
            self.writes_count, self.data = self.past.pop()
        # A version never comes again: who watches through all of this is gone anyway.
        self.versions = dict.fromkeys(self.data, self.writes_count)
        return self.writes_count
