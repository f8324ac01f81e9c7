"""Polling: the least latency, and a clock that runs only while there is nothing to be had."""

from dataclasses import dataclass, field

from confluent_kafka import Message

from streams.polling import POLL_RECORDS_MAX, SECONDS_BRIEF, SECONDS_IDLE, Polling


@dataclass
class Queue:
    """Gives what it has, and notes how it was asked; time passes while it is asked."""

    waiting: int = 0
    now_ms: int = 0
    asked: list[tuple[int, float]] = field(default_factory=list)

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
        self.asked.append((num_messages, timeout))
        given = min(self.waiting, num_messages)
        self.waiting -= given
        self.now_ms += 10
        return [Message(topic="t", partition=0, offset=0)] * given


def test_one_message_is_waited_for_and_the_rest_only_taken() -> None:
    """Asked for many, librdkafka waits until it has many: that would be the latency."""
    queue = Queue(waiting=3)
    polling = Polling(queue, lambda: queue.now_ms)

    assert len(polling.messages(at_once=False, briefly=False)) == 3
    assert queue.asked == [(1, SECONDS_IDLE), (POLL_RECORDS_MAX - 1, 0)]
    assert polling.messages(at_once=False, briefly=True) == []
    assert queue.asked[2:] == [(1, SECONDS_BRIEF)]
    assert polling.messages(at_once=True, briefly=True) == []
    assert queue.asked[3:] == [(POLL_RECORDS_MAX, 0)]


def test_the_quiet_clock_stands_while_there_is_more_to_be_had() -> None:
    """Else a backlog of one shard would use up the patience for a topic of another."""
    queue = Queue(waiting=3 * POLL_RECORDS_MAX)
    polling = Polling(queue, lambda: queue.now_ms)
    for _ in range(4):
        polling.messages(at_once=True, briefly=False)
    assert polling.quiet_ms == 0

    polling.messages(at_once=True, briefly=False)
    polling.messages(at_once=True, briefly=False)
    assert polling.quiet_ms == 20
