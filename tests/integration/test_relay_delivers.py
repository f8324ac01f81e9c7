"""The relay with a real Redis and a real receiver: from the commit to the webhook."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from statistics import quantiles
from time import perf_counter_ns

import pytest
from aiohttp import web
from rich.console import Console
from standardwebhooks.webhooks import Webhook

from rules.action import Action
from sinks.retry import Policy
from streams import outbox
from streams.clock import SystemClock
from streams.endpoints import Outside, open_destinations
from streams.fence import Fence
from streams.keys import Keys
from streams.receipts_redis import RedisReceipts, waiting_key
from streams.relay import Relay
from streams.settings import Endpoint
from tests.actions import action
from tests.integration.redis_server import RedisServer
from tests.receiver import Receiver, answer, close_in_body, reset, running_receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NONCE = "ours"
SECONDS_MAX = 20
SOON = Policy((0, *(20 + n for n in range(9))))  # milliseconds instead of days


def commit(server: RedisServer, sequence: int, actions: Sequence[Action]) -> None:
    """What a shard's commit does, as far as the relay is concerned."""
    fence = Fence(1, NONCE, 0, {}, outbox=sequence)
    with server.client() as client:
        entry = outbox.encode(actions)
        client.mset({Keys.of(0).fence: fence.encode(), Keys.of(0).outbox(sequence): entry})


@asynccontextmanager
async def running_relay(server: RedisServer, receiver: Receiver) -> AsyncIterator[Relay]:
    receipts = RedisReceipts(server.url)
    endpoints = {"crm": Endpoint("crm", receiver.url, SECRET)}
    clock = SystemClock()
    outside = Outside(clock.now_ms, Console(file=io.StringIO()), policy=SOON)
    async with open_destinations(endpoints, outside) as destination:
        relay = Relay(receipts, destination, clock, lambda _: None)
        running = asyncio.create_task(relay.run())
        try:
            yield relay
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await relay.close(grace_ms=1_000)
            await receipts.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as found:
        yield found


async def until(is_done: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while not is_done():  # noqa: ASYNC110  what Redis holds sets no event
            await asyncio.sleep(0.002)


async def until_settled(server: RedisServer, sequence: int) -> None:
    """Wait until the cursor has come to the sequence and nothing waits for another attempt."""
    with server.client() as client:
        await until(lambda: client.get(Keys.of(0).relay) == b"%d" % sequence)
        await until(lambda: client.hlen(waiting_key(0)) == 0)


async def test_committed_actions_arrive_signed_and_leave_the_outbox(
    redis_server: RedisServer, receiver: Receiver
) -> None:
    """Those before the claim from the outbox, those after it by the offer."""
    commit(redis_server, 1, [action(1), action(2)])
    async with running_relay(redis_server, receiver) as relay:
        relay.claimed(0, NONCE, 1)
        await until_settled(redis_server, 1)
        commit(redis_server, 2, [action(3)])
        relay.offer(0, 2, [action(3)])
        await until_settled(redis_server, 2)

    assert {each.headers["webhook-id"] for each in receiver.received} == {
        action(number).id for number in (1, 2, 3)
    }
    for each in receiver.received:
        Webhook(SECRET).verify(each.body, each.headers)
    with redis_server.client() as client:
        assert not client.keys("*outbox*")
        assert client.hlen(Keys.of(0).actions) == 3
        assert b'"status":"delivered"' in (client.hget(Keys.of(0).actions, action(3).id) or b"")


@pytest.mark.slow
async def test_a_relay_that_dies_again_and_again_delivers_everything_with_equal_repeats(
    redis_server: RedisServer, receiver: Receiver
) -> None:
    """A receiver that fails in every way, and a relay that is cut off in the middle, six times."""
    per_entry, entries = 20, 30
    failures = (answer(500), reset, close_in_body(200), answer(503))
    receiver.next = [each for bad in failures * 40 for each in (bad, answer(204), answer(200))]
    for sequence in range(1, entries + 1):
        numbers = range(per_entry * sequence, per_entry * (sequence + 1))
        commit(redis_server, sequence, [action(number) for number in numbers])
    for round_number in range(6):
        async with running_relay(redis_server, receiver) as relay:
            relay.claimed(0, NONCE, entries)
            enough = 80 * (round_number + 1)
            await until(lambda: len(receiver.received) >= enough)  # noqa: B023  awaited here
            relay.shards.clear()  # nothing more is recorded: as good as kill -9
    async with running_relay(redis_server, receiver) as relay:
        relay.claimed(0, NONCE, entries)
        await until_settled(redis_server, entries)

    bodies: dict[str, set[bytes]] = {}
    for each in receiver.received:
        bodies.setdefault(each.headers["webhook-id"], set()).add(each.body)
    wanted = {action(n).id for n in range(per_entry, per_entry * (entries + 1))}
    assert set(bodies) == wanted
    assert all(len(each) == 1 for each in bodies.values())


@pytest.mark.slow
async def test_an_offer_reaches_the_receiver_within_milliseconds(
    redis_server: RedisServer, receiver: Receiver
) -> None:
    """Generous, because other tests may share the cores; a benchmark measures it closely."""
    began: dict[str, int] = {}
    took_ms: list[float] = []

    async def note(request: web.Request) -> web.StreamResponse:
        took_ms.append((perf_counter_ns() - began[request.headers["webhook-id"]]) / 1e6)
        return web.Response(status=204)

    receiver.otherwise = note
    async with running_relay(redis_server, receiver) as relay:
        relay.claimed(0, NONCE, 0)
        for sequence in range(1, 501):
            one = action(sequence)
            commit(redis_server, sequence, [one])
            began[one.id] = perf_counter_ns()
            relay.offer(0, sequence, [one])
            await asyncio.sleep(0.002)

    cuts = quantiles(took_ms, n=100)
    assert len(took_ms) == 500
    assert cuts[49] <= 5
