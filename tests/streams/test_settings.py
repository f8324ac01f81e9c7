"""The settings are the first thing that a user gets wrong; they must say so, all at once."""

import base64
from pathlib import Path

import pytest

from streams.kafka_settings import KafkaSettings
from streams.settings import (
    Address,
    EmbeddedLog,
    Endpoint,
    KafkaLog,
    Settings,
    SettingsError,
    read,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def problems_of(
    flags: dict[str, object], environment: dict[str, str], folder: Path
) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        read(flags, environment, folder)
    return caught.value.problems


def test_without_any_source_the_defaults_run_on_one_machine_and_loopback(tmp_path: Path) -> None:
    """`rapport up` on a fresh laptop has no file at all."""
    settings = read({}, {"PATH": "/bin"}, tmp_path)

    assert settings == Settings()
    assert settings.log == EmbeddedLog(Path("rapport-data"))
    assert settings.http == Address("127.0.0.1", 8787)
    assert settings.http.is_loopback


def test_every_setting_can_come_from_the_file(tmp_path: Path) -> None:
    """Paths in the file mean the same wherever the command is started."""
    (tmp_path / "rapport.toml").write_text(
        f"""
        log = "kafka://one:9092,two:9092"
        redis = "rediss://:secret@cache:6380/0"
        group = "shop-1"
        rules = "rules"
        model = "/models/health.toml"
        http = "[::1]:0"
        topic_prefix = "eu."
        partitions = 12
        session_timeout_ms = 6000
        token = "let-me-in"

        [endpoints.crm-calls]
        url = "https://crm.example/hooks"
        secret = "{SECRET}"
        allow_private = true
        """
    )

    settings = read({}, {}, tmp_path)

    assert settings == Settings(
        log=KafkaLog(("one:9092", "two:9092")),
        redis="rediss://:secret@cache:6380/0",
        group="shop-1",
        rules=tmp_path / "rules",
        model=Path("/models/health.toml"),
        http=Address("::1", 0),
        topic_prefix="eu.",
        partitions=12,
        session_timeout_ms=6000,
        token="let-me-in",
        endpoints={
            "crm-calls": Endpoint("crm-calls", "https://crm.example/hooks", SECRET, True),
        },
    )


def test_the_environment_goes_over_the_file_and_flags_go_over_both(tmp_path: Path) -> None:
    """The file is what a team shares, the environment is the host's, the flag is this one run's."""
    (tmp_path / "rapport.toml").write_text(
        'group = "file"\ntopic_prefix = "file"\npartitions = 2\n'
        '[endpoints.Crm-Calls]\nurl = "https://file.example/"\n'
    )
    environment = {
        "RAPPORT_GROUP": "environment",
        "RAPPORT_TOPIC_PREFIX": "environment",
        "RAPPORT_ENDPOINTS_CRM_CALLS_SECRET": SECRET,
        "RAPPORT_ENDPOINTS_SLACK_URL": "https://slack.example/",
    }

    settings = read({"group": "flag", "partitions": None}, environment, tmp_path)

    assert settings.group == "flag"
    assert settings.topic_prefix == "environment"
    assert settings.partitions == 2
    assert settings.endpoints == {
        "Crm-Calls": Endpoint("Crm-Calls", "https://file.example/", SECRET),
        "slack": Endpoint("slack", "https://slack.example/"),
    }


def test_all_mistakes_are_reported_at_once_each_with_its_place(tmp_path: Path) -> None:
    """Mending one mistake per start is how a deployment takes an afternoon."""
    (tmp_path / "rapport.toml").write_text(
        'log = "kafka:one"\npartitions = 0\n[endpoints.crm]\nsecret = "whsec_short"\n'
    )

    found = problems_of({"http": "here"}, {"RAPPORT_REDIS": "http://x"}, tmp_path)

    file = tmp_path / "rapport.toml"
    assert found == (
        f"{file}: log: must be embedded:DIR or kafka://HOST:PORT,…, got 'kafka:one'",
        f"{file}: partitions: must be from 1 to 1024, got 0",
        f"{file}: endpoints.crm.secret: cannot be used: a secret is not whsec_ and base64",
        "RAPPORT_REDIS: redis: must be redis://HOST:PORT, rediss://HOST:PORT or unix:///SOCKET",
        "--http: http: must be HOST:PORT, got 'here'",
        'endpoints.crm: has no url; add url = "https://…" to it',
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [("patitions", "partitions"), ("RULES", "rules"), ("endpoints.crm.sercet", "secret")],
)
def test_an_unknown_setting_is_refused_with_the_name_that_was_meant(
    name: str, meant: str, tmp_path: Path
) -> None:
    """A misspelt setting that is silently ignored runs with the default instead."""
    found = problems_of({name: "4"}, {}, tmp_path)

    assert f"did you mean {meant}?" in found[0]


def test_an_unknown_variable_with_our_prefix_is_refused(tmp_path: Path) -> None:
    """The prefix is ours, so it can only be a misspelling."""
    found = problems_of({}, {"RAPPORT_TOPICS_PREFIX": "eu."}, tmp_path)

    assert len(found) == 1
    assert found[0].startswith("RAPPORT_TOPICS_PREFIX: topics_prefix: ")
    assert found[0].endswith("did you mean topic_prefix?")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log", "embedded:"),
        ("log", "kafka://"),
        ("log", "kafka://one:9092,"),
        ("log", "files:data"),
        ("redis", "redis://"),
        ("redis", "redis://host:70000"),
        ("redis", "unix://"),
        ("group", "two words"),
        ("group", ""),
        ("rules", ""),
        ("http", "::1:8787"),
        ("http", "127.0.0.1:65536"),
        ("http", ":8787"),
        ("topic_prefix", "a/b"),
        ("partitions", True),
        ("partitions", "many"),
        ("partitions", 1025),
        ("session_timeout_ms", 999),
        ("token", " "),
        ("endpoints.crm", "https://crm.example/"),
        ("endpoints.c r m.url", "https://crm.example/"),
        ("endpoints.crm.url", "crm.example"),
        ("endpoints.crm.url", "ftp://crm.example/"),
        ("endpoints.crm.url", "https://[::1/"),
    ],
)
def test_a_malformed_value_is_refused(name: str, value: object, tmp_path: Path) -> None:
    """What passes here is trusted everywhere else."""
    found = problems_of({name: value}, {}, tmp_path)

    assert len(found) == 1
    assert found[0].startswith("--")


