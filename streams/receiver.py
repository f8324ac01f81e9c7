"""The built-in receiver: where the demo's webhooks and alerts go, on loopback.

Promise   Only what is signed with its secret is taken. Each delivery is handed on once, with a word on
          whether its id was seen before.
How       Webhooks as Standard Webhooks has them, checked by signing them again, also with a body that a
          rule gives them, of which the beginning is shown; alerts as Alertmanager
          takes them, which nobody signs.
Limits    IDS_MAX ids are remembered, the newest. BODY_BYTES_MAX a body; AGE_MS_MAX between a signature
          and its arrival.
Not here  Printing: live_view.py. Our own attempts and receipts: relay.py.
"""

import base64
import hmac
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from sinks.alertmanager import ALERTS_PATH
from sinks.signing import SECRET_BYTES_MIN, SECRET_PREFIX, Signer
from streams.settings import Endpoint

IDS_MAX: Final = 10_000
BODY_BYTES_MAX: Final = 256 * 1024
AGE_MS_MAX: Final = 300_000  # the specification's advice is five minutes
SHOWN_BYTES: Final = 200  # of a body that is not ours
OWN_BODY: Final = "own body"  # shown as its type
HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Received:
    """One delivery."""

    endpoint: str
    kind: str  # "webhook" or "alert"
    type: str
    id: str
    rule: str
    customer_id: str
    reason: str
    is_repeat: bool


class _Data(msgspec.Struct):
    rule: str
    customer_id: str
    reason: str


class _Webhook(msgspec.Struct):
    type: str
    data: _Data


class _Alert(msgspec.Struct):
    labels: dict[str, str]
    annotations: dict[str, str]


class Receiver:
    """The handlers and what they remember; `deliveries` and `repeats` count."""

    def __init__(
        self, secret: str, now_ms: Callable[[], int], told: Callable[[Received], None]
    ) -> None:
        """Take the secret that webhooks are signed with, and who is told of each delivery.

        Raises:
            SecretError: It cannot be used.
        """
        self.deliveries = 0
        self.repeats = 0
        self._signer = Signer([secret])
        self._now_ms = now_ms
        self._told = told
        self._ids: OrderedDict[str, None] = OrderedDict()

    def application(self) -> web.Application:
        made = web.Application(client_max_size=BODY_BYTES_MAX)
        made.router.add_post("/{endpoint}", self.webhook)
        made.router.add_post("/{endpoint}" + ALERTS_PATH, self.alerts)
        return made

    async def webhook(self, request: web.Request) -> web.Response:
        body = await request.read()
        message_id = request.headers.get("webhook-id", "")
        fault = self._fault(request, message_id, body)
        if fault:
            return web.Response(status=401, text=fault)
        try:
            hook = _of_webhook(body)
        except msgspec.MsgspecError as error:
            return web.Response(status=400, text=str(error))
        data = hook.data
        name = request.match_info["endpoint"]
        self._take(name, "webhook", hook.type, message_id, data)
        return web.Response(status=204)

    def _fault(self, request: web.Request, message_id: str, body: bytes) -> str:
        """What is wrong with the signature, or nothing."""
        try:
            at_ms = int(request.headers.get("webhook-timestamp", "")) * 1000
        except ValueError:
            return "webhook-timestamp is missing or no number"
        if abs(self._now_ms() - at_ms) > AGE_MS_MAX:
            return "webhook-timestamp is too old, or in the future"
        ours = self._signer.headers(message_id, at_ms, body)["webhook-signature"]
        theirs = request.headers.get("webhook-signature", "").split()
        if any(hmac.compare_digest(ours.encode(), each.encode()) for each in theirs):
            return ""
        return "webhook-signature is not ours"

    async def alerts(self, request: web.Request) -> web.Response:
        try:
            alerts = msgspec.json.decode(await request.read(), type=list[_Alert])
            taken = [_of_alert(each) for each in alerts]
        except (msgspec.MsgspecError, KeyError) as error:
            return web.Response(status=400, text=f"no alert of ours: {error}")
        for kind, action_id, data in taken:
            self._take(request.match_info["endpoint"], "alert", kind, action_id, data)
        return web.Response(status=200)

    def _take(self, endpoint: str, kind: str, word: str, action_id: str, data: _Data) -> None:
        is_repeat = action_id in self._ids
        self._ids[action_id] = None
        self._ids.move_to_end(action_id)
        if len(self._ids) > IDS_MAX:
            self._ids.popitem(last=False)
        self.deliveries += 1
        self.repeats += is_repeat
        self._told(
            Received(
                endpoint=endpoint,
                kind=kind,
                type=word,
                id=action_id,
                rule=data.rule,
                customer_id=data.customer_id,
                reason=data.reason,
                is_repeat=is_repeat,
            )
        )


def _of_webhook(body: bytes) -> _Webhook:
    """Our own payload, or a body that a rule gives its target, whose words nobody here knows.

    Raises:
        msgspec.MsgspecError: It is no JSON object.
    """
    try:
        return msgspec.json.decode(body, type=_Webhook)
    except msgspec.ValidationError:
        own = msgspec.json.decode(body, type=dict[str, object])
    return _Webhook(
        OWN_BODY, _Data("", "", msgspec.json.encode(own)[:SHOWN_BYTES].decode(errors="ignore"))
    )


def _of_alert(alert: _Alert) -> tuple[str, str, _Data]:
    """Type, id of the action, and the rest. Raises KeyError."""
    labels, notes = alert.labels, alert.annotations
    data = _Data(labels["rule"], labels["customer_id"], notes["summary"])
    return labels["alertname"], notes["action_id"], data


def new_secret() -> str:
    """A secret for one process."""
    return SECRET_PREFIX + base64.b64encode(os.urandom(SECRET_BYTES_MIN)).decode()


@asynccontextmanager
async def open_receiver(receiver: Receiver) -> AsyncIterator[str]:
    """The receiver's address (http://HOST:PORT) for as long as the block lasts."""
    runner = web.AppRunner(receiver.application(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        port: Any = runner.addresses[0][1]
        yield f"http://{HOST}:{port}"
    finally:
        await runner.cleanup()


def endpoints_at(address: str, secret: str, names: Iterable[str]) -> dict[str, Endpoint]:
    """Endpoints of these names that all lead to the receiver.

    >>> endpoints_at("http://127.0.0.1:9000", "whsec_x", ["crm"])["crm"].url
    'http://127.0.0.1:9000/crm'
    """
    return {name: Endpoint(name, f"{address}/{name}", secret) for name in names}
