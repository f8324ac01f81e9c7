"""Webhooks against a real HTTP server on loopback, which behaves as badly as servers do."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from standardwebhooks.webhooks import Webhook

from sinks.answer import RETRY_AFTER_MS_MAX
from sinks.post import ANSWER_BYTES_MAX, open_session
from sinks.signing import Signer
from sinks.sink import Delivered, Receipt, Rejected, RetryAfter
from sinks.webhook import WebhookSink
from streams.clock import SystemClock
from tests.actions import action
from tests.receiver import (
    Behaviour,
    Receiver,
    answer,
    close_in_body,
    hang,
    hang_in_body,
    reset,
    running_receiver,
    talk_for_ever,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW_MS = 1_714_564_800_000
SHORT_MS = 50  # for those that never answer


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as found:
        yield found


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(allow_private=True) as found:
        yield found


async def delivered(
    receiver: Receiver,
    session: aiohttp.ClientSession,
    *behaviours: Behaviour,
    timeout_ms: int = 10_000,
) -> Receipt:
    receiver.next += behaviours
    sink = WebhookSink(session, receiver.url, Signer([SECRET]), lambda: NOW_MS, timeout_ms)
    return await sink.deliver(action(), sink.body(action()))


async def test_a_receiver_with_a_library_of_its_own_accepts_it(
    receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    """The whole way: bytes and headers as they arrive, at the time that the receiver's clock shows."""
    sink = WebhookSink(session, receiver.url, Signer([SECRET]), SystemClock().now_ms)
    await sink.deliver(action(), sink.body(action()))

    (got,) = receiver.received
    content = Webhook(SECRET).verify(got.body, got.headers)
    assert content == json.loads(sink.body(action()))
    assert got.headers["webhook-id"] == action().id
    assert got.headers["Content-Type"] == "application/json"
    assert "Cookie" not in got.headers


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_delivered(
    receiver: Receiver, session: aiohttp.ClientSession, status: int
) -> None:
    """Receivers choose as they like."""
    assert await delivered(receiver, session, answer(status)) == Delivered(f"HTTP {status}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(
    receiver: Receiver, session: aiohttp.ClientSession, status: int
) -> None:
    """It would send signed customer data to wherever the answer says."""
    away = answer(status, {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"})
    receipt = await delivered(receiver, session, away)

    assert receipt == RetryAfter(f"HTTP {status}")
    assert [each.path for each in receiver.received] == ["/hook"]


@pytest.mark.parametrize(
    ("behaviour", "receipt"),
    [
        (answer(410), Rejected("HTTP 410", disables=True)),
        (answer(410, body=b"moved on"), Rejected("HTTP 410: moved on", disables=True)),
        (answer(500, {"webhook-delivery": "disable"}), Rejected("HTTP 500", disables=True)),
        (answer(200, {"Webhook-Delivery": "disable"}), Delivered("HTTP 200", disables=True)),
        (answer(429, {"Retry-After": "7"}), RetryAfter("HTTP 429", 7_000, slows=True)),
        (answer(503, {"retry-after": "soon"}), RetryAfter("HTTP 503", None, slows=True)),
        (answer(503, {"Retry-After": "9" * 99}), RetryAfter("HTTP 503", RETRY_AFTER_MS_MAX, True)),
        (answer(404), RetryAfter("HTTP 404")),
        (answer(500, body=b"oh\x1b[2J\nno" + b"!" * 9_999), RetryAfter),
    ],
)
async def test_what_the_receiver_answers_becomes_the_receipt(
    receiver: Receiver,
    session: aiohttp.ClientSession,
    behaviour: Behaviour,
    receipt: Receipt | type[Receipt],
) -> None:
    """Header names in any case; its words are kept short and without control characters."""
    got = await delivered(receiver, session, behaviour)

    if isinstance(receipt, type):
        assert isinstance(got, RetryAfter)
        assert got.reason.startswith("HTTP 500: oh [2J no!!!")
        assert len(got.reason) < 300
    else:
        assert got == receipt


@pytest.mark.parametrize("behaviour", [hang, hang_in_body], ids=["hang", "hang in body"])
async def test_a_receiver_that_hangs_costs_one_timeout(
    receiver: Receiver, session: aiohttp.ClientSession, behaviour: Behaviour
) -> None:
    """And it is asked again: it may not have taken the action."""
    receipt = await delivered(receiver, session, behaviour, timeout_ms=SHORT_MS)

    assert receipt == RetryAfter("no answer within 50 ms")


@pytest.mark.parametrize(
    "behaviour",
    [reset, close_in_body(200), close_in_body(500)],
    ids=["reset", "200 cut off", "500 cut off"],
)
async def test_a_connection_that_breaks_off_is_asked_again(
    receiver: Receiver, session: aiohttp.ClientSession, behaviour: Behaviour
) -> None:
    """Also after a 200: the answer is not whole, and a repeat does no harm."""
    receipt = await delivered(receiver, session, behaviour)

    assert isinstance(receipt, RetryAfter)
    assert len(receiver.received) == 1
    assert isinstance(await delivered(receiver, session), Delivered)


async def test_an_answer_without_end_is_read_to_a_bound(
    receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    """It must neither fill the memory nor hold up the lane; the 200 stands."""
    receipt = await delivered(receiver, session, talk_for_ever)

    assert isinstance(receipt, Delivered)


async def test_short_answers_keep_the_connection_and_long_ones_do_not(
    receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    """A warm connection is most of the latency."""
    for _ in range(5):
        await delivered(receiver, session, answer(200, body=b"x" * 100))
    assert len(receiver.connections) == 1

    await delivered(receiver, session, answer(200, body=b"x" * (16 * ANSWER_BYTES_MAX)))
    await delivered(receiver, session)
    assert len(receiver.connections) == 2


async def test_nobody_listening_is_a_receipt(session: aiohttp.ClientSession) -> None:
    """The commonest failure of all."""
    async with running_receiver() as gone:
        url = gone.url
    sink = WebhookSink(session, url, Signer([]), lambda: NOW_MS)
    receipt = await sink.deliver(action(), b"{}")

    assert isinstance(receipt, RetryAfter)
    assert receipt.reason.startswith("no connection")


async def test_a_compressed_bomb_is_not_unpacked(
    receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    """16 KB of gzip can be 16 MB of zeros; garbage that claims to be gzip is no error either."""
    lying = answer(500, {"Content-Encoding": "gzip"}, b"not gzip")
    receipt = await delivered(receiver, session, lying)

    assert receipt == RetryAfter("HTTP 500: not gzip")


FORBIDDEN_HOSTS = [
    "127.0.0.1",
    "127.0.0.2",
    "localhost",
    "LOCALHOST",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "0.0.0.0",  # noqa: S104  nothing is bound to it
    "[::]",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.1",
    "①②⑦.⓪.⓪.①",
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "2852039166",
    "10.0.0.1",
    "192.168.0.1",
    "172.16.0.1",
    "[fd00:ec2::254]",
    "[fe80::1]",
]


@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
async def test_a_forbidden_address_is_not_connected_to_however_it_is_written(
    receiver: Receiver, host: str
) -> None:
    """The receiver listens on loopback, so a guard with a hole would let it hear something."""
    async with open_session(allow_private=False) as strict:
        url = f"http://{host}:{receiver.port}/hook"
        receipt = await WebhookSink(strict, url, Signer([]), lambda: NOW_MS).deliver(
            action(), b"{}"
        )

    assert not isinstance(receipt, Delivered)
    assert "not allowed" in receipt.reason or "cannot be used" in receipt.reason
    assert receiver.received == []


async def test_what_is_allowed_gets_through(receiver: Receiver) -> None:
    """The same session with the setting: the tests above do not fail for another reason."""
    async with open_session(allow_private=True) as private:
        for host in ("127.0.0.1", "0x7f000001"):
            url = f"http://{host}:{receiver.port}/hook"
            sink = WebhookSink(private, url, Signer([]), lambda: NOW_MS)
            assert isinstance(await sink.deliver(action(), b"{}"), Delivered)

    assert len(receiver.received) == 2


async def test_metadata_is_not_even_allowed_where_private_is() -> None:
    """No receiver of webhooks lives there."""
    async with open_session(allow_private=True) as private:
        sink = WebhookSink(private, "http://169.254.169.254/x", Signer([]), lambda: NOW_MS)
        receipt = await sink.deliver(action(), b"{}")

    assert isinstance(receipt, RetryAfter)
    assert "metadata" in receipt.reason
