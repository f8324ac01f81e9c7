"""Posters: clients that send events over HTTP until each event was answered with 200.

Promise   `acked` counts the events whose request was answered with 200 and that were accepted. A request
          without that answer is sent again as it is, until it has one.
How       Each customer belongs to one thread, so that its events arrive in order. A request holds
          fewer events of a customer than ids are remembered.
Not here  Killing what answers (experiments/gateway_kill.py).
"""

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.integration.shop import Told

THREADS: Final = 4
EVENTS_MAX: Final = 120  # of a request
TIMEOUT_SECONDS: Final = 20.0  # longer than a gateway waits for its log
AGAIN_SECONDS: Final = 0.05
GIVE_UP_SECONDS: Final = 120.0
OK: Final = 200


@dataclass
class Posters:
    """The clients of one gateway."""

    port: int
    seed: int
    acked: int = 0
    sent_again: int = 0
    """Events of requests that were sent and not answered, or not with 200."""
    answered_at: float = 0.0
    """The last 200, by the monotonic clock."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)
    doing: list["Future[None]"] = field(default_factory=list)

    def is_done(self) -> bool:
        """Whether all events are acknowledged. Raises what has ended a client."""
        for each in self.doing:
            if each.done():
                each.result()
        return all(each.done() for each in self.doing)

    def has_acked(self, count: int) -> bool:
        return self.is_done() or self.acked >= count

    def has_answered_since(self, moment: float) -> bool:
        return self.is_done() or self.answered_at > moment

    def post(self, number: int, events: Sequence[Told]) -> None:
        """Send all of these, in order."""
        chance = random.Random(self.seed * THREADS + number)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        first = 0
        while first < len(events) and not self.ended.is_set():
            batch = events[first : first + chance.randrange(1, EVENTS_MAX)]
            self._until_acked(connection, b"\n".join(each.value for each in batch), len(batch))
            first += len(batch)
        connection.close()

    def _until_acked(self, connection: http.client.HTTPConnection, body: bytes, count: int) -> None:
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while not self.ended.is_set():
            assert time.monotonic() < deadline, "no answer for two minutes"
            try:
                connection.request("POST", "/v1/events", body)
                answer = connection.getresponse()
                said = answer.read()
            except ConnectionRefusedError:  # nobody is there, and nothing was sent
                connection.close()
                self.ended.wait(AGAIN_SECONDS)
                continue
            except (OSError, http.client.HTTPException):
                connection.close()
            else:
                if answer.status == OK:
                    assert json.loads(said)["accepted"] == count, said
                    with self._lock:
                        self.acked += count
                        self.answered_at = time.monotonic()
                    return
            with self._lock:
                self.sent_again += count
            self.ended.wait(AGAIN_SECONDS)


@contextmanager
def posting(port: int, seed: int, events: Sequence[Told]) -> Iterator[Posters]:
    """Clients at work; the block's end ends them."""
    posters = Posters(port, seed)
    shares: list[list[Told]] = [[] for _ in range(THREADS)]
    for each in events:
        shares[int(each.customer[1:]) % THREADS].append(each)
    with ThreadPoolExecutor(THREADS, "poster") as pool:
        posters.doing += [pool.submit(posters.post, *each) for each in enumerate(shares)]
        try:
            yield posters
        finally:
            posters.ended.set()
