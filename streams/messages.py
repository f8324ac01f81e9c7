"""Messages: many of librdkafka's at once, field by field.

Promise   What a message says, for thousands at the price of a call of C each.
How       Methods are mapped over the list; runs of one partition are found by its numbers.
Limits    None of its own: as many as one poll brings.
Not here  Polling (polling.py). What becomes of them (feed.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from confluent_kafka import KafkaError, Message

from processors.batch import Origin, Records


def runs(
    messages: list[Message],
) -> Iterator[tuple[int | None, str | None, KafkaError | None, list[Message]]]:
    """Messages of one partition that follow each other: partition, topic, error, and they."""
    if not messages:
        return
    topics = list(map(Message.topic, messages))
    has_errors = any(map(Message.error, messages))
    start = 0
    for number, same in groupby(map(Message.partition, messages)):
        end = start + sum(1 for _ in same)
        topic, its_own = topics[start], topics[start:end]
        if not has_errors and its_own.count(topic) == len(its_own):
            yield number, topic, None, messages[start:end]
        else:
            for (name, _), run in groupby(messages[start:end], _topic_and_code):
                alike = list(run)
                yield number, name, alike[0].error(), alike
        start = end


def _topic_and_code(message: Message) -> tuple[str | None, int | None]:
    error = message.error()
    return message.topic(), None if error is None else error.code()  # errors compare to errors only


def times_of(messages: Sequence[Message]) -> list[int]:
    """The record times, in ms."""
    return [at_ms for _, at_ms in map(Message.timestamp, messages)]


def offset_of(message: Message) -> int:
    """Where a message without error stands; the type says that it may be None, for others may."""
    offset = message.offset()
    assert offset is not None, "only messages without error come here"
    return offset


def records_of(messages: list[Message], times_ms: list[int]) -> Records:
    """The messages as the step reads them."""

    def origin(index: int) -> Origin:
        message = messages[index]
        return Origin(
            topic=message.topic() or "",
            partition=message.partition() or 0,
            position=str(message.offset()),
            key=message.key(),
            headers=headers_of(message),
            at_ms=message.timestamp()[1],
        )

    return Records(list(map(Message.value, messages)), times_ms, origin)


def headers_of(message: Message) -> tuple[tuple[str, bytes], ...]:
    """The headers in order; Kafka's null value becomes an empty one."""
    found = message.headers() or ()
    pairs = found.items() if isinstance(found, Mapping) else found
    return tuple(
        (name, value.encode() if isinstance(value, str) else value or b"") for name, value in pairs
    )
