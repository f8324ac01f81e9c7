"""Dead letters in Kafka: records that could not be folded, kept to be mended and sent again.

Promise   `write` returns when the letters are on all in-sync replicas. Key, value, headers and record
          time are those of the record; why and where from is in further headers.
How       An idempotent producer of the data plane's thread, flushed. The names are those of Kafka's own
          dead letter queues (KIP-1191), with Connect's for the error's class, and ours.
Limits    FLUSH_SECONDS_MAX, then the same letters are written again: they may be there twice, and their
          source position tells. A record that is too large for the topic is cut to CUT_BYTES, and a
          header says so: it must not stop its shard for ever.
Not here  Listing and replaying (dead_letters.py).
"""

from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processors.batch import DeadLetter
from streams.errors import LogDownError
from streams.kafka_settings import KafkaSettings

FLUSH_SECONDS_MAX: Final = 10.0
KAFKA_PREFIX: Final = "__dlq.errors."
OWN_PREFIX: Final = "rapport."

TOO_LARGE: Final = frozenset((KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE))
CUT_BYTES: Final = 64 * 1024  # twice what an event may have: enough to see what it is
CUT: Final = OWN_PREFIX + "cut-from-bytes"  # how long the value was

Header = tuple[str, str | bytes | None]
Note = tuple[
    DeadLetter, bytes | None, tuple[Header, ...]
]  # letter, what to write of it, more headers


class KafkaDeadLetters:
    """The port of shards whose log is Kafka. For one thread."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: Producer | None = None

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Write the letters, and wait until they are durable.

        Raises:
            LogDownError: They may not be; write them again.
        """
        failed = self._send([(letter, letter.value, ()) for letter in letters])
        cut = [
            (letter, (letter.value or b"")[:CUT_BYTES], ((CUT, str(len(letter.value or b""))),))
            for letter, error in failed
            if error.code() in TOO_LARGE
        ]
        if len(cut) == len(failed):
            failed = self._send(cut)
        if failed:
            raise LogDownError("delivery", f"a dead letter is not written: {failed[0][1]}")

    def _send(self, notes: Sequence[Note]) -> list[tuple[DeadLetter, KafkaError]]:
        """Produce and flush; return the letters that were refused."""
        if not notes:
            return []
        failed: list[tuple[DeadLetter, KafkaError]] = []
        if self._producer is None:
            self._producer = Producer(self._settings.producer())
        producer, self._producer = self._producer, None  # after an error a new one: it may be fatal
        try:
            for letter, value, more in notes:
                self._produce(producer, letter, value, more, failed)
        except BufferError as error:
            raise LogDownError("delivery", str(error)) from error
        if producer.flush(FLUSH_SECONDS_MAX):
            raise LogDownError("delivery", "dead letters are not written: no answer in time")
        if not failed:
            self._producer = producer
        return failed

    def _produce(
        self,
        producer: Producer,
        letter: DeadLetter,
        value: bytes | None,
        more: tuple[Header, ...],
        failed: list[tuple[DeadLetter, KafkaError]],
    ) -> None:
        def report(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append((letter, error))

        try:
            producer.produce(
                self._settings.dead_letters,
                value=value,
                key=letter.origin.key,
                headers=[*headers_of(letter, self._settings.group), *more],
                timestamp=max(letter.origin.at_ms, 0),  # 0: now
                on_delivery=report,
            )
        except KafkaException as error:  # at once, for instance because it is too large for us
            failed.append((letter, error.args[0]))


def headers_of(letter: DeadLetter, group: str) -> list[Header]:
    """The record's own headers, then Kafka's words for what happened, then ours."""
    origin = letter.origin
    kafka = {
        "topic": origin.topic,
        "partition": str(origin.partition),
        "offset": origin.position,
        "group": group,
        "message": letter.detail,
        "exception.class.name": letter.reason,
        "exception.message": letter.detail,
    }
    ours = {"reason": letter.reason, "field": letter.field}
    if letter.at_byte is not None:
        ours["at-byte"] = str(letter.at_byte)
    own = [(name, value) for name, value in origin.headers if not is_ours(name)]
    return [
        *own,
        *((KAFKA_PREFIX + name, value) for name, value in kafka.items()),
        *((OWN_PREFIX + name, value) for name, value in ours.items()),
    ]


def is_ours(name: str) -> bool:
    """Whether a header was added by us: such are replaced, and left out of what is replayed."""
    return name.startswith((KAFKA_PREFIX, OWN_PREFIX))
