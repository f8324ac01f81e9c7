"""The outbox: actions we have decided on, stored in the same commit as the reason.

Promise   Each action is stored once per cause and handed to its sink at least once.
How       A commit with actions takes the next sequence of the fence and stores all of them as one
          entry, `rapport:{p}:outbox:<sequence>`. Who delivers deletes an entry when each action in it
          is settled, then moves the cursor `rapport:{p}:relay` past it. A missing entry is settled.
Limits    OUTBOX_ACTIONS_MAX actions a shard that are not settled, and one more batch. When full,
          consuming stops; nothing is dropped.
Not here  Retries and receipts (relay.py). Once-only effects: the receiver uses Action.id.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from rules.action import Action
from streams.errors import DamagedError
from streams.keys import Keys
from streams.store import Command, Connection, text_of

OUTBOX_ACTIONS_MAX: Final = 10_000  # about 10 MB of Redis a shard; a receiver down for minutes
ENTRIES_AT_ONCE: Final = 100  # read in one reply when a new owner recovers

Committed: TypeAlias = Callable[[int, int, Sequence[Action]], None]
"""What is called after a commit with actions: shard number, sequence, actions."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Action])


def encode(actions: Sequence[Action]) -> bytes:
    return _encoder.encode(actions)


def decode(key: bytes, entry: bytes) -> list[Action]:
    """Read an entry.

    Raises:
        DamagedError: It is something else.
    """
    try:
        return _decoder.decode(entry)
    except msgspec.MsgspecError as error:
        raise DamagedError(key, f"is no outbox entry: {error}") from error


def settle(number: int, sequence: int) -> list[Command]:
    """The commands by which who delivers says that the entry and all before it are settled.

    In this order: a crash in between leaves a cursor that is too low, which costs a look at a missing
    entry; the other order would leave an entry for ever.
    """
    keys = Keys.of(number)
    return [("DEL", keys.outbox(sequence)), ("SET", keys.relay, sequence)]


def cursor(number: int, stored: bytes | None) -> int:
    """The sequence up to which every action is settled.

    Raises:
        DamagedError: The cursor is no number.
    """
    if stored is None:
        return 0
    try:
        return int(stored)
    except ValueError as error:
        raise DamagedError(Keys.of(number).relay, "is no outbox sequence") from error


def pending(connection: Connection, number: int, last: int) -> list[tuple[int, list[Action]]]:
    """The entries that are not settled, oldest first, up to the fence's sequence `last`.

    Raises:
        DamagedError: An entry is damaged.
        StoreError: Redis cannot be read.
    """
    keys = Keys.of(number)
    first = cursor(number, text_of(connection.call("GET", keys.relay))) + 1
    found = []
    for start in range(first, last + 1, ENTRIES_AT_ONCE):
        sequences = range(start, min(start + ENTRIES_AT_ONCE, last + 1))
        entries = connection.ask([("GET", keys.outbox(sequence)) for sequence in sequences])
        for sequence, reply in zip(sequences, entries, strict=True):
            entry = text_of(reply)
            if entry is not None:
                found.append((sequence, decode(keys.outbox(sequence), entry)))
    return found


class Outbox:
    """How many actions of one shard wait. Follows the cursor in Redis, whoever moves it."""

    def __init__(self, number: int, *, actions_max: int = OUTBOX_ACTIONS_MAX) -> None:
        self.actions_count = 0
        self._number = number
        self._actions_max = actions_max
        self._waiting: deque[tuple[int, int]] = deque()  # sequence, actions

    @property
    def is_full(self) -> bool:
        return self.actions_count >= self._actions_max

    def add(self, sequence: int, actions_count: int) -> None:
        self._waiting.append((sequence, actions_count))
        self.actions_count += actions_count

    def follow(self, stored: bytes | None) -> None:
        """Forget what is settled, by the cursor as it was read. Raises as `cursor` does."""
        settled = cursor(self._number, stored)
        while self._waiting and self._waiting[0][0] <= settled:
            self.actions_count -= self._waiting.popleft()[1]