@pytest.mark.parametrize(
    ("text", "broken"), [(None, "rapport.toml"), ("log = ", "rapport.toml"), ("log = 1", "log")]
)
def test_a_file_that_was_asked_for_must_be_there_and_be_toml(
    text: str | None, broken: str, tmp_path: Path
) -> None:
    """Without a name the file is optional; a named file that is skipped would be a silent default."""
    if text is not None:
        (tmp_path / "rapport.toml").write_text(text)

    assert broken in problems_of({"settings": "rapport.toml"}, {}, tmp_path)[0]
    assert broken in problems_of({}, {"RAPPORT_SETTINGS": "rapport.toml"}, tmp_path)[0]


@pytest.mark.parametrize(
    "written",
    [
        b"partitions = " + b"9" * 5_000,
        b"partitions = " + b"[" * 50_000,
        b'log = "\xff"',
        None,
    ],
)
def test_a_file_that_cannot_be_read_is_a_mistake(written: bytes | None, tmp_path: Path) -> None:
    """A traceback tells the wrong reader where to look."""
    file = tmp_path / "rapport.toml"
    if written is None:
        file.mkdir()  # what cannot be read, even by root
    else:
        file.write_bytes(written)

    (found,) = problems_of({}, {}, tmp_path)

    assert found.startswith(f"{file}: cannot be read: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("redis", "redis://:pass-word@[broken"),
        ("log", "kafka://user:pass-word@host:9092"),
        ("log", "kafka:user:pass-word@host:9092"),
        ("endpoints.crm.secret", "pass-word"),
        ("endpoints.crm.url", "hooks.example/pass-word"),
    ],
)
def test_no_message_and_no_repr_shows_a_secret(name: str, value: str, tmp_path: Path) -> None:
    """Start-up errors and settings end up in logs, which are read by more people than settings."""
    assert "pass-word" not in "".join(problems_of({name: value}, {}, tmp_path))

    good = read({"token": "pass-word", "redis": "redis://:pass-word@host"}, {}, tmp_path)
    assert "pass-word" not in repr(good)
    assert "pass-word" not in repr(Endpoint("crm", "https://crm.example/", "pass-word"))


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False), ("shop", False)],
)
def test_only_loopback_addresses_go_without_a_token(host: str, local: bool) -> None:
    """A name may resolve to anything, so it counts as reachable from outside."""
    assert Address(host, 80).is_loopback is local


def test_a_secret_is_taken_as_it_is_used(tmp_path: Path) -> None:
    """Settings and signatures must not have two minds about what a secret is."""
    padded = "whsec_" + base64.b64encode(bytes(range(25))).decode()
    bare = padded.rstrip("=")
    given = {"endpoints.crm.url": "https://crm.example/", "endpoints.crm.secret": bare}

    assert bare != padded
    assert read(given, {}, tmp_path).endpoints["crm"].secret == bare
    assert "24 to 64" in problems_of({**given, "endpoints.crm.secret": "AAAA"}, {}, tmp_path)[0]


def test_accepting_a_gap_reaches_the_log(tmp_path: Path) -> None:
    """It is what the message about a gap tells the operator to do."""
    kafka = {"log": "kafka://one:9092"}

    assert KafkaSettings.of(read({**kafka, "accept_gap": True}, {}, tmp_path)).accept_gap
    assert not KafkaSettings.of(read(kafka, {}, tmp_path)).accept_gap
