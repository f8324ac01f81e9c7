"""The embedded log at rest: what Redis loses of a shard is folded again before the next event."""

from streams.keys import Keys
from tests.integration.embedded import Recorder, append, now_ms, order, running_log, wait_until
from tests.integration.redis_server import RedisServer


def test_what_redis_lost_of_a_shard_at_rest_is_folded_again(redis_server: RedisServer) -> None:
    """The event is in the log, its commit is gone, and nobody may send another one today."""
    recorder = Recorder()
    with running_log(redis_server.url, 1, recorder), redis_server.client() as client:
        append(redis_server.url, 1, [order(1, "c1", now_ms())])
        wait_until(lambda: recorder.records_count == 1, "the event is folded")
        client.delete(Keys.of(0).fence, Keys.of(0).born, Keys.of(0).row_ + b"c1")
        wait_until(lambda: recorder.records_count == 2, "it is folded again")

    assert [(number, found) for number, _, found in recorder.rollbacks] == [(0, None)]
