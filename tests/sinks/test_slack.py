"""Messages for Slack: what is shown, what must not be, and what its answers mean."""

import json
from typing import Any

import pytest

from rules.action import Action
from sinks.answer import judge
from sinks.post import open_session
from sinks.signing import Signer
from sinks.sink import Delivered, Receipt, Rejected, RetryAfter
from sinks.slack import (
    FIELD_CHARS_MAX,
    FIELDS_MAX,
    FIELDS_ROW_MAX,
    TEXT_CHARS_MAX,
    SlackSink,
    escaped,
    judged,
)
from sinks.webhook import WebhookSink
from tests.actions import action
from tests.receiver import Behaviour, answer, reset, running_receiver

NOW_MS = 1_714_564_800_000
TOKEN = "T0-B0-xoxsecret"


async def message(one: Action) -> dict[str, Any]:
    async with open_session(allow_private=True) as session:
        found: dict[str, Any] = json.loads(
            SlackSink(session, "http://x/", lambda: NOW_MS).body(one)
        )
    return found


async def receipt_for(behaviour: Behaviour) -> Receipt:
    async with running_receiver() as receiver, open_session(allow_private=True) as session:
        receiver.next.append(behaviour)
        sink = SlackSink(session, f"{receiver.url}/{TOKEN}", lambda: NOW_MS)
        return await sink.deliver(action(), sink.body(action()))


def texts(said: dict[str, Any]) -> list[str]:
    found = []
    for block in said["blocks"]:
        parts = [block["text"]] if "text" in block else block.get("fields", block.get("elements"))
        found += [each["text"] for each in parts]
        assert all(each["type"] == "mrkdwn" and each["verbatim"] for each in parts)
    return found


async def test_a_message_says_who_what_why_and_by_which_values() -> None:
    """Whoever reads it on a telephone must be able to act."""
    said = await message(action(5))

    assert said["text"] == "churn.risk · c-5: Health fell to 38, mostly usage (churn-risk v3)"
    assert texts(said) == [
        "churn.risk · c-5\nHealth fell to 38, mostly usage",
        "health\n38.2",
        "health.top_reason\nusage",
        f"churn-risk v3 · 2024-05-01T12:00:00.128Z · {action(5).id}",
    ]


async def test_nothing_that_a_customer_wrote_calls_anybody_or_links_anything() -> None:
    """<!channel> in a name would wake a company."""
    said = await message(
        action(reason="<!channel> <https://bad.example|click> R&D", data={"a": "<@U1>"})
    )

    assert "&lt;!channel&gt; &lt;https://bad.example|click&gt; R&amp;D" in said["text"]
    assert not any("<" in each or ">" in each for each in (said["text"], *texts(said)))


@pytest.mark.parametrize("character", ["x", "&", "<", "é", "\n"])
async def test_no_text_is_longer_than_slack_takes(character: str) -> None:
    """Slack refuses a message whole, whichever part of it is too long."""
    long = character * 9_999
    said = await message(action(reason=long, data={f"v{n}": long for n in range(64)}))

    assert len(said["text"]) <= TEXT_CHARS_MAX
    for block in said["blocks"]:
        assert len(block.get("text", {}).get("text", "")) <= TEXT_CHARS_MAX
        assert len(block.get("fields", [])) <= FIELDS_ROW_MAX
        assert all(len(each["text"]) <= FIELD_CHARS_MAX for each in block.get("fields", []))
    assert sum(len(block.get("fields", [])) for block in said["blocks"]) == FIELDS_MAX
    assert texts(said)[-1].endswith("44 more values")


@pytest.mark.parametrize("most", range(1, 14))
def test_a_cut_goes_through_no_escape(most: int) -> None:
    """Half of an `&amp;` is shown as it stands."""
    found = escaped("a&b<c", most)

    assert len(found) <= most
    assert found.replace("&amp;", "").replace("&lt;", "").count("&") == 0
    assert (found == "a&amp;b&lt;c") == (most >= 12)
    assert found.endswith("…") == (most < 12)


async def test_a_value_that_is_missing_is_called_so() -> None:
    """An empty field looks like a fault."""
    assert "orders\nunknown" in texts(await message(action(data={"orders": None})))


@pytest.mark.parametrize(
    ("behaviour", "receipt"),
    [
        (answer(200, body=b"ok"), Delivered("HTTP 200: ok")),
        (
            answer(429, {"Retry-After": "30"}, b"rate_limited"),
            RetryAfter("HTTP 429: rate_limited", 30_000, slows=True),
        ),
        (answer(400, body=b"invalid_payload"), Rejected("HTTP 400: invalid_payload")),
        (answer(400, body=b"user_not_found"), RetryAfter("HTTP 400: user_not_found")),
        (answer(403, body=b"action_prohibited"), RetryAfter("HTTP 403: action_prohibited")),
        (answer(404, body=b"channel_not_found"), RetryAfter("HTTP 404: channel_not_found")),
        (answer(404, body=b"no_service"), Rejected("HTTP 404: no_service", disables=True)),
        (
            answer(410, body=b"channel_is_archived"),
            Rejected("HTTP 410: channel_is_archived", disables=True),
        ),
        (answer(500, body=b"rollup_error"), RetryAfter("HTTP 500: rollup_error")),
    ],
)
async def test_the_answers_that_slack_documents(behaviour: Behaviour, receipt: Receipt) -> None:
    """What an administrator can mend is tried again; what can never be taken is not."""
    assert await receipt_for(behaviour) == receipt


def test_words_of_slack_mean_nothing_where_it_took_the_message() -> None:
    """Compatible receivers may answer anything with a 200."""
    assert judged(200, {}, 0, "no_service") == judge(200, {}, 0, "no_service")


async def bad_status_line(request: Any) -> Any:  # noqa: ANN401  as the receiver has it
    assert request.transport is not None
    request.transport.write(b"no such protocol\r\n\r\n")
    request.transport.abort()
    return await reset(request)


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:1/{TOKEN}",  # nobody listens
        f"http://no-such-host.invalid/{TOKEN}",
        f"http://169.254.169.254/{TOKEN}",
        f"http://:80/{TOKEN}",
        f"http://127.0.0.1:99999/{TOKEN}",
        f"mailto:{TOKEN}",
        f"http://user:{TOKEN}@[::1/",
    ],
)
async def test_no_receipt_shows_the_address(url: str) -> None:
    """Receipts are listed by the API; who has the address can write in the channel."""
    async with open_session(allow_private=True) as session:
        for sink in (
            SlackSink(session, url, lambda: NOW_MS),
            WebhookSink(session, url, Signer([]), lambda: NOW_MS),
        ):
            receipt = await sink.deliver(action(), b"{}")

            assert isinstance(receipt, RetryAfter | Rejected)
            assert TOKEN not in receipt.reason


@pytest.mark.parametrize("behaviour", [reset, bad_status_line, answer(302, {"Location": "/x"})])
async def test_no_receipt_shows_the_address_after_a_strange_answer(behaviour: Behaviour) -> None:
    """The client's own errors name the address that they are about."""
    receipt = await receipt_for(behaviour)

    assert isinstance(receipt, RetryAfter)
    assert TOKEN not in receipt.reason
