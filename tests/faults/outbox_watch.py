"""When each entry of an outbox was written, as Redis tells whoever asks to be told of keys.

Promise   `seen_ms` has each entry that was written while the block lasts, with a time that is never before
          its commit.
How       Key space notifications, taken by a thread. They change nothing of what Redis writes to its file.
Limits    A server with the settings TELL. Relays may have deleted the entry long since.
Not here  What is in the entries (fences.py).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.faults.beside import beside
from tests.faults.timer_load import wall_ms
from tests.integration.redis_server import RedisServer

TELL: Final = {"notify-keyspace-events": "K$"}
CHANNEL: Final = re.compile(rb"__keyspace@0__:rapport:\{(\d+)\}:outbox:(\d+)")
POLL_SECONDS: Final = 0.1
SUBSCRIBE_SECONDS_MAX: Final = 10.0

Seen = dict[tuple[int, int], int]
"""By shard and sequence, the time in milliseconds by the clock on the wall."""


@contextmanager
def watching_outboxes(server: RedisServer) -> Iterator[Seen]:
    """Raises what ended the watching, at the end of the block."""
    seen: Seen = {}
    with server.client() as client, client.pubsub() as told:

        def hear() -> None:
            each = told.get_message(timeout=POLL_SECONDS)
            if each is not None and each["type"] == "pmessage" and each["data"] == b"set":
                named = CHANNEL.fullmatch(each["channel"])
                assert named is not None, each
                seen.setdefault((int(named[1]), int(named[2])), wall_ms())

        told.psubscribe("__keyspace@0__:rapport:{*}:outbox:*")
        assert told.get_message(timeout=SUBSCRIBE_SECONDS_MAX) is not None, "Redis says nothing"
        with beside(hear, "outbox-watch"):
            yield seen
