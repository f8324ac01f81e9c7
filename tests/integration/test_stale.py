"""Stale actions from the shard into Redis."""

from processors.batch import Origin, Records
from streams.claimer import Claimer
from streams.store import StoreAddress
from tests.integration.embedded import FIRST_ORDER, Recorder, engine_of, now_ms, order
from tests.integration.redis_server import RedisServer


def test_a_cause_that_was_no_news_when_it_arrived_is_stored_as_stale(
    redis_server: RedisServer,
) -> None:
    """Whoever delivers, also after a restart, finds it so in the outbox; the rule has fired."""
    recorder, day_ms = Recorder(), 86_400_000
    arrived_ms = now_ms() - 7 * day_ms  # the log has waited for us; only its own times count
    times_ms = [arrived_ms - 2 * day_ms, arrived_ms]
    values: list[bytes | None] = [
        order(number, name, at_ms)[1]
        for number, (name, at_ms) in enumerate(zip(("ann", "bob"), times_ms, strict=True))
    ]
    records = Records(
        values, [arrived_ms] * 2, lambda index: Origin("log", 0, str(index), None, (), arrived_ms)
    )
    store = StoreAddress.parse(redis_server.url)
    engine = engine_of(FIRST_ORDER)
    shard = Claimer(store, lambda: engine, recorder.ports(), now_ms, day_ms)(0, 0)
    try:
        shard.commit(shard.step(records, {"log": "2"}))
        ((_, actions),) = shard.pending()
    finally:
        shard.close()

    assert {each.customer_id: each.is_stale for each in actions} == {"ann": True, "bob": False}
