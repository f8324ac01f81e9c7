"""The bad receiver is as bad as it says: what a client sees of each of its ways."""

import socket
import time

import pytest

from tests.faults.bad_receiver import Answer, Request, Way, bad_receiver

SECONDS_MAX = 5.0

pytestmark = pytest.mark.slow

POST = b"POST /crm HTTP/1.1\r\nHost: here\r\nWebhook-Id: 7\r\nContent-Length: 4\r\n\r\nbody"


def seen(answer: Answer, sent: bytes = POST) -> tuple[bytes, str, list[Request]]:
    """What comes back within a moment, how it ends, and what the receiver was asked."""
    requests: list[Request] = []

    def noted(request: Request) -> Answer:
        requests.append(request)
        return answer

    with bad_receiver(noted) as receiver:
        client = socket.create_connection(("127.0.0.1", receiver.port), SECONDS_MAX)
        client.settimeout(0.5)
        with client:
            client.sendall(sent)
            came, end = b"", "hangs"
            try:
                while part := client.recv(1_000):
                    came += part
                end = "closed"
            except ConnectionResetError:
                end = "reset"
            except TimeoutError:
                pass
    return came, end, requests


@pytest.mark.parametrize(
    ("way", "end"), [("hang", "hangs"), ("reset", "reset"), ("cut", "closed"), ("whole", "hangs")]
)
def test_each_way_is_seen_from_outside(way: Way, end: str) -> None:
    """A fault that is none would show nothing."""
    came, ended, requests = seen(Answer(way))

    assert ended == end
    assert came.startswith(b"HTTP/1.1 2") == (way in {"cut", "whole"})
    assert (b"Content-Length: 1000" in came) == (way == "cut")
    assert [(one.path, one.headers["webhook-id"], one.body) for one in requests] == [
        ("/crm", "7", b"body")
    ]
    assert requests[0].ended_s is not None


def test_requests_that_come_together_are_answered_one_by_one() -> None:
    """And each has its status and its headers."""
    came, _, requests = seen(Answer(status=503, headers="Retry-After: 1\r\n"), POST + POST)

    assert came.count(b"HTTP/1.1 503") == came.count(b"Retry-After: 1\r\n") == 2
    assert len(requests) == 2


def test_an_answer_can_take_its_time() -> None:
    """As a receiver does that works for it."""
    began = time.monotonic()
    came, _, requests = seen(Answer(after_s=0.2))

    assert came.startswith(b"HTTP/1.1 204")
    assert requests[0].ended_s is not None
    assert requests[0].ended_s - requests[0].came_s >= 0.2
    assert time.monotonic() - began < SECONDS_MAX
