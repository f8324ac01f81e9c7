"""`rapport rules`: rule files checked, listed, and taken into force."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams import kernels
from streams.commands.options import (
    RUNNING,
    Problems,
    as_json,
    counted,
    fail,
    print_json,
    print_table,
    running_url,
    say,
    settings_options,
    stdout,
)
from streams.commands.rules_backtest import backtest
from streams.commands.rules_check import check
from streams.commands.rules_life import COMMANDS, controls_of, said_of
from streams.commands.rules_lift import lift
from streams.commands.rules_test import test
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.step import Engine

folder = click.argument("place", metavar="[DIR]", required=False, type=click.Path(path_type=Path))


@click.group(short_help="Check, list and reload rule files.")
def rules() -> None:
    """Check, list and reload rule files."""


@rules.command("list", short_help="List rules, each with a plain sentence.")
@folder
@as_json
@settings_options("rules", "model", "log", "redis")
def list_(settings: Settings, *, place: Path | None, as_json: bool) -> None:
    """List the rules of a folder, each with its stage and a sentence that says what it does.

    Where a Rapport runs on this data or Redis, the stages are those in force, with who said so.
    """
    found = _described(settings, place)
    if as_json:
        print_json({"rules": found})
    elif stdout().is_terminal:
        for each in found:
            said = said_of(each)
            click.echo(f"{each['sentence']}\n" + (f"  {said}\n" if said else ""))
    else:
        columns = ("name", "version", "stage", "said", "file", "line", "sentence")
        rows = [{**each, "said": said_of(each)} for each in found]
        print_table(columns, [[row[name] for name in columns] for row in rows])


@rules.command(short_help="Make a running Rapport read its rules again.")
@folder
@click.option("--to", metavar="URL", help="A running Rapport; by default the one at --http.")
@as_json
@settings_options("rules", "model", "http", "token", said=RUNNING)
def reload(settings: Settings, *, place: Path | None, to: str | None, as_json: bool) -> None:
    """Make a running Rapport read its rules again; a DIR is checked here first."""
    if place is not None:
        _engine(settings, place)
    url = running_url(settings, to)
    status, answer = asyncio.run(_post(url + "/v1/rules/reload", settings.token))
    if as_json:
        print_json(answer)
        if status != 200:  # noqa: PLR2004  HTTP
            raise Problems("")
    elif status != 200:  # noqa: PLR2004  HTTP
        fail(f"{url}: {answer.get('detail') or status}")
    else:
        click.echo(f"in force: {counted(len(answer['rules']), 'rule')} of {answer['place']}")


for each in (check, backtest, test, lift, *COMMANDS):
    rules.add_command(each)


def _described(settings: Settings, place: Path | None) -> list[dict[str, Any]]:
    kernels.load(say)
    from streams.controlled import known, staged
    from streams.controls import NOTHING
    from streams.loader import Sources
    from streams.rulebook import described

    files = Sources(settings.model, place or settings.rules).read().rules
    controls = controls_of(settings)
    return [
        described(rule, known(file), controls.get(rule.name, NOTHING))
        for rule, file in zip(staged(files, controls).rules, files.rules, strict=True)
    ]


def _engine(settings: Settings, place: Path | None) -> "Engine":
    kernels.load(say)
    from streams.loader import Sources

    return Sources(settings.model, place or settings.rules).engine()


async def _post(url: str, token: str | None) -> tuple[int, dict[str, Any]]:
    import aiohttp

    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        async with aiohttp.ClientSession(headers=headers) as session, session.post(url) as answer:
            found = await answer.json(content_type=None)
            return answer.status, found if isinstance(found, dict) else {}
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Problems(f"no Rapport answers at {url}: {error}") from error
