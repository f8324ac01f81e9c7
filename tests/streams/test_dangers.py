"""Settings that would work and are refused all the same, and how each is allowed."""

import base64
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from streams import dangers, topics
from streams.commands import doctor
from streams.errors import TopicsError
from streams.kafka_settings import KafkaSettings
from streams.settings import Settings, SettingsError, read

STRONG = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WEAK = "whsec_" + base64.b64encode(b"secret" * 5).decode()
ENDPOINT = {"endpoints.crm.url": "https://crm.example/"}
LOGIN = {
    "log": "kafka://one:9092",
    "kafka.security_protocol": "SASL_PLAINTEXT",
    "kafka.sasl_mechanism": "SCRAM-SHA-512",
    "kafka.sasl_user": "ann",
    "kafka.sasl_password": "hunter2",
}
UNSAFE = [
    (LOGIN, "plaintext-sasl", "kafka.security_protocol is SASL_PLAINTEXT"),
    ({**ENDPOINT, "endpoints.crm.secret": WEAK}, "weak-secrets", "endpoints.crm.secret is weak"),
    (
        {**ENDPOINT, "endpoints.crm.secret": STRONG, "endpoints.crm.secret_old": WEAK},
        "weak-secrets",
        "endpoints.crm.secret_old is weak",
    ),
    ({"http": "0.0.0.0:8787", "token": "letmein"}, "weak-secrets", "token is weak"),
    ({"http": "[::]:8787", "token": "ab" * 20}, "weak-secrets", "token is weak"),
]


def settings_of(folder: Path, given: Mapping[str, object], unsafe: str = "") -> Settings:
    return read(given, {"RAPPORT_UNSAFE": unsafe} if unsafe else {}, folder)


@pytest.mark.parametrize(("given", "name", "says"), UNSAFE)
def test_it_is_refused_with_setting_mend_and_the_word_that_allows_it(
    given: Mapping[str, object], name: str, says: str, tmp_path: Path
) -> None:
    """What is refused without a way on is worked around in a worse way."""
    with pytest.raises(SettingsError) as caught:
        settings_of(tmp_path, given)
    others = ",".join(each for each in dangers.NAMES if each != name)
    with pytest.raises(SettingsError):
        settings_of(tmp_path, given, others)

    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(says)
    assert f'add "{name}" to unsafe' in caught.value.problems[0]


@pytest.mark.parametrize(("given", "name", "says"), UNSAFE)
def test_it_is_allowed_by_its_name_and_told_at_each_start(
    given: Mapping[str, object],
    name: str,
    says: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An exception that nobody is reminded of becomes the rule."""
    settings = settings_of(tmp_path, given, name)
    dangers.warn(dangers.of(settings), settings.unsafe)

    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    assert f'allowed by "{name}" in unsafe: {says}' in caplog.messages[0]


@pytest.mark.parametrize(("given", "name", "says"), UNSAFE)
def test_no_secret_is_repeated(
    given: Mapping[str, object], name: str, says: str, tmp_path: Path
) -> None:
    """Logs are kept, and sent to others."""
    with pytest.raises(SettingsError) as caught:
        settings_of(tmp_path, given)

    assert says in str(caught.value)
    for secret in ("hunter2", WEAK, WEAK.removeprefix("whsec_"), "letmein", "abab"):
        assert secret not in str(caught.value)


def test_what_is_safe_is_neither_refused_nor_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A short token on a loopback address keeps out web pages, and nobody else comes there."""
    login = {**LOGIN, "kafka.security_protocol": "SASL_SSL"}
    given = {**login, **ENDPOINT, "endpoints.crm.secret": STRONG, "token": "short"}
    settings = settings_of(tmp_path, given, ",".join(dangers.NAMES))
    far = {"http": "0.0.0.0:8787", "token": "9Rk2mQ7xVt4LwZ8b"}
    dangers.warn(dangers.of(settings), settings.unsafe)

    assert dangers.of(settings) == dangers.of(settings_of(tmp_path, far)) == []
    assert caplog.records == []


def test_a_list_in_the_file_and_a_text_elsewhere_mean_the_same(tmp_path: Path) -> None:
    (tmp_path / "rapport.toml").write_text('unsafe = ["eviction", "no-aof"]\n')

    assert read({}, {}, tmp_path).unsafe == {"eviction", "no-aof"}
    assert read({}, {"RAPPORT_UNSAFE": "No-AOF, eviction"}, tmp_path / "nowhere").unsafe == {
        "eviction",
        "no-aof",
    }


@pytest.mark.parametrize("value", [["everything"], "eviction,all", 1, [1], True])
def test_what_cannot_be_allowed_is_no_word_of_it(value: object, tmp_path: Path) -> None:
    """Nobody may believe to have allowed, or to have kept out, what is not so."""
    with pytest.raises(SettingsError, match="unsafe: must be a list of eviction, no-aof"):
        read({"unsafe": value}, {}, tmp_path)


@pytest.mark.parametrize("name", ["", "partitions", "unknown", "cluster"])
def test_what_nothing_can_make_right_has_no_word(name: str, tmp_path: Path) -> None:
    """Unequal partition counts, unknown settings, a Cluster: there is only the mend."""
    assert name not in dangers.NAMES
    with pytest.raises(SettingsError, match="there is no such setting"):
        read({"patitions": 4}, {"RAPPORT_UNSAFE": "eviction"}, tmp_path)


def test_doctor_shows_what_is_allowed(tmp_path: Path) -> None:
    """Who looks after a system of somebody else must see what its settings put at risk."""
    state, told = doctor._settings(
        settings_of(tmp_path, LOGIN | {"redis": "redis://a:1"}, "plaintext-sasl")
    )

    assert state == "note"
    assert "allowed: kafka.security_protocol is SASL_PLAINTEXT" in told


def test_unequal_partition_counts_are_refused_with_danger_and_mend() -> None:
    """Nothing can allow them: half of a customer's events would be counted in another profile."""
    kafka = KafkaSettings(("one:9092",))
    equal = dict.fromkeys((*kafka.inputs, kafka.dead_letters), 3)
    with pytest.raises(TopicsError) as caught:
        topics.check(kafka, {**equal, "orders": 2})

    assert topics.check(kafka, equal) == 3
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("topic orders has 2 partitions and another has 3")
    assert "torn apart; give it 3" in caught.value.problems[0]
