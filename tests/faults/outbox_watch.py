"""When each entry of an outbox was written, as Redis tells whoever asks to be told of keys.

Promise   `seen_ms` has each entry that was written while the block lasts, with a time that is never before
          its commit.
How       Key space notifications, taken by a thread. They change nothing of what Redis writes to its file.
Limits    A server with the settings TELL. Relays may have deleted the entry long since.
Not here  What is in the entries (fences.py).
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.faults.timer_load import wall_ms
from tests.integration.redis_server import RedisServer

TELL: Final = {"notify-keyspace-events": "K$"}
CHANNEL: Final = re.compile(rb"__keyspace@0__:rapport:\{(\d+)\}:outbox:(\d+)")
POLL_SECONDS: Final = 0.1

Seen = dict[tuple[int, int], int]
"""By shard and sequence, the time in milliseconds by the clock on the wall."""


@contextmanager
def watching_outboxes(server: RedisServer) -> Iterator[Seen]:
    """Raises what ended the watching, at the end of the block."""
    seen: Seen = {}
    ended, begun = threading.Event(), threading.Event()
    failures: list[Exception] = []

    def watch() -> None:
        try:
            with server.client() as client, client.pubsub() as told:
                told.psubscribe("__keyspace@0__:rapport:{*}:outbox:*")
                while not ended.is_set():
                    each = told.get_message(timeout=POLL_SECONDS)
                    begun.set()
                    if each is not None and each["type"] == "pmessage" and each["data"] == b"set":
                        named = CHANNEL.fullmatch(each["channel"])
                        assert named is not None, each
                        seen.setdefault((int(named[1]), int(named[2])), wall_ms())
        except Exception as error:  # noqa: BLE001  raised again at the end of the block
            failures.append(error)
            begun.set()

    thread = threading.Thread(target=watch, name="outbox-watch")
    thread.start()
    begun.wait()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
    if failures:
        raise failures[0]
