"""Dead letters in Kafka: records that could not be folded, kept to be mended and sent again.

Promise   Letters are there when they are on all in-sync replicas. Key, value, headers and record time
          are those of the record; why and where from is in further headers.
How       An idempotent producer, connected before there is a letter and asked by the data plane's
          thread, which goes on with other shards while letters are on their way. The names are those
          of Kafka's own dead letter queues (KIP-1191), with Connect's for the error's class, and ours.
Limits    FLUSH_SECONDS_MAX, then the same letters are sent again: they may be there twice, and their
          source position tells. A record that is too large for the topic is cut to CUT_BYTES, and a
          header says so; one whose time the topic refuses is written with the time of now, and a header
          tells its own: neither must stop its shard for ever.
Not here  Listing and replaying (dead_letters.py).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processors.batch import DeadLetter
from streams.delivery_report import failure
from streams.errors import LogDownError
from streams.kafka_settings import KafkaSettings

FLUSH_SECONDS_MAX: Final = 10.0
KAFKA_PREFIX: Final = "__dlq.errors."
OWN_PREFIX: Final = "rapport."

TOO_LARGE: Final = frozenset((KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE))
CUT_BYTES: Final = 64 * 1024  # twice what an event may have: enough to see what it is
CUT: Final = OWN_PREFIX + "cut-from-bytes"  # how long the value was

# Kafka names the error itself only where one record of a request has it.
UNTIMELY: Final = frozenset((KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD))
BESIDE_ANOTHER: Final = -138  # librdkafka's: nothing is wrong with it, but with one sent beside it
RECORDED: Final = OWN_PREFIX + "recorded-at-ms"  # which time the record had
MENDS_MAX: Final = 3  # cut, given the time of now, and once for what went with others

LATE: Final = "dead letters are not written: no answer in time"

Header = tuple[str, str | bytes | None]


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be written of a letter."""

    letter: DeadLetter
    value: bytes | None
    at_ms: int  # 0: now
    more: tuple[Header, ...] = ()  # headers


Refused: TypeAlias = tuple[Note, KafkaError]


class KafkaDeadLetters:
    """The port of shards whose log is Kafka. For one thread."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        # Made now, so that the first letter does not wait for a connection and an id: 0.2 s and more.
        self._producer: Producer | None = Producer(settings.producer())

    def send(self, letters: Sequence[DeadLetter]) -> "Sending":
        """Send the letters on their way.

        Raises:
            LogDownError: They may not be; send them again.
        """
        notes = [Note(each, each.value, max(each.origin.at_ms, 0)) for each in letters]
        return self._begin(notes)

    def settle(self, failed: list[Refused]) -> None:
        """Write those that were refused as they can be written, and wait until they are durable.

        Raises:
            LogDownError: They may not be; send all of them again.
        """
        for _ in range(MENDS_MAX):
            mends = [mended(note, error.code()) for note, error in failed]
            notes = [note for note in mends if note is not None]
            if not notes or len(notes) < len(failed):
                break
            failed = self._begin(notes).refusals()
        if failed:
            raise LogDownError("delivery", f"a dead letter is not written: {failed[0][1]}")

    def give_up(self, producer: Producer) -> None:
        """Use another producer from now on: after an error it may be of no more use."""
        if self._producer is producer:
            self._producer = None

    def _begin(self, notes: Sequence[Note]) -> "Sending":
        if self._producer is None:
            self._producer = Producer(self._settings.producer())
        sending = Sending(self, self._producer, len(notes))
        try:
            for note in notes:
                self._produce(sending, note)
        except BufferError as error:
            self.give_up(sending.producer)
            raise LogDownError("delivery", str(error)) from error
        return sending

    def _produce(self, sending: "Sending", note: Note) -> None:
        def report(error: KafkaError | None, message: Message) -> None:
            sending.left -= 1
            refused = failure(error, message)
            if refused is not None:
                sending.refused.append((note, refused))

        try:
            sending.producer.produce(
                self._settings.dead_letters,
                value=note.value,
                key=note.letter.origin.key,
                headers=[*headers_of(note.letter, self._settings.group), *note.more],
                timestamp=note.at_ms,
                on_delivery=report,
            )
        except KafkaException as error:  # at once, for instance because it is too large for us
            sending.left -= 1
            sending.refused.append((note, error.args[0]))


class Sending:
    """Notes that a producer was given together, and what became of them so far."""

    def __init__(self, port: KafkaDeadLetters, producer: Producer, left: int) -> None:
        """Wait for so many answers of this producer of the port."""
        self.producer = producer
        self.left = left
        self.refused: list[Refused] = []
        self._port = port
        self._until = time.monotonic() + FLUSH_SECONDS_MAX

    def are_there(self) -> bool:
        """Whether all are durable. What was refused is mended first, and waited for.

        Raises:
            LogDownError: Some may not be; send all of them again.
        """
        self.producer.poll(0)
        if self.left and time.monotonic() < self._until:
            return False
        self._port.settle(self._answered())
        return True

    def wait(self) -> None:
        """Return when all are durable. Raises as `are_there` does."""
        self._port.settle(self.refusals())

    def refusals(self) -> list[Refused]:
        """Wait for all answers: what was refused. Raises as `are_there` does."""
        if self.left:
            self.producer.flush(FLUSH_SECONDS_MAX)
        return self._answered()

    def _answered(self) -> list[Refused]:
        """What was refused, once. After an error the producer may be of no more use."""
        if self.left or self.refused:
            self._port.give_up(self.producer)
        if self.left:
            raise LogDownError("delivery", LATE)
        refused, self.refused = self.refused, []
        return refused


def mended(note: Note, code: int) -> Note | None:
    """A refused note as it can be written; None where only waiting can help."""
    value = note.value or b""
    if code in TOO_LARGE and len(value) > CUT_BYTES:
        cut = (CUT, str(len(value)))
        return replace(note, value=value[:CUT_BYTES], more=(*note.more, cut))
    if code in UNTIMELY and note.at_ms:
        recorded = (RECORDED, str(note.at_ms))
        return replace(note, at_ms=0, more=(*note.more, recorded))
    return note if code == BESIDE_ANOTHER else None


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
