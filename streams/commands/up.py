"""`rapport up`: everything in one process."""

import asyncio
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from streams import kernels
from streams.commands.given_options import say, settings_options, stdout, version
from streams.settings import EmbeddedLog, Endpoint, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.rule import Rule
    from streams.up import Plan, Running


@click.command(short_help="Start everything in one process.")
@settings_options("log", "redis", "rules", "model", "http", "partitions", "token")
def up(settings: Settings) -> None:
    """Start everything in one process, on an embedded log and store.

    Events go to POST /v1/events, profiles and actions are read from /v1/customers/ID and
    /v1/actions. Ctrl-C ends it; the next start goes on where it stopped.
    """
    kernels.load(say)
    plan = _plan(settings)
    asyncio.run(_run(plan))


def _plan(settings: Settings) -> "Plan":
    from streams.clock import SystemClock
    from streams.loader import Sources
    from streams.metrics import Metrics
    from streams.rulebook import Rulebook
    from streams.up import Plan

    clock, metrics = SystemClock(), Metrics(version())
    rulebook = Rulebook(Sources(settings.model, settings.rules), metrics, clock.now_ms)
    return Plan(settings, rulebook, metrics, clock, stdout(), lambda *_: None, lambda _: None)


async def _run(plan: "Plan") -> None:
    from streams.up import run

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    await run(plan, stop, lambda running: _started(plan, running))
    say("ended in order; `rapport up` goes on from here")


def _started(plan: "Plan", running: "Running") -> None:
    settings, rulebook = plan.settings, plan.rulebook
    where = f"http://{running.address.host}:{running.address.port}"
    rules = rulebook.engine.rules.rules
    if isinstance(settings.log, EmbeddedLog) and settings.redis is None:
        say(f"data      {settings.log.directory}")
    packs = " (the starter packs; give your own with --rules DIR)" if settings.rules is None else ""
    say(f"rules     {len(rules)} of {rulebook.sources.place}{packs}")
    say(f"events    POST {where}/v1/events")
    say(f"profiles  GET  {where}/v1/customers/ID, {where}/v1/actions")
    for sentence in missing_endpoints(rules, settings.endpoints):
        say(sentence)


def missing_endpoints(rules: "Sequence[Rule]", endpoints: Mapping[str, Endpoint]) -> list[str]:
    """A sentence for each endpoint that rules name and the settings do not."""
    wanted: dict[str, list[str]] = {}
    for rule in rules:
        for target in rule.targets:
            if target.kind in {"webhook", "alert"} and target.name not in endpoints:
                wanted.setdefault(target.name, []).append(rule.name)
    return [
        f"note      there is no endpoint {name}: actions of {', '.join(dict.fromkeys(names))} are"
        f" kept as rejected; add [endpoints.{name}] with a url to rapport.toml"
        for name, names in wanted.items()
    ]
