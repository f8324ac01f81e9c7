"""Topics: an action as a record in Kafka.

Promise   Delivered means that the producer's acks say so. Records of one customer share a partition.
How       A producer port, because Kafka's producers are many and the embedded log has none; key is
          the customer id, headers carry the action's id and rule.
Limits    The producer bounds its own buffer and time; when it is full, the action is tried later.
Not here  The producer itself (streams/kafka_producer.py).
"""

from collections.abc import Sequence
from typing import Final, Protocol

from rules.action import Action
from sinks import payload
from sinks.errors import ProduceError
from sinks.sink import Delivered, Receipt, Rejected, RetryAfter

Header = tuple[str, bytes]
HEADER_ID: Final = "rapport-action-id"  # as webhook-id: what has been seen may be dropped
HEADER_RULE: Final = "rapport-rule"


class Producer(Protocol):
    async def produce(self, topic: str, key: bytes, value: bytes, headers: Sequence[Header]) -> str:
        """Write one record and return where it is once that is durable, as "topic/partition/offset".

        Raises:
            ProduceError: It is not known to be written.
        """


class TopicSink:
    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    def body(self, action: Action) -> bytes:
        return payload.body(action)

    async def deliver(self, action: Action, body: bytes) -> Receipt:
        headers = (
            (HEADER_ID, action.id.encode()),
            (HEADER_RULE, f"{action.rule}:{action.version}".encode()),
            ("content-type", b"application/json"),
        )
        try:
            place = await self._producer.produce(
                self._topic, action.customer_id.encode(), body, headers
            )
        except ProduceError as error:
            return Rejected(str(error)) if error.is_final else RetryAfter(str(error))
        return Delivered(place)
