"""What the targets of rules stand for."""

import base64
import io
from collections.abc import AsyncIterator

import pytest
from rich.console import Console
from standardwebhooks.webhooks import Webhook

from sinks.alertmanager import AlertmanagerSink
from sinks.console import ConsoleSink
from sinks.errors import SecretError
from sinks.sink import Delivered, Rejected
from sinks.slack import SlackSink
from sinks.webhook import WebhookSink
from streams.clock import SystemClock
from streams.endpoint_table import Rate
from streams.endpoints import Outside, may_be_private, open_destinations
from streams.settings import Endpoint
from tests.actions import action
from tests.receiver import Receiver, running_receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as found:
        yield found


def outside() -> Outside:
    return Outside(SystemClock().now_ms, Console(file=io.StringIO()))


async def test_a_webhook_is_signed_with_the_secret_of_its_endpoint(receiver: Receiver) -> None:
    """From the settings to the receiver's library."""
    endpoints = {"crm": Endpoint("crm", receiver.url, SECRET)}
    async with open_destinations(endpoints, outside()) as destination:
        sink = destination("webhook", "crm").sink
        assert isinstance(await sink.deliver(action(), sink.body(action())), Delivered)

    Webhook(SECRET).verify(receiver.received[0].body, receiver.received[0].headers)


async def test_while_a_secret_is_replaced_both_verify(receiver: Receiver) -> None:
    """Receivers change over one after the other; until then neither may refuse what comes."""
    other = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    endpoints = {"crm": Endpoint("crm", receiver.url, other, secret_old=SECRET)}
    async with open_destinations(endpoints, outside()) as destination:
        sink = destination("webhook", "crm").sink
        await sink.deliver(action(), sink.body(action()))

    for secret in (SECRET, other):
        Webhook(secret).verify(receiver.received[0].body, receiver.received[0].headers)


async def test_a_name_that_leads_inside_needs_to_be_allowed(receiver: Receiver) -> None:
    """0x7f000001 is loopback, and does not look like it."""
    url = receiver.url.replace("127.0.0.1", "0x7f000001")
    both = {"a": Endpoint("a", url, SECRET), "b": Endpoint("b", url, SECRET, allow_private=True)}
    async with open_destinations(both, outside()) as destination:
        receipts = [
            await sink.deliver(action(), b"{}")
            for sink in (destination("webhook", name).sink for name in "ab")
        ]

    assert [isinstance(each, Delivered) for each in receipts] == [False, True]


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("http://127.0.0.1:9000/hook", True),
        ("http://[::1]/", True),
        ("http://localhost/", True),
        ("http://localhost.example.com/", False),
        ("http://10.0.0.1/", False),
        ("http://169.254.169.254/", False),
        ("http://2130706433/", False),
        ("https://crm.example.com/", False),
    ],
)
def test_only_an_address_that_spells_this_machine_is_private_by_itself(url: str, may: bool) -> None:
    """Who writes 127.0.0.1 into the settings means it; who writes a name may not know."""
    assert may_be_private(Endpoint("a", url)) is may
    assert may_be_private(Endpoint("a", url, allow_private=True))


async def test_each_kind_of_target_has_its_sink() -> None:
    """One endpoint of the settings may serve several kinds."""
    endpoints = {"crm": Endpoint("crm", "https://crm.example.com/")}
    async with open_destinations(endpoints, outside()) as destination:
        assert isinstance(destination("webhook", "crm").sink, WebhookSink)
        assert isinstance(destination("alert", "crm").sink, AlertmanagerSink)
        assert isinstance(destination("slack", "crm").sink, SlackSink)
        assert isinstance(destination("log", "").sink, ConsoleSink)


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("webhook", "cmr", "there is no endpoint cmr"),
        ("alert", "cmr", "add [endpoints.cmr]"),
        ("slack", "cmr", "add [endpoints.cmr]"),
        ("topic", "actions", "needs Kafka"),
    ],
)
async def test_a_target_that_means_nothing_says_how_to_mend_it(
    kind: str, name: str, words: str
) -> None:
    """The record of the action is where people look first."""
    async with open_destinations({}, outside()) as destination:
        receipt = await destination(kind, name).sink.deliver(action(), b"{}")

    assert isinstance(receipt, Rejected)
    assert words in receipt.reason


async def test_a_new_address_is_told_from_the_old_one_without_being_shown() -> None:
    """Being disabled is about an address; and addresses may hold tokens."""
    old = {"crm": Endpoint("crm", "https://crm.example.com/hook?token=secret")}
    new = {"crm": Endpoint("crm", "https://crm.example.com/other?token=secret")}
    async with open_destinations(old, outside()) as one, open_destinations(new, outside()) as other:
        about = {one("webhook", "crm").about, other("webhook", "crm").about}

    assert len(about) == 2
    assert not any("secret" in each for each in about)


async def test_a_secret_that_cannot_be_used_is_told_before_anything_is_delivered() -> None:
    """At the start, not at the first action at three in the morning."""
    weak = {"crm": Endpoint("crm", "https://crm.example.com/", "whsec_AAAA")}
    with pytest.raises(SecretError):
        async with open_destinations(weak, outside()):
            pass


async def test_all_that_goes_to_an_endpoint_shares_its_rate() -> None:
    """The receiver counts requests, not kinds of targets."""
    limited = Endpoint("crm", "https://crm.example.com/", rate=Rate(60, "m"), burst=2)
    free = Endpoint("risk", "https://risk.example.com/")
    async with open_destinations({"crm": limited, "risk": free}, outside()) as destination:
        bucket = destination("webhook", "crm").bucket

        assert bucket is not None
        assert (bucket.rate, bucket.burst) == (1.0, 2)
        assert destination("alert", "crm").bucket is bucket
        assert destination("webhook", "risk").bucket is None
        assert destination("log", "crm").bucket is None
