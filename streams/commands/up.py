"""`rapport up`: everything in one process."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from streams import kernels
from streams.commands.options import say, settings_options, stdout, until_signalled, version
from streams.settings import EmbeddedLog, Endpoint, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.rule import Rule
    from streams.outfit import Outfit
    from streams.up import Running


@click.command(short_help="Start everything in one process.")
@settings_options("log", "redis", "rules", "model", "http", "partitions", "token")
def up(settings: Settings) -> None:
    """Start everything in one process, on an embedded log and store.

    Events go to POST /v1/events, profiles and actions are read from /v1/customers/ID and
    /v1/actions. Ctrl-C ends it; the next start goes on where it stopped.
    """
    kernels.load(say)
    from streams.outfit import outfit_of

    outfit = outfit_of(settings, version(), stdout())
    until_signalled(lambda stop: _run(outfit, stop))


async def _run(outfit: "Outfit", stop: asyncio.Event) -> None:
    from streams.up import run

    await run(outfit, stop, lambda running: _started(outfit, running))
    say("ended in order; the same command goes on from here")


def _started(outfit: "Outfit", running: "Running") -> None:
    settings, rulebook = outfit.settings, outfit.rulebook
    where = f"http://{running.address.host}:{running.address.port}"
    rules = rulebook.engine.rules.rules
    if isinstance(settings.log, EmbeddedLog) and settings.redis is None:
        say(f"data      {settings.log.directory}")
    packs = " (the starter packs; give your own with --rules DIR)" if settings.rules is None else ""
    say(f"rules     {len(rules)} of {rulebook.sources.place}{packs}")
    say(f"events    POST {where}/v1/events")
    say(f"profiles  GET  {where}/v1/customers/ID, {where}/v1/actions")
    for sentence in missing_endpoints(rules, settings.endpoints):
        say(f"note      {sentence}")


def missing_endpoints(rules: "Sequence[Rule]", endpoints: Mapping[str, Endpoint]) -> list[str]:
    """A sentence for each endpoint that rules name and the settings do not."""
    wanted: dict[str, list[str]] = {}
    for rule in rules:
        for target in rule.targets:
            if target.kind in {"webhook", "alert"} and target.name not in endpoints:
                wanted.setdefault(target.name, []).append(rule.name)
    return [
        f"there is no endpoint {name}: actions of {', '.join(dict.fromkeys(names))} are"
        f" kept as rejected; add [endpoints.{name}] with a url to rapport.toml"
        for name, names in wanted.items()
    ]
