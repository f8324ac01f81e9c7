"""The work: a step that is computed and not yet committed, and who is told of it.

Not here  Computing and committing it (shard.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from processors.batch import DeadLetter
from streams.errors import StreamsError
from streams.fence import Fence
from streams.keys import Keys
from streams.outbox import Committed, encode
from streams.outcome import Outcome
from streams.step import Engine

if TYPE_CHECKING:
    from streams.shard import Shard  # which makes works


class Letters(Protocol):
    """Dead letters on their way."""

    def are_there(self) -> bool:
        """Whether they are as durable as a commit is; does not wait. Raises as `wait` does."""

    def wait(self) -> None:
        """Return when they are.

        Raises:
            StreamsError: They may not be; send them again.
        """


class DeadLetterPort(Protocol):
    """Where dead letters go. The same letter may come again after a crash; its origin tells."""

    def send(self, letters: Sequence[DeadLetter]) -> Letters:
        """Send them on their way.

        Raises:
            StreamsError: They may be on their way or not; send them again.
        """


class _Arrived:
    def are_there(self) -> bool:
        return True

    def wait(self) -> None:
        """They are there."""


ARRIVED: Final = _Arrived()
"""What a port that waits itself answers."""


@dataclass(slots=True)
class Work:
    """A step that is computed and not yet committed. Calling it commits it."""

    shard: "Shard"
    offsets: dict[str, str]  # the next position to read, for the topics that the batch advanced
    times_ms: list[int]  # record times; none where timers are all there is
    outcome: Outcome
    dead: list[DeadLetter]  # all of the batch: not decoded, and too late
    entries: list[tuple[str, int]] = field(default_factory=list)  # the index of timers needs these
    fired_ms: list[int] = field(default_factory=list)  # when the timers were due that were stepped
    by_clock: bool = False  # these timers are all there is in it: their time has come
    letters: Letters | None = None  # on their way, or there
    begun_ns: int | None = None  # when its first commit was begun, by the performance counter

    def __call__(self) -> None:
        """Raises as `Shard.commit` does."""
        self.shard.commit(self)

    def prepare(self, *, wait: bool = False) -> bool:
        """Send the dead letters on their way, once; whether they are there. Raises as `Shard.begin` does."""
        if not self.dead:
            return True
        try:
            self.letters = letters = self.letters or self.shard.ports.dead_letters.send(self.dead)
            if wait:
                letters.wait()
            return letters.are_there()
        except StreamsError:
            self.letters = None  # they are sent again
            raise

    def begin(self) -> None:
        """Raises as `Shard.begin` does."""
        self.shard.begin(self)

    def finish(self) -> None:
        """Raises as `Shard.finish` does."""
        self.shard.finish(self)

    def pairs(self, keys: Keys, sequence: int) -> list[bytes]:
        """Key, value, key, value … of all that is stored; the actions as this entry of the outbox."""
        outcome = self.outcome
        pairs: list[bytes] = []
        for customer_id, row, view in zip(
            outcome.changed_ids, outcome.rows, outcome.views, strict=True
        ):
            name = customer_id.encode()
            pairs += (keys.row_ + name, row, keys.customer_ + name, view)
        if outcome.actions:
            pairs += (keys.outbox(sequence), encode(outcome.actions))
        return pairs


Stored: TypeAlias = Callable[[Work, int], None]
"""Called after each commit: what was stored, and how long that took with all tries, in ns."""

RolledBack: TypeAlias = Callable[[int, Fence, Fence | None], None]
"""Called when Redis has lost commits of ours: shard number, what we wrote last, what is there."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a shard tells the world, from the thread that commits."""

    dead_letters: DeadLetterPort
    committed: Committed
    stored: Stored
    rolled_back: RolledBack


Engines: TypeAlias = Callable[[], Engine]
"""The engine to step with, from now on."""
