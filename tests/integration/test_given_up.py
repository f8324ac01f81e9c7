"""What was given up, in a real Redis: looked at and sent again from the command line."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sinks.retry import Policy
from sinks.sink import Rejected, RetryAfter
from streams.cli import main
from streams.delivery import Delivery, after, pending
from streams.endpoints import about_of
from streams.errors import DamagedError
from streams.fence import Fence
from streams.given_up import Chosen, GivenUp
from streams.keys import Keys
from streams.receipts import Changes, LaneState
from streams.receipts_redis import RedisReceipts, dead_key
from streams.settings import Endpoint
from streams.store import StoreAddress
from streams.store_async import AsyncConnection
from tests.actions import action
from tests.integration.redis_server import RedisServer

NONCE = "ours"
NOW_MS = 1_714_564_900_000
CRM = Endpoint("crm", "http://127.0.0.1:1/crm")
ERP = Endpoint("erp", "http://127.0.0.1:1/erp")
PARTITIONS = 2


def dead(number: int, name: str = "crm", *, disables: bool = False) -> Delivery:
    """An action that ended `number` seconds after another."""
    made = pending(action(number, name=name), NOW_MS)
    if disables:
        return after(made, Rejected("HTTP 410", disables=True), Policy(), NOW_MS + 1_000 * number)
    return after(made, RetryAfter("HTTP 500"), Policy((0,)), NOW_MS + 1_000 * number)


class World:
    """Two shards with dead ones in them."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.receipts = RedisReceipts(server.url)
        self.connection = AsyncConnection(StoreAddress.parse(server.url))
        self.given_up = GivenUp(self.connection, self.receipts, PARTITIONS)

    async def fill(self) -> None:
        with self.server.client() as client:
            client.set("rapport:partitions", PARTITIONS)
            for shard in range(PARTITIONS):
                client.set(Keys.of(shard).fence, Fence(NOW_MS, NONCE, 1, {}).encode())
        off = LaneState(about_of(ERP), NOW_MS, "the receiver wants no more: HTTP 410")
        first = [dead(1), dead(3, "erp", disables=True)]
        await self.receipts.write(0, NONCE, Changes(first, lanes={"webhook:erp": off}))
        lanes = {"webhook:erp": off, "webhook:crm": LaneState(about_of(CRM), NOW_MS)}
        await self.receipts.write(1, NONCE, Changes([moved(dead(2))], lanes=lanes))

    async def waiting(self) -> set[str]:
        found = [await self.receipts.due(n, "webhook:crm", 2**52, 10) for n in range(PARTITIONS)]
        found += [await self.receipts.due(n, "webhook:erp", 2**52, 10) for n in range(PARTITIONS)]
        return {each.id for due in found for each in due.deliveries}


def moved(one: Delivery) -> Delivery:
    """The same in shard 1."""
    fields = {name: getattr(one, name) for name in one.__struct_fields__}
    return Delivery(**{**fields, "shard": 1})


@pytest.fixture
async def world(redis_shared: RedisServer) -> AsyncIterator[World]:
    with redis_shared.client() as client:
        client.flushall()
    made = World(redis_shared)
    await made.fill()
    yield made
    await made.receipts.close()
    await made.connection.close()


def ids(*numbers: int) -> list[str]:
    return [action(number).id for number in numbers]


async def test_what_was_given_up_is_listed_the_last_first_and_by_choice(world: World) -> None:
    """Over all shards, as if there were none."""
    listed = world.given_up.actions

    assert [each.id for each in await listed(Chosen(), 10)] == ids(3, 2, 1)
    assert [each.id for each in await listed(Chosen(), 2)] == ids(3, 2)
    assert [each.id for each in await listed(Chosen(endpoint="crm"), 10)] == ids(2, 1)
    assert [each.id for each in await listed(Chosen(status="disabled"), 10)] == ids(3)
    assert [each.id for each in await listed(Chosen(frozenset(ids(1, 9))), 10)] == ids(1)


async def test_what_is_sent_again_waits_with_its_id_and_all_its_attempts(world: World) -> None:
    """And nothing else does; a second time there is nothing left to send."""
    found = await world.given_up.actions(Chosen(endpoint="crm"), 10)

    assert await world.given_up.resend(found, NOW_MS) == 2
    assert await world.given_up.resend(found, NOW_MS) == 0
    assert await world.waiting() == set(ids(1, 2))
    assert [each.id for each in await world.given_up.actions(Chosen(), 10)] == ids(3)


async def test_an_endpoint_is_enabled_in_every_shard(world: World) -> None:
    """A shard that is forgotten would disable it again for all at the next claim."""
    assert await world.given_up.enable("erp")
    assert not await world.given_up.enable("erp")
    states = [(await world.receipts.survey(n)).states["webhook:erp"] for n in range(PARTITIONS)]
    assert states == [LaneState(about_of(ERP))] * 2
    (crm, erp) = await world.given_up.endpoints()
    assert (crm.lane, crm.failing_since_ms, crm.disabled) == ("webhook:crm", NOW_MS, "")
    assert (erp.lane, erp.failing_since_ms, erp.disabled) == ("webhook:erp", None, "")


async def test_a_record_that_is_not_ours_is_told_with_its_key(world: World) -> None:
    """Where to look is all that anybody can be told."""
    with world.server.client() as client:
        client.hset(dead_key(0), action(1).id, b"{}")

    with pytest.raises(DamagedError, match="dead"):
        await world.given_up.actions(Chosen(), 10)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rapport.toml").write_text(
        f'[endpoints.crm]\nurl = "{CRM.url}"\n[endpoints.erp]\nurl = "{ERP.url}"\n'
        '[endpoints.fresh]\nurl = "http://127.0.0.1:1/"\n'
    )
    return tmp_path


async def called(world: World, *arguments: str) -> Result:
    """On another thread: a command has a loop of its own."""
    command = [*arguments, "--redis", world.server.url]
    result = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.usefixtures("folder")
async def test_the_command_line_shows_and_sends_just_that_again(world: World) -> None:
    """What stays, and why, is said; an endpoint that takes nothing is not sent anything."""
    listed = await called(world, "dlq", "actions", "--json")
    which = await called(world, "dlq", "resend")
    sent = await called(world, "dlq", "resend", "--all")

    assert [each["id"] for each in json.loads(listed.stdout)["actions"]] == ids(3, 2, 1)
    assert which.exit_code == 2
    assert sent.stdout == "2 actions will be sent again\n"
    assert "rapport endpoints enable erp" in sent.stderr
    assert await world.waiting() == set(ids(1, 2))
    told = await called(world, "endpoints", "enable", "erp")
    assert told.exit_code == 0
    again = await called(world, "dlq", "resend", *ids(3), "--json")
    assert json.loads(again.stdout) == {"sent": 1, "disabled": [], "left": 0}
    assert await world.waiting() == set(ids(1, 2, 3))
    assert "no action was given up" in (await called(world, "dlq", "actions")).stderr


@pytest.mark.usefixtures("folder")
async def test_the_command_line_lists_endpoints_as_they_are(world: World) -> None:
    """Those of the settings, also when nothing is known of them."""
    listed = json.loads((await called(world, "endpoints", "list", "--json")).stdout)["endpoints"]
    nothing = await called(world, "endpoints", "enable", "crm")

    states = {each["endpoint"]: each["state"] for each in listed}
    assert states == {"crm": "failing", "erp": "disabled", "fresh": "well"}
    assert nothing.exit_code == 1
    assert "is not disabled" in nothing.stderr
