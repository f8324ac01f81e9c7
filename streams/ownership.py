"""Ownership: which shards are to be claimed, and when to try again.

Promise   Each wanted shard is claimed as soon as the store allows it, and never twice at once.
How       A claim of an older generation than the owner's is tried again, for our assignment may only
          be late; after `patience_ms` it is forced, for the generation may have started anew.
Limits    RETRY_MS between tries of one shard.
Not here  The claim itself (fence.py).
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from confluent_kafka import Message, TopicPartition

from processors.batch import Records
from streams.errors import StaleError, StoreDownError, StoreError

RETRY_MS: Final = 200

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """What the group gives us to do. Published whole, never changed; another object is another target."""

    generation: int = 0
    shards: frozenset[int] = field(default_factory=frozenset)


class Commit(Protocol):
    """What stores a step: in one call, or begun now and finished later."""

    def __call__(self) -> None: ...
    def prepare(self) -> bool:
        """Send ahead what must be durable first, and say whether it is; does not wait for it."""

    def begin(self) -> None: ...
    def finish(self) -> None: ...


class HeldShard(Protocol):
    """What the data plane needs of a shard: `Shard`, and what tests put in its place."""

    @property
    def offsets(self) -> dict[str, str]: ...
    def is_full(self) -> bool:
        """Whether nothing may be read, because what was decided is not delivered yet."""

    def look(self) -> None:
        """See whether the shard is as we left it; raises as a commit does."""

    def step(self, records: Records, offsets: dict[str, str]) -> Commit:
        """Fold a batch; return what commits it. After StoreDownError either may be called again."""

    @property
    def due_ms(self) -> int | None:
        """No timer is due before that, by the wall clock; None: nobody waits for a time."""

    def fire(self, until_ms: int) -> Commit | None:
        """Step timers that are due by then, when the log is read so far; as `step`. None: there are none."""

    def close(self) -> None: ...


class LogConsumer(Protocol):
    """What the data plane needs of a librdkafka consumer: `Consumer`, and what tests have."""

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]: ...
    def incremental_assign(self, partitions: list[TopicPartition]) -> None: ...
    def incremental_unassign(self, partitions: list[TopicPartition]) -> None: ...
    def unassign(self) -> None: ...
    def pause(self, partitions: list[TopicPartition]) -> None: ...
    def resume(self, partitions: list[TopicPartition]) -> None: ...
    def get_watermark_offsets(
        self, partition: TopicPartition, *, cached: bool = False
    ) -> tuple[int, int]: ...
    def offsets_for_times(
        self, partitions: list[TopicPartition], timeout: float = -1
    ) -> list[TopicPartition]: ...
    def close(self) -> None: ...


Claim: TypeAlias = Callable[[int, int, bool], HeldShard]
"""Claims a shard: number, generation, whether to force it. Raises as fence.take does."""


def not_as_left(shards: Mapping[int, HeldShard], beat: Callable[[], None]) -> dict[int, StoreError]:
    """Look at these shards; what keeps each that is not as we left it from going on.

    The first that cannot be looked at is the last: the others are in the same Redis.
    """
    found: dict[int, StoreError] = {}
    for number, shard in shards.items():
        beat()  # a Redis that does not answer costs seconds
        try:
            shard.look()
        except StoreError as error:
            found[number] = error
            if isinstance(error, StoreDownError):
                break
    return found


class Claims:
    """The shards that are wanted and not yet owned."""

    def __init__(self, claim: Claim, patience_ms: int) -> None:
        self._claim = claim
        self._patience_ms = patience_ms
        self._due_ms: dict[int, int] = {}
        self._since_ms: dict[int, int] = {}

    def want(self, numbers: Iterable[int], now_ms: int) -> None:
        """Start anew: these, at once, and no others."""
        self._due_ms = dict.fromkeys(sorted(numbers), now_ms)
        self._since_ms = dict(self._due_ms)

    def again(self, number: int, now_ms: int) -> None:
        """Want a shard that was lost; not at once, or two who both believe to own it would race."""
        self._due_ms[number] = now_ms + RETRY_MS
        self._since_ms[number] = now_ms

    def due(self, now_ms: int) -> list[int]:
        return [number for number, due_ms in self._due_ms.items() if due_ms <= now_ms]

    def claim(self, number: int, generation: int, now_ms: int) -> HeldShard | None:
        """Try to claim a shard that is due; None: not yet.

        Raises:
            StoreError: Trying again will not help.
        """
        forced = now_ms - self._since_ms[number] >= self._patience_ms
        try:
            shard = self._claim(number, generation, forced)
        except (StaleError, StoreDownError) as error:
            logger.warning("shard %d is not claimed yet: %s", number, error)
            self._due_ms[number] = now_ms + RETRY_MS
            return None
        except Exception:
            del self._due_ms[number]
            raise
        del self._due_ms[number]
        return shard
