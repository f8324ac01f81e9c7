"""How a delivery goes on after each receipt."""

import msgspec
import pytest

from sinks import payload
from sinks.retry import ATTEMPTS_MAX, Policy
from sinks.sink import Delivered, Receipt, Rejected, RetryAfter
from streams.commands.dlq import STATUSES
from streams.delivery import DEAD, NOTE_CHARS_MAX, Delivery, after, parked, pending
from tests.actions import action

NOW_MS = 1_714_564_900_000
EXACT = Policy(jitter=0)


@pytest.mark.parametrize(
    ("receipt", "status", "due_ms"),
    [
        (Delivered("HTTP 204"), "delivered", None),
        (Delivered("HTTP 200", disables=True), "delivered", None),
        (Rejected("too large"), "rejected", None),
        (Rejected("HTTP 410", disables=True), "disabled", None),
        (RetryAfter("HTTP 500"), "retrying", NOW_MS + 5_000),
        (RetryAfter("HTTP 429", 60_000, slows=True), "retrying", NOW_MS + 60_000),
    ],
)
def test_each_receipt_has_its_status_and_due_time(
    receipt: Receipt, status: str, due_ms: int | None
) -> None:
    """The whole table; there is no other receipt."""
    delivery = after(pending(action(), NOW_MS - 9), receipt, EXACT, NOW_MS)

    assert (delivery.status, delivery.due_ms) == (status, due_ms)
    assert (delivery.attempts, delivery.updated_ms) == (1, NOW_MS)


def test_the_last_failure_gives_up() -> None:
    """And keeps what the receiver said."""
    delivery = pending(action(), NOW_MS)
    for _ in range(ATTEMPTS_MAX):
        assert delivery.status in {"pending", "retrying"}
        delivery = after(delivery, RetryAfter("HTTP 500: oops"), EXACT, NOW_MS)

    assert (delivery.status, delivery.attempts) == ("given_up", ATTEMPTS_MAX)
    assert delivery.note == "HTTP 500: oops"


def test_a_record_reads_as_the_action_with_its_status_beside_it() -> None:
    """`GET /v1/actions` shows records as they are stored."""
    record = msgspec.json.decode(msgspec.json.encode(pending(action(1), NOW_MS)))

    shown = {"id", "rule", "version", "customer_id", "reason", "at_ms", "status"}
    assert shown <= record.keys()
    assert record["status"] == "pending"


def test_a_delivery_that_was_stored_has_the_bytes_of_its_action() -> None:
    """Also with values that JSON does not know."""
    one = action(data={"b": float("nan"), "a": 1.0, "c": None, "d": "x"})
    stored = msgspec.json.encode(parked(pending(one, NOW_MS), NOW_MS))

    assert payload.body(msgspec.json.decode(stored, type=Delivery)) == payload.body(one)


def test_notes_are_short() -> None:
    """A receiver's words must not fill our Redis."""
    long = RetryAfter("x" * 10_000)

    assert len(after(pending(action(), 0), long, EXACT, 0).note) == NOTE_CHARS_MAX


def test_a_webhook_and_a_topic_of_one_name_have_lanes_of_their_own() -> None:
    """They fail for reasons of their own."""
    assert pending(action(kind="topic"), 0).lane != pending(action(kind="webhook"), 0).lane


def test_the_command_knows_all_statuses_of_what_was_given_up() -> None:
    """It names them itself, so as not to load what it may not need."""
    assert set(STATUSES) == DEAD
