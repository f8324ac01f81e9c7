"""Requests and replies of one connection to Redis, and which of the replies are to be lost.

Promise   A reply is told to be lost when all of it has come: Redis has carried its request out.
How       Redis answers in the order in which it was asked. One request, one reply.
"""

from collections import deque
from collections.abc import Callable

import hiredis


class Exchanges:
    """What passes in both directions."""

    def __init__(self) -> None:
        self._requests, self._replies = hiredis.Reader(), hiredis.Reader()
        self._asked: deque[bool] = deque()  # of each request without a reply: whether it is lost
        self._losing = 0

    def ask(self, data: bytes, is_lost: Callable[[bytes], bool]) -> None:
        self._requests.feed(data)
        while (request := self._requests.gets()) is not False:
            lost = is_lost(request[0].upper())
            self._asked.append(lost)
            self._losing += lost

    def answer(self, data: bytes) -> bool:
        """Whether the reply to a request that is lost is now complete."""
        self._replies.feed(data)
        while self._replies.gets() is not False:
            if self._asked.popleft():
                return True
        return False

    @property
    def is_losing(self) -> bool:
        return self._losing > 0
