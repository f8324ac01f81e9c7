"""Signatures, checked by another implementation of the same specification."""

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from sinks.errors import SecretError
from sinks.signing import SECRETS_MAX, Signer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()
SPEC_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SPEC_BODY = b'{"test": 2432232314}'


def test_the_example_of_the_specification_is_signed_as_published() -> None:
    """A fixed point that no library of today can move."""
    headers = Signer([SECRET]).headers(SPEC_ID, 1_614_265_330_000, SPEC_BODY)

    assert headers == {
        "webhook-id": SPEC_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def signature_of(secret: str, headers: dict[str, str], body: bytes) -> str:
    """What the other implementation would have signed."""
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), tz=UTC)
    return Webhook(secret).sign(headers["webhook-id"], at, body.decode())


def test_another_implementation_makes_the_same_signature() -> None:
    """Receivers use libraries, not our code."""
    body = '{"reason": "Öl: 5 €"}'.encode()
    headers = Signer([SECRET]).headers("act_1", 1_714_564_800_999, body)

    assert headers["webhook-signature"] == signature_of(SECRET, headers, body)


def test_while_a_secret_is_replaced_both_verify() -> None:
    """Rotation without a moment in which deliveries fail."""
    headers = Signer([OTHER, SECRET]).headers("act_1", 1_714_564_800_000, b"{}")

    assert headers["webhook-signature"].split(" ") == [
        signature_of(OTHER, headers, b"{}"),
        signature_of(SECRET, headers, b"{}"),
    ]


def test_id_time_and_body_are_all_under_the_signature() -> None:
    """Whoever changes one of the three is found out."""
    signer = Signer([SECRET])
    signatures = {
        signer.headers(message_id, now_ms, body)["webhook-signature"]
        for message_id, now_ms, body in [
            ("a", 1_000, b"{}"),
            ("b", 1_000, b"{}"),
            ("a", 2_000, b"{}"),
            ("a", 1_000, b"[]"),
        ]
    }

    assert len(signatures) == 4


def test_without_a_secret_there_is_no_signature_but_an_id_and_a_time() -> None:
    """The id still lets the receiver drop repeats."""
    assert Signer([]).headers("a", 1_500, b"{}") == {"webhook-id": "a", "webhook-timestamp": "1"}


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_not base64 at all, is it",
        "",
    ],
)
def test_a_weak_or_broken_secret_is_refused_without_being_shown(secret: str) -> None:
    """Logs keep error messages for years."""
    with pytest.raises(SecretError) as caught:
        Signer([secret])

    assert secret.removeprefix("whsec_") not in str(caught.value) or len(secret) <= 6
    assert caught.value.__cause__ is None


def test_more_secrets_than_a_rotation_needs_are_refused() -> None:
    """Each makes every request longer."""
    with pytest.raises(SecretError, match="5 secrets"):
        Signer([SECRET] * (SECRETS_MAX + 1))


def test_padding_of_a_secret_may_be_left_out() -> None:
    """Consoles cut it off when they show a secret."""
    padded = "whsec_" + base64.b64encode(bytes(range(25))).decode()
    assert padded.endswith("=")

    one = Signer([padded]).headers("a", 0, b"")
    assert one == Signer([padded.rstrip("=")]).headers("a", 0, b"")


def test_a_wrong_secret_does_not_verify() -> None:
    """The check above must be able to fail."""
    now = datetime(2024, 5, 1, tzinfo=UTC)
    headers = Signer([SECRET]).headers("a", int(now.timestamp() * 1000), b"{}")

    assert headers["webhook-signature"] != signature_of(OTHER, headers, b"{}")
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(b"{}", headers)
