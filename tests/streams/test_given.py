"""One value as people write it, and what is said when it is none."""

from pathlib import Path

import pytest

from streams.settings import EmbeddedLog, SettingsError, read


def problems_of(flags: dict[str, object], folder: Path) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        read(flags, {}, folder)
    return caught.value.problems


@pytest.mark.parametrize(
    ("words", "stale_ms"),
    [(None, 86_400_000), ("90m", 5_400_000), ("2W", 1_209_600_000), ("never", None)],
)
def test_when_a_cause_is_stale_is_written_as_rules_write_times(
    tmp_path: Path, words: str | None, stale_ms: int | None
) -> None:
    """A day unless somebody says otherwise."""
    assert read({"stale_after": words}, {}, tmp_path).stale_ms == stale_ms


@pytest.mark.parametrize("words", ["1", "0d", "-1d", "1.5d", "1y", "", "9999w", 1])
def test_what_is_no_time_is_refused(tmp_path: Path, words: object) -> None:
    """A bare number would be of somebody else's unit."""
    (problem,) = problems_of({"stale_after": words}, tmp_path)

    assert problem.startswith("--stale-after: stale_after: must be ")


@pytest.mark.parametrize(("words", "meant"), [("TRUE", True), ("off", False), ("1", True)])
def test_switches_understand_the_words_that_people_write(words: str, meant: bool) -> None:
    """The environment has only texts."""
    settings = read(
        {},
        {
            "RAPPORT_ENDPOINTS_CRM_URL": "https://crm.example/",
            "RAPPORT_ENDPOINTS_CRM_ALLOW_PRIVATE": words,
        },
    )

    assert settings.endpoints["crm"].allow_private is meant


def test_where_the_log_has_a_login_it_is_told_where_logins_go(tmp_path: Path) -> None:
    """Other tools take it in the address, so people try."""
    (found,) = problems_of({"log": "kafka://user:pass-word@host:9092"}, tmp_path)

    assert "[kafka]" in found
    assert read({"log": "embedded:a@b"}, {}, tmp_path).log == EmbeddedLog(tmp_path / "a@b")
