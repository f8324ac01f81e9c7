"""One description of the rights, told to three client libraries in the words of each."""

from pathlib import Path

import pytest

from streams.kafka_security import Security
from streams.kafka_settings import KafkaSettings


@pytest.mark.parametrize(
    ("security", "protocol"),
    [
        (Security(), "PLAINTEXT"),
        (Security(tls=True), "SSL"),
        (Security(mechanism="SCRAM-SHA-256", user="u", password="p"), "SASL_PLAINTEXT"),
        (Security(tls=True, mechanism="PLAIN", user="u", password="p"), "SASL_SSL"),
    ],
)
def test_all_clients_are_told_the_same_protocol(security: Security, protocol: str) -> None:
    """A data plane that speaks TLS while the group does not would be half of a worker."""
    credentials = security.faust()

    assert security.librdkafka()["security.protocol"] == protocol
    assert security.kafka_python()["security_protocol"] == protocol
    if credentials is None:
        assert protocol == "PLAINTEXT"
    else:
        assert credentials.protocol.value == protocol


def test_user_and_password_reach_all_clients() -> None:
    security = Security(mechanism="PLAIN", user="ann", password="secret")

    assert security.librdkafka()["sasl.username"] == "ann"
    assert security.kafka_python()["sasl_plain_password"] == "secret"
    assert security.faust().username == "ann"  # type: ignore[union-attr]  # with SASL there are some


def test_files_are_handed_over_as_paths() -> None:
    """An SSLContext cannot be given to librdkafka, so paths are what settings have."""
    security = Security(tls=True, ca=Path("ca.pem"), certificate=Path("c.pem"), key=Path("k.pem"))

    assert security.librdkafka() == {
        "security.protocol": "SSL",
        "ssl.ca.location": "ca.pem",
        "ssl.certificate.location": "c.pem",
        "ssl.key.location": "k.pem",
    }


def test_the_password_is_in_no_log() -> None:
    settings = KafkaSettings(("h:1",), security=Security(mechanism="PLAIN", password="secret"))

    assert "secret" not in repr(settings)
