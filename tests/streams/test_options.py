"""Options that are settings, as commands differ in them."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from streams.commands.options import settings_options
from streams.commands.scale_out import ANY_FREE, gateway, relay, worker
from streams.settings import Settings


@click.command()
@settings_options("http", defaults=ANY_FREE)
def listener(settings: Settings) -> None:
    click.echo(f"{settings.http.host}:{settings.http.port}")


@pytest.mark.parametrize(
    ("file", "environment", "flags", "listens"),
    [
        ("", {}, (), "127.0.0.1:0"),
        ('http = "127.0.0.1:1"', {}, (), "127.0.0.1:1"),
        ('http = "127.0.0.1:1"', {"RAPPORT_HTTP": "127.0.0.1:2"}, (), "127.0.0.1:2"),
        ('http = "127.0.0.1:1"', {}, ("--http", "127.0.0.1:3"), "127.0.0.1:3"),
    ],
)
def test_a_commands_own_default_gives_way_to_every_setting(
    tmp_path: Path, file: str, environment: dict[str, str], flags: tuple[str, ...], listens: str
) -> None:
    """A worker whose metrics are not where its settings say is not watched."""
    settings = tmp_path / "rapport.toml"
    settings.write_text(file)
    result = CliRunner().invoke(listener, ["--settings", str(settings), *flags], env=environment)

    assert result.output == f"{listens}\n"


@pytest.mark.parametrize("command", [worker, relay, gateway])
def test_who_serves_http_reads_where(command: click.Command) -> None:
    """And none of them offers a folder for a log that it does not have."""
    options = {each.name for each in command.params}

    assert "http" in options
    assert "data" not in options


@pytest.mark.parametrize(("command", "is_any"), [(worker, True), (relay, True), (gateway, False)])
def test_help_says_where_by_default(command: click.Command, *, is_any: bool) -> None:
    """Two workers on one machine must not need an option."""
    told = CliRunner().invoke(command, ["--help"]).output

    assert ("any free port" in " ".join(told.split())) is is_any
