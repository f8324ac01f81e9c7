"""Dead letters in the embedded log: records that could not be folded, kept to be mended.

Promise   `send` returns when Redis has them. A letter may be there twice after a crash; topic,
          partition and position of its record tell.
How       One entry of the stream `rapport:{p}:dlq` a letter, written before the commit that skips it.
Limits    LETTERS_MAX a shard, about; then the oldest go.
Not here  Listing and replaying (dead_letters.py). The same for Kafka: kafka_dead_letters.py.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from processors.batch import DeadLetter, Origin
from streams.errors import DamagedError
from streams.keys import Keys
from streams.store import Command, Connection, checked, list_of, text_of
from streams.work import ARRIVED, Letters

LETTERS_MAX: Final = 10_000  # at 32 KB a record, 320 MB a shard at the very worst

_headers = msgspec.json.Decoder(tuple[tuple[str, bytes], ...])


class RedisDeadLetters:
    """The port of shards whose log is in Redis. For one thread."""

    def __init__(self, connection: Connection, *, letters_max: int = LETTERS_MAX) -> None:
        self._connection = connection
        self._letters_max = letters_max

    def send(self, letters: Sequence[DeadLetter]) -> Letters:
        """Write the letters; they are there at once.

        Raises:
            StoreDownError: They may be written or not; write them again.
        """
        commands: list[Command] = []
        for letter in letters:
            key = Keys.of(letter.origin.partition).dead_letters
            trim = ("MAXLEN", "~", self._letters_max)
            commands.append(("XADD", key, *trim, "*", *_fields(letter)))
        for reply in self._connection.ask(commands):
            checked(reply)
        return ARRIVED


def read(
    connection: Connection, number: int, after: str, count: int
) -> list[tuple[str, DeadLetter]]:
    """Letters of a shard, oldest first, each with the id of its entry; "0-0" begins at the first.

    Raises:
        DamagedError: An entry is no dead letter.
        StoreError: Redis cannot be read.
    """
    key = Keys.of(number).dead_letters
    found = []
    for entry in list_of(connection.call("XRANGE", key, f"({after}", "+", "COUNT", count)):
        entry_id, pairs = list_of(entry)
        words = [text_of(each) or b"" for each in list_of(pairs)]
        fields = dict(zip(words[::2], words[1::2], strict=True))
        found.append(((text_of(entry_id) or b"").decode(), _letter(key, fields)))
    return found


def _fields(letter: DeadLetter) -> list[bytes | str | int]:
    origin = letter.origin
    named: dict[str, bytes | str | int | None] = {
        "value": letter.value,
        "reason": letter.reason,
        "field": letter.field,
        "detail": letter.detail,
        "at_byte": letter.at_byte,
        "topic": origin.topic,
        "partition": origin.partition,
        "position": origin.position,
        "key": origin.key,
        "headers": msgspec.json.encode(origin.headers),
        "at_ms": origin.at_ms,
    }
    return [part for name, value in named.items() if value is not None for part in (name, value)]


def _letter(key: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    try:
        origin = Origin(
            topic=fields[b"topic"].decode(),
            partition=int(fields[b"partition"]),
            position=fields[b"position"].decode(),
            key=fields.get(b"key"),
            headers=_headers.decode(fields[b"headers"]),
            at_ms=int(fields[b"at_ms"]),
        )
        at_byte = fields.get(b"at_byte")
        return DeadLetter(
            origin,
            fields.get(b"value"),
            fields[b"reason"].decode(),
            fields[b"field"].decode(),
            fields[b"detail"].decode(),
            None if at_byte is None else int(at_byte),
        )
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        raise DamagedError(key, f"has an entry that is no dead letter: {error!r}") from error
