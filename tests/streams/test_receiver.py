"""The receiver shows what a real one would do: check, answer, and know what it has seen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import msgspec
import pytest
from standardwebhooks import Webhook

from rules.action import Action
from sinks.alertmanager import AlertmanagerSink
from sinks.post import open_session
from sinks.signing import Signer
from sinks.sink import Delivered, Receipt, Rejected, RetryAfter
from sinks.webhook import WebhookSink
from streams import receiver as receiver_module
from streams.receiver import (
    AGE_MS_MAX,
    Received,
    Receiver,
    endpoints_at,
    new_secret,
    open_receiver,
)
from tests.actions import action

NOW_MS = 1_750_000_000_000
SECRET = new_secret()


class Scene:
    """A running receiver, and what it told."""

    def __init__(self) -> None:
        self.told: list[Received] = []
        self.receiver = Receiver(SECRET, lambda: NOW_MS, self.told.append)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
        async with (
            open_receiver(self.receiver) as address,
            open_session(allow_private=True) as session,
        ):
            yield session, address

    async def send(self, each: Action, *, secret: str = SECRET, now_ms: int = NOW_MS) -> Receipt:
        async with self.running() as (session, address):
            sink = WebhookSink(session, f"{address}/crm", Signer([secret]), lambda: now_ms)
            return await sink.deliver(each, sink.body(each))


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_signed_webhook_is_taken_and_told_with_its_reason(scene: Scene) -> None:
    """What a person reads on the screen has come over the wire."""
    assert isinstance(await scene.send(action(1)), Delivered)

    assert scene.told == [
        Received(
            endpoint="crm",
            kind="webhook",
            type="churn.risk",
            id=action(1).id,
            rule="churn-risk",
            customer_id="c-1",
            reason="Health fell to 38, mostly usage",
            is_repeat=False,
        )
    ]


async def test_a_repeat_is_known_by_its_id(scene: Scene) -> None:
    """At least once is our promise; once is the receiver's work."""
    for number in (1, 1, 2):
        assert isinstance(await scene.send(action(number)), Delivered)

    assert [each.is_repeat for each in scene.told] == [False, True, False]
    assert (scene.receiver.deliveries, scene.receiver.repeats) == (3, 1)


@pytest.mark.parametrize(
    ("secret", "now_ms"),
    [
        (new_secret(), NOW_MS),
        (SECRET, NOW_MS - 2 * AGE_MS_MAX),
        (SECRET, NOW_MS + 2 * AGE_MS_MAX),
    ],
    ids=["another secret", "too old", "from the future"],
)
async def test_what_is_not_signed_here_and_now_is_refused(
    scene: Scene, secret: str, now_ms: int
) -> None:
    """Anybody on this machine may post to loopback."""
    assert isinstance(
        await scene.send(action(1), secret=secret, now_ms=now_ms), Rejected | RetryAfter
    )
    assert scene.told == []


async def test_what_another_library_signs_is_taken(scene: Scene) -> None:
    """We check by our own signer; both could be wrong together."""
    body = '{"type":"x","data":{"rule":"r","customer_id":"c","reason":"w"}}'
    signed = Webhook(SECRET).sign("act_1", datetime.fromtimestamp(NOW_MS / 1000, UTC), body)
    headers = {
        "webhook-id": "act_1",
        "webhook-timestamp": str(NOW_MS // 1000),
        "webhook-signature": f"v1,bm9uZQ== {signed}",
    }
    async with scene.running() as (session, address):
        async with session.post(f"{address}/crm", data=body, headers=headers) as answer:
            assert answer.status == 204
        headers["webhook-id"] = "act_2"
        async with session.post(f"{address}/crm", data=body, headers=headers) as answer:
            assert answer.status == 401
    assert [each.id for each in scene.told] == ["act_1"]


@pytest.mark.parametrize("headers", [{}, {"webhook-timestamp": "now"}])
async def test_missing_headers_are_a_refusal_and_no_fault(
    scene: Scene, headers: dict[str, str]
) -> None:
    """A browser that looks at the address must not break the demo."""
    async with (
        scene.running() as (session, address),
        session.post(f"{address}/crm", data=b"{}", headers=headers) as answer,
    ):
        assert answer.status == 401


async def test_alerts_are_taken_as_alertmanager_takes_them(scene: Scene) -> None:
    """The starter packs send alerts too; they need somewhere to go."""
    alert = action(1, kind="alert", name="risk")
    async with scene.running() as (session, address):
        sink = AlertmanagerSink(session, f"{address}/risk", lambda: NOW_MS)
        assert isinstance(await sink.deliver(alert, sink.body(alert)), Delivered)
        async with session.post(f"{address}/risk/api/v2/alerts", data=b"[{}]") as answer:
            assert answer.status == 400

    assert [(each.kind, each.endpoint, each.reason) for each in scene.told] == [
        ("alert", "risk", "Health fell to 38, mostly usage")
    ]


async def test_only_so_many_ids_are_remembered(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A demo may run for weeks."""
    monkeypatch.setattr(receiver_module, "IDS_MAX", 2)
    for number in (1, 2, 3, 3, 1):
        await scene.send(action(number))

    assert [each.is_repeat for each in scene.told] == [False, False, False, True, False]


def test_endpoints_lead_to_the_receiver_with_its_secret() -> None:
    """By these the demo's rules find it."""
    made = endpoints_at("http://127.0.0.1:9", SECRET, ["crm", "risk"])

    assert {name: each.url for name, each in made.items()} == {
        "crm": "http://127.0.0.1:9/crm",
        "risk": "http://127.0.0.1:9/risk",
    }
    assert {each.secret for each in made.values()} == {SECRET}


async def test_a_body_that_a_rule_gives_its_target_is_taken_and_its_beginning_shown(
    scene: Scene,
) -> None:
    """Who tries a body of their own in the demo wants to see it arrive."""
    own = msgspec.structs.replace(action(1), body='{"who":"c-1","text":"' + "x" * 400 + '"}')
    assert isinstance(await scene.send(own), Delivered)
    (told,) = scene.told

    assert (told.type, told.id) == ("own body", own.id)
    assert told.reason == own.body[:200]


async def test_what_is_no_object_is_refused(scene: Scene) -> None:
    """A real receiver would not know what to do with it either."""
    receipt = await scene.send(msgspec.structs.replace(action(1), body="[1]"))

    assert isinstance(receipt, RetryAfter)
    assert scene.told == []
