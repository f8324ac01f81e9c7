"""What a feed is given by a real client: behind transactions, after holes, and after a pause."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streams.align import Now
from streams.feed import Beginning, Feed
from streams.holding import Holding
from streams.kafka_settings import KafkaSettings
from tests.integration.kafka_broker import ONE_AT_A_TIME, KafkaBroker

SECONDS_MAX = 20.0
NAIVE_SECONDS = 2.0  # what comes at all, comes within milliseconds


@pytest.fixture
def reading(kafka: KafkaBroker) -> Iterator[tuple[Consumer, KafkaSettings]]:
    settings = KafkaSettings((kafka.bootstrap,), group="feed")
    consumer = Consumer(settings.consumer(print))
    yield consumer, settings
    consumer.close()


def sent(settings: KafkaSettings, topic: str, *transactions: tuple[list[bytes], bool]) -> None:
    """Records, a transaction each time; False: it is given up."""
    producer = Producer({**settings.producer(), **ONE_AT_A_TIME, "transactional.id": topic})
    producer.init_transactions(SECONDS_MAX)
    for values, is_kept in transactions:
        producer.begin_transaction()
        for value in values:
            producer.produce(topic, value, partition=0)
        assert producer.flush(SECONDS_MAX) == 0
        (producer.commit_transaction if is_kept else producer.abort_transaction)(SECONDS_MAX)


def folded(holding: Holding, feed: Feed, consumer: Consumer, count: int) -> list[bytes | None]:
    """What is handed out, until it is so much."""
    found: list[bytes | None] = []
    deadline = time.monotonic() + SECONDS_MAX
    while len(found) < count and time.monotonic() < deadline:
        holding.sort_in(consumer.consume(100, 0.1), lambda _number, error: pytest.fail(str(error)))
        batch = feed.batch(consumer, 100, Now(0, 0))
        found += batch.records.values if batch is not None else []
    return found


def begun(consumer: Consumer, topic: str, position: int = 0) -> tuple[Holding, Feed]:
    feed = Feed(0, [Beginning(topic, position, position)])
    feed.begin(consumer)
    return Holding(consumer, feeds={0: feed}), feed


def test_behind_transactions_timers_wait_no_longer_than_a_fetch(
    kafka: KafkaBroker, reading: tuple[Consumer, KafkaSettings]
) -> None:
    """Their markers have offsets, and a transaction that was given up has many: nobody is given them."""
    consumer, settings = reading
    kafka.create_topics("feed-transactions", partitions=1)
    kept = [b"%d" % each for each in range(10)]
    given_up = [b"never"] * 20  # with its marker, more than any number of markers
    sent(
        settings, "feed-transactions", (kept[:4], True), (given_up, False), (kept[4:], True)
    )  # 30 records, 3 markers
    sent(settings, "feed-transactions", (given_up, False))
    holding, feed = begun(consumer, "feed-transactions")

    assert folded(holding, feed, consumer, 10) == kept
    began = time.monotonic()
    while feed.reached_ms(consumer, 1_000) < 1_000 and time.monotonic() - began < SECONDS_MAX:
        holding.sort_in(consumer.consume(100, 0.05), lambda _number, error: pytest.fail(str(error)))
    assert time.monotonic() - began < 2.0
    assert feed.lag(consumer, 0)["feed-transactions"].records == 0


def test_a_partition_that_was_paused_when_it_was_let_go_is_read_again(
    kafka: KafkaBroker, reading: tuple[Consumer, KafkaSettings]
) -> None:
    """A lane is full, the group has other plans, and then the shard comes back to this process."""
    consumer, settings = reading
    kafka.create_topics("feed-paused", partitions=1)
    values = [b"%d" % each for each in range(10)]
    sent(settings, "feed-paused", (values, True))
    holding, feed = begun(consumer, "feed-paused")
    assert folded(holding, feed, consumer, 10) == values

    consumer.pause(feed.partitions)
    holding.drop()
    consumer.incremental_assign([TopicPartition("feed-paused", 0, 5)])
    assert consumer.consume(1, NAIVE_SECONDS) == []  # the naive way: the client has kept the pause

    consumer.unassign()
    holding, feed = begun(consumer, "feed-paused", 5)
    assert folded(holding, feed, consumer, 5) == values[5:]
