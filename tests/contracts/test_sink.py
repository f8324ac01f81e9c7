"""What every sink promises, held against each of them with a far side that is real or in memory."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
from rich.console import Console

from sinks.alertmanager import AlertmanagerSink
from sinks.console import ConsoleSink
from sinks.errors import ProduceError
from sinks.memory import MemorySink
from sinks.nowhere import NowhereSink
from sinks.post import open_session
from sinks.signing import Signer
from sinks.sink import Delivered, Rejected, RetryAfter, Sink
from sinks.slack import SlackSink
from sinks.topic import Header, TopicSink
from sinks.webhook import WebhookSink
from tests.actions import action
from tests.receiver import Receiver, answer, hang, running_receiver

NOW_MS = 1_714_564_800_000


@dataclass
class FarSide:
    """A sink with the means to look at and to break what is behind it."""

    sink: Sink
    bodies: Callable[[], list[bytes]]
    fail: Callable[[], None]
    hang: Callable[[], asyncio.Event] | None = None
    """Makes the far side keep us waiting, where it can; the event is set once it does."""


def hanging(receiver: Receiver) -> asyncio.Event:
    receiver.next.append(hang)
    receiver.arrived.clear()
    return receiver.arrived


@asynccontextmanager
async def webhook() -> AsyncIterator[FarSide]:
    async with running_receiver() as receiver, open_session(allow_private=True) as session:
        sink = WebhookSink(session, receiver.url, Signer([]), lambda: NOW_MS)
        yield FarSide(
            sink,
            lambda: [each.body for each in receiver.received],
            lambda: receiver.next.append(answer(500)),
            lambda: hanging(receiver),
        )


@asynccontextmanager
async def alertmanager() -> AsyncIterator[FarSide]:
    async with running_receiver() as receiver, open_session(allow_private=True) as session:
        sink = AlertmanagerSink(session, f"http://127.0.0.1:{receiver.port}/", lambda: NOW_MS)
        yield FarSide(
            sink,
            lambda: [each.body for each in receiver.received if each.path == "/api/v2/alerts"],
            lambda: receiver.next.append(answer(500)),
            lambda: hanging(receiver),
        )


@asynccontextmanager
async def slack() -> AsyncIterator[FarSide]:
    async with running_receiver() as receiver, open_session(allow_private=True) as session:
        sink = SlackSink(session, receiver.url, lambda: NOW_MS)
        receiver.otherwise = answer(200, body=b"ok")
        yield FarSide(
            sink,
            lambda: [each.body for each in receiver.received],
            lambda: receiver.next.append(answer(500, body=b"rollup_error")),
            lambda: hanging(receiver),
        )


class ListProducer:
    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.errors: list[ProduceError] = []

    async def produce(self, topic: str, key: bytes, value: bytes, headers: Sequence[Header]) -> str:
        assert key
        assert dict(headers)["rapport-action-id"].startswith(b"act_")
        if self.errors:
            raise self.errors.pop()
        self.values.append(value)
        return f"{topic}/0/{len(self.values) - 1}"


@asynccontextmanager
async def topic() -> AsyncIterator[FarSide]:
    producer = ListProducer()
    yield FarSide(
        TopicSink(producer, "actions"),
        lambda: producer.values,
        lambda: producer.errors.append(ProduceError("no broker", is_final=False)),
    )


class BreakableFile(io.StringIO):
    is_broken = False

    def write(self, words: str, /) -> int:
        if self.is_broken:
            self.is_broken = False
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(words)


@asynccontextmanager
async def console() -> AsyncIterator[FarSide]:
    file = BreakableFile()
    yield FarSide(
        ConsoleSink(Console(file=file)),
        lambda: [line.encode() for line in file.getvalue().split("\n")[:-1]],
        lambda: setattr(file, "is_broken", True),
    )


@asynccontextmanager
async def memory() -> AsyncIterator[FarSide]:
    receipts: list[RetryAfter] = []
    sink = MemorySink(iter(lambda: receipts.pop() if receipts else Delivered(), None))
    yield FarSide(
        sink,
        lambda: [each.body for each in sink.delivered],
        lambda: receipts.append(RetryAfter("told to")),
    )


SINKS = [webhook, alertmanager, slack, topic, console, memory]


@pytest.fixture(params=SINKS, ids=lambda make: make.__name__)
async def far_side(
    request: pytest.FixtureRequest,
) -> AsyncIterator[FarSide]:
    make: Callable[[], AbstractAsyncContextManager[FarSide]] = request.param
    async with make() as side:
        yield side


async def test_the_far_side_gets_the_bytes_that_were_handed_in(far_side: FarSide) -> None:
    """Signatures and repeats depend on no byte being changed on the way."""
    body = far_side.sink.body(action())
    receipt = await far_side.sink.deliver(action(), body)

    assert isinstance(receipt, Delivered)
    assert far_side.bodies() == [body]


async def test_a_repeat_is_the_same_bytes(far_side: FarSide) -> None:
    """Made anew from an equal action, as after a restart."""
    for _ in range(2):
        await far_side.sink.deliver(action(3), far_side.sink.body(action(3)))

    first, second = far_side.bodies()
    assert first == second


async def test_the_body_names_the_action_and_the_customer(far_side: FarSide) -> None:
    """Whoever reads it can find the action again and knows whom it is about."""
    body = far_side.sink.body(action(5))

    assert isinstance(json.loads(body), dict | list)
    assert action(5).id.encode() in body
    assert b"c-5" in body


async def test_a_failure_of_the_far_side_is_a_receipt_and_the_next_attempt_can_succeed(
    far_side: FarSide,
) -> None:
    """An exception would take other deliveries along."""
    body = far_side.sink.body(action())
    far_side.fail()
    receipt = await far_side.sink.deliver(action(), body)

    assert isinstance(receipt, RetryAfter)
    assert receipt.reason
    assert isinstance(await far_side.sink.deliver(action(), body), Delivered)


async def test_cancellation_goes_through(far_side: FarSide) -> None:
    """A sink that swallows it would hold up the end of the process."""
    if far_side.hang is None:
        return  # this far side answers at once
    hangs = far_side.hang()
    task = asyncio.create_task(far_side.sink.deliver(action(), far_side.sink.body(action())))
    await hangs.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_texts_that_want_to_break_out_stay_inside(far_side: FarSide) -> None:
    """Reasons carry what customers typed."""
    nasty = action(reason='"}\r\n[bold]\x1b[2J\u2028\ud7ff', data={"a\n": "\x00"})
    receipt = await far_side.sink.deliver(nasty, far_side.sink.body(nasty))

    assert isinstance(receipt, Delivered)
    assert len(far_side.bodies()) == 1


def test_the_suite_holds_every_sink_that_delivers() -> None:
    """A sink that nobody holds to the promise breaks it sooner or later."""
    assert len(SINKS) == 6


async def test_nowhere_rejects_with_the_reason() -> None:
    """The one sink that cannot keep the promise of the others says so."""
    sink = NowhereSink("there is no endpoint crm")

    receipt = await sink.deliver(action(), sink.body(action()))
    assert receipt == Rejected("there is no endpoint crm")
