"""`rapport up`: everything in one process."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import click

from streams import kernels
from streams.commands.options import (
    UsageError,
    embedded_folder,
    say,
    settings_options,
    stdout,
    until_signalled,
    version,
)
from streams.settings import EmbeddedLog, Endpoint, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.rule import Rule
    from streams.outfit import Outfit
    from streams.receiver import Received
    from streams.up import Running


@click.command(short_help="Start everything in one process.")
@click.option("--demo", is_flag=True, help="Add a simulated shop.")
@click.option("--seed", type=int, help="Which simulated shop; by default that of the data, or 7.")
@settings_options("log", "redis", "rules", "model", "http", "partitions", "token")
def up(settings: Settings, *, demo: bool, seed: int | None) -> None:
    """Start everything in one process, on an embedded log and store.

    Events go to POST /v1/events, profiles and actions are read from /v1/customers/ID and
    /v1/actions. Ctrl-C ends it; the next start goes on where it stopped.
    """
    if seed is not None and not demo:
        raise UsageError("--seed is for --demo")
    embedded_folder(settings, "`rapport up` has its log inside")
    kernels.load(say)
    from streams.outfit import outfit_of

    outfit = outfit_of(settings, version(), stdout())
    main = partial(_demo, outfit, seed) if demo else partial(_run, outfit)
    until_signalled(main)
    say("ended in order; the same command goes on from here")


async def _run(outfit: "Outfit", stop: asyncio.Event) -> None:
    from streams.up import run

    await run(outfit, stop, lambda running: _started(outfit, running))


async def _demo(outfit: "Outfit", seed: int | None, stop: asyncio.Event) -> None:
    from streams.stage import Audience, run

    audience = Audience(
        started=lambda running: _started(outfit, running, is_demo=True),
        history=_History().told,
        curtain=lambda: say("the history is folded, life goes on"),
        received=_received,
    )
    await run(outfit, seed, stop, audience)


class _History:
    """Tells how much of the history is in the log, now and then."""

    EVERY = 20_000

    def __init__(self) -> None:
        self._told = 0

    def told(self, sent: int) -> None:
        if sent - self._told >= self.EVERY:
            self._told = sent
            say(f"history   {sent:,} events")


def _received(one: "Received") -> None:
    again = " (again)" if one.is_repeat else ""
    click.echo(f"{one.type} {one.customer_id}: {one.reason}{again}")


def _started(outfit: "Outfit", running: "Running", *, is_demo: bool = False) -> None:
    settings, rulebook = outfit.settings, outfit.rulebook
    where = f"http://{running.address.host}:{running.address.port}"
    rules = rulebook.engine.rules.rules
    if isinstance(settings.log, EmbeddedLog) and settings.redis is None:
        say(f"data      {settings.log.directory}")
    packs = " (the starter packs; give your own with --rules DIR)" if settings.rules is None else ""
    say(f"rules     {len(rules)} of {rulebook.sources.place}{packs}")
    say(f"events    POST {where}/v1/events")
    say(f"profiles  GET  {where}/v1/customers/ID, {where}/v1/actions")
    if is_demo:
        return
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
