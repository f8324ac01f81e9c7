"""Records that lie in a shard to which their customer does not belong."""

from processors.batch import Origin, Records
from processors.partition import partition_of
from streams.claimer import Claimer
from streams.keys import Keys
from streams.partitions import settle
from streams.store import Connection, StoreAddress
from tests.integration.embedded import Recorder, engine_of, now_ms, order
from tests.integration.redis_server import RedisServer

CUSTOMERS = ("ann", "eve", "zoe", "ann")


def batch(first: int) -> Records:
    """An order of each customer, in shard 0."""
    at_ms = now_ms()
    values: list[bytes | None] = [
        order(first + place, customer, at_ms)[1] for place, customer in enumerate(CUSTOMERS)
    ]
    return Records(
        values,
        [at_ms] * len(values),
        lambda index: Origin("orders", 0, str(index), None, (), at_ms),
    )


def test_they_are_put_aside(redis_server: RedisServer) -> None:
    """Librdkafka's own partitioner is another, and keys get forgotten: second profiles would begin."""
    assert [partition_of(each, 4) for each in CUSTOMERS] == [2, 0, 1, 2]
    recorder, store, engine = Recorder(), StoreAddress.parse(redis_server.url), engine_of()
    connection = Connection(store)
    settle(connection, 4)
    shard = Claimer(store, lambda: engine, recorder.ports(), now_ms)(0, 0)
    for first in (0, 10):
        work = shard.step(batch(first), {"orders": str(first)})
        work()
        assert work.outcome.changed_ids == ["eve"]
    shard.close()
    keys = Keys.of(0)
    found = connection.call("EXISTS", keys.row_ + b"ann", keys.row_ + b"zoe", keys.row_ + b"eve")
    connection.close()

    assert found == 1
    assert [letter.reason for letter in recorder.letters] == ["wrong_partition"] * 6
    assert "belongs to partition 2, and the record came in 0" in recorder.letters[0].detail
