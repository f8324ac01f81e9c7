"""The table [kafka]: what is given reaches every client, and what makes no sense is said."""

from pathlib import Path

import pytest

from streams.kafka_settings import KafkaSettings
from streams.settings import KafkaAccess, Settings, SettingsError, read

LOGIN = {
    "log": "kafka://one:9092",
    "kafka.security_protocol": "sasl_ssl",
    "kafka.sasl_mechanism": "SCRAM-SHA-512",
    "kafka.sasl_user": "ann",
    "kafka.sasl_password": "hunter2",
}
ALLOWED = {"RAPPORT_UNSAFE": "plaintext-sasl"}


def given(tmp_path: Path, **table: object) -> Settings:
    flags = {f"kafka.{name}": value for name, value in table.items()}
    return read({"log": "kafka://one:9092", **flags}, {}, tmp_path)


def problems(tmp_path: Path, **table: object) -> str:
    with pytest.raises(SettingsError) as caught:
        given(tmp_path, **table)
    return str(caught.value)


def test_a_login_reaches_the_clients_and_no_log(tmp_path: Path) -> None:
    """Whoever prints settings for support must not print the password with them."""
    settings = read(LOGIN, {}, tmp_path)
    kafka = KafkaSettings.of(settings)

    assert kafka.producer()["sasl.password"] == "hunter2"
    assert kafka.producer()["security.protocol"] == "SASL_SSL"
    assert kafka.security.kafka_python()["sasl_mechanism"] == "SCRAM-SHA-512"
    assert "hunter2" not in repr(settings) + repr(kafka)


def test_a_table_in_the_file_and_a_password_in_the_environment_are_one(tmp_path: Path) -> None:
    """Secrets come from elsewhere than files."""
    (tmp_path / "rapport.toml").write_text(
        'log = "kafka://one:9092"\n[kafka]\nsecurity_protocol = "SASL_PLAINTEXT"\n'
        'sasl_mechanism = "PLAIN"\nsasl_user = "ann"\nssl_ca = "ca.pem"\n'
    )
    environment = {"RAPPORT_KAFKA_SASL_PASSWORD": "hunter2", "RAPPORT_KAFKA_SSL_CA": "x"}
    with pytest.raises(SettingsError) as caught:
        read({}, environment, tmp_path)
    (tmp_path / "rapport.toml").write_text(
        (tmp_path / "rapport.toml").read_text().replace('ssl_ca = "ca.pem"\n', "")
    )
    read_ = read({}, {"RAPPORT_KAFKA_SASL_PASSWORD": "hunter2", **ALLOWED}, tmp_path).kafka

    assert str(caught.value).startswith("kafka.ssl_ca: is for TLS")
    assert read_ == KafkaAccess("SASL_PLAINTEXT", "PLAIN", "ann", "hunter2")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"security_protocol": "TLS"}, "must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
        ({"sasl_user": "ann"}, "kafka.sasl_user: is for a login"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"}, "sasl_user: is missing"),
        ({"ssl_ca": "ca.pem"}, "kafka.ssl_ca: is for TLS"),
        ({"security_protocol": "SSL", "ssl_cert": "a"}, "kafka.ssl_key: is missing"),
        ({"security_protocol": "SSL", "ssl_key": "a"}, "kafka.ssl_cert: is missing"),
        ({"fetch_min_bytes": 0}, "must be from 1 to"),
        ({"fetch_wait_ms_max": 60_000}, "must be from 1 to 5000"),
        ({"sasl_pasword": "hunter2"}, "did you mean kafka.sasl_password?"),
        ({"sasl_password": 12345}, "must be a text"),
    ],
)
def test_what_would_be_ignored_or_is_missing_is_a_mistake(
    tmp_path: Path, table: dict[str, object], says: str
) -> None:
    """A login that is not sent, or a certificate that nobody looks at, is a false sense of safety."""
    told = problems(tmp_path, **table)

    assert says in told
    assert "hunter2" not in told
    assert "12345" not in told


def test_what_is_fetched_at_once_reaches_the_consumer(tmp_path: Path) -> None:
    """It trades latency for CPU, which only the operator can weigh."""
    kafka = KafkaSettings.of(given(tmp_path, fetch_min_bytes=2048, fetch_wait_ms_max=2))
    consumer = kafka.consumer(lambda _error: None)

    assert (consumer["fetch.min.bytes"], consumer["fetch.wait.max.ms"]) == (2048, 2)


def test_certificates_that_are_not_there_or_are_none_are_told(tmp_path: Path) -> None:
    """Else each library fails in its own way, one of them with a trace."""
    pem = tmp_path / "none.pem"
    pem.write_text("no certificate")
    missing = given(tmp_path, security_protocol="SSL", ssl_ca=tmp_path / "gone.pem")
    broken = given(tmp_path, security_protocol="SSL", ssl_ca=pem, ssl_cert=pem, ssl_key=pem)

    with pytest.raises(SettingsError, match=r"kafka.ssl_ca: .*gone.pem: cannot be read: No such"):
        KafkaSettings.of(missing)
    with pytest.raises(SettingsError, match="must be PEM files that fit together"):
        KafkaSettings.of(broken)
