"""Dead letters at rest: looked at, and put back after what was wrong is mended.

Promise   `replay` puts the oldest letters back where they came from, with key, headers and record time
          as they were, and moves on only when they are durable there. Stopped in between, it may put some
          back twice: the event ids let the engine see it. A letter whose value was cut is not put back.
How       Where replay has come to is kept beside the letters: for Kafka as the position of a group of
          its own, for the embedded log as a key. `waiting` shows what lies behind it.
Limits    LETTERS_MAX a call. Kafka deletes records by their time: a letter older than its topic's
          retention is to be put back while workers run, which read it at once.
Not here  Writing letters (kafka_dead_letters.py, redis_dead_letters.py).
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from processors.batch import DeadLetter, Origin
from streams.delivery_report import failure
from streams.errors import LogDownError
from streams.kafka_dead_letters import CUT, KAFKA_PREFIX, OWN_PREFIX, is_ours
from streams.kafka_settings import KafkaSettings
from streams.keys import Keys
from streams.messages import headers_of
from streams.redis_appender import VALUE
from streams.redis_dead_letters import read
from streams.store import Connection, checked, text_of

LETTERS_MAX: Final = 10_000
READ_SECONDS_MAX: Final = 5.0
REPLAYED: Final = b"replayed"  # after the key of an embedded shard's letters: the last one put back


@dataclass(frozen=True, slots=True)
class Replayed:
    """What `replay` has done."""

    put_back: int
    left_out: int  # their values were cut, for they were too large


class Letters(Protocol):
    """The dead letters of a log."""

    def waiting(self, limit: int) -> list[DeadLetter]:
        """The oldest letters that were not put back yet.

        Raises:
            StreamsError: They cannot be read.
        """

    def replay(self, limit: int) -> Replayed:
        """Put the oldest letters back, and remember how far that went.

        Raises:
            StreamsError: Some may not be back; replaying again goes on from what is remembered.
        """


class KafkaLetters:
    """Those of the Kafka log, in the topic for dead letters."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def waiting(self, limit: int = LETTERS_MAX) -> list[DeadLetter]:
        """See `Letters`. Partition by partition."""
        with self._reader() as consumer:
            return [letter_of(message) for message in self._read(consumer, limit)]

    def replay(self, limit: int = LETTERS_MAX) -> Replayed:
        """See `Letters`."""
        with self._reader() as consumer:
            messages = self._read(consumer, limit)
            whole = [each for each in messages if CUT not in dict(headers_of(each))]
            self._put_back([letter_of(each) for each in whole])
            ends = {each.partition(): (each.offset() or 0) + 1 for each in messages}
            places = [
                TopicPartition(self._settings.dead_letters, p or 0, o) for p, o in ends.items()
            ]
            if places:
                consumer.commit(offsets=places, asynchronous=False)
        return Replayed(len(whole), len(messages) - len(whole))

    @contextmanager
    def _reader(self) -> Iterator[Consumer]:
        settings = {
            **self._settings.consumer(lambda _error: None),
            "group.id": self._settings.group + "-dlq",
            "auto.offset.reset": "earliest",  # retention may have overtaken where we were
        }
        consumer = Consumer(settings)
        try:
            yield consumer
        except KafkaException as error:
            raise LogDownError("delivery", str(error.args[0])) from error
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, limit: int) -> list[Message]:
        """What lies between where replay has come to and the end, `limit` at most."""
        topic = self._settings.dead_letters
        numbers = consumer.list_topics(topic, timeout=READ_SECONDS_MAX).topics[topic].partitions
        asked = [TopicPartition(topic, number) for number in numbers]
        found: list[Message] = []
        for each in consumer.committed(asked, timeout=READ_SECONDS_MAX):
            each.offset = max(each.offset, OFFSET_BEGINNING)  # nothing committed is less than that
            consumer.assign([each])
            silent_since = time.monotonic()
            while len(found) < limit and time.monotonic() - silent_since < READ_SECONDS_MAX:
                # `consume` waits until it has as many as it was asked for, or for its whole time.
                messages = consumer.consume(min(500, limit - len(found)), 0.02)
                found += [message for message in messages if message.error() is None]
                if any(_is_end(message) for message in messages):
                    break
                silent_since = time.monotonic() if messages else silent_since
        return found

    def _put_back(self, letters: Sequence[DeadLetter]) -> None:
        producer = Producer(self._settings.producer())
        errors: list[KafkaError] = []

        def report(error: KafkaError | None, message: Message) -> None:
            refused = failure(error, message)
            if refused is not None:
                errors.append(refused)

        for letter in letters:
            origin = letter.origin
            producer.produce(
                origin.topic,
                value=letter.value,
                key=origin.key,
                headers=list(origin.headers),
                timestamp=max(origin.at_ms, 0),
                on_delivery=report,
            )
            producer.poll(0)
        if producer.flush(READ_SECONDS_MAX) or errors:
            why = str(errors[0]) if errors else "no answer in time"
            raise LogDownError("delivery", f"not all letters are back: {why}")


class RedisLetters:
    """Those of the embedded log, in a stream a shard."""

    def __init__(self, connection: Connection, partitions: int) -> None:
        self._connection = connection
        self._partitions = partitions

    def waiting(self, limit: int = LETTERS_MAX) -> list[DeadLetter]:
        """See `Letters`. Shard by shard."""
        return [
            letter for number in range(self._partitions) for _, letter in self._of(number, limit)
        ][:limit]

    def replay(self, limit: int = LETTERS_MAX) -> Replayed:
        """See `Letters`. A letter goes back to the end of its shard's log; its time becomes now."""
        put_back = 0
        for number in range(self._partitions):
            keys = Keys.of(number)
            for entry_id, letter in self._of(number, limit - put_back):
                replies = self._connection.ask(
                    [
                        ("XADD", keys.log, "*", VALUE, letter.value or b""),
                        ("SET", keys.dead_letters + b":" + REPLAYED, entry_id),
                    ]
                )
                for reply in replies:
                    checked(reply)
                put_back += 1
        return Replayed(put_back, 0)

    def _of(self, number: int, limit: int) -> list[tuple[str, DeadLetter]]:
        if limit <= 0:
            return []
        key = Keys.of(number).dead_letters + b":" + REPLAYED
        after = text_of(self._connection.call("GET", key)) or b"0-0"
        return read(self._connection, number, after.decode(), limit)


def letter_of(message: Message) -> DeadLetter:
    """A dead letter as it was written; one of another writer's is told as well as can be."""
    headers = headers_of(message)
    named = {name: value.decode(errors="replace") for name, value in headers if is_ours(name)}
    kafka = {name.removeprefix(KAFKA_PREFIX): value for name, value in named.items()}
    ours = {name.removeprefix(OWN_PREFIX): value for name, value in named.items()}
    origin = Origin(
        topic=kafka.get("topic", ""),
        partition=int(kafka.get("partition", "0")),
        position=kafka.get("offset", ""),
        key=message.key(),
        headers=tuple((name, value) for name, value in headers if not is_ours(name)),
        at_ms=message.timestamp()[1],
    )
    at_byte = ours.get("at-byte")
    return DeadLetter(
        origin,
        message.value(),
        ours.get("reason", "unknown"),
        ours.get("field", ""),
        kafka.get("message", ""),
        None if at_byte is None else int(at_byte),
    )


def _is_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001  librdkafka's name for it
