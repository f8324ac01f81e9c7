"""What a producer's report says of a record: that it is in the log, or that it is not known to be.

Promise   A record counts as written only where the broker has said at which offset.
How       A producer has several requests under way. Where a partition was just made, a broker before
          Kafka 4.5 may refuse the first of them, for it does not lead the partition yet, and accept the
          second; from then on the first is old to it, and is dropped (KAFKA-15591, also KAFKA-14312 and
          KAFKA-19880). librdkafka reports it as delivered, without an offset. One request at a time would
          avoid it, and each record would wait for the answer to those before it.
Not here  Sending again: each producer has somebody who does.
"""

from confluent_kafka import KafkaError, Message

UNPLACED = "the broker has not said where the record is, so it may be lost; it is to be sent again"


def failure(error: KafkaError | None, message: Message) -> KafkaError | None:
    """Why the record is not known to be written; None: it is."""
    if error is None and message.offset() is None:
        return KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, UNPLACED)
    return error
