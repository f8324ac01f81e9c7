"""`rapport endpoints`: how receivers are, and those that were disabled, used again."""

import asyncio
from typing import TYPE_CHECKING, Any

import click

from rules.duration import iso
from streams.commands.options import (
    as_json,
    fail,
    print_json,
    print_table,
    say,
    settings_options,
)
from streams.commands.store import open_given_up
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.given_up import EndpointState


@click.group(short_help="List receivers, and use those again that were disabled.")
def endpoints() -> None:
    """List receivers of webhooks, alerts and messages, and use those again that were disabled."""


@endpoints.command("list", short_help="List endpoints, and how they are.")
@as_json
@settings_options("log", "redis")
def list_(settings: Settings, *, as_json: bool) -> None:
    """List endpoints, how they are, and how many actions wait for each."""
    from streams.endpoints import ENDPOINT_KINDS

    known = {each.lane: each for each in asyncio.run(_known(settings))}
    lanes = {lane for lane in known if lane.partition(":")[0] in ENDPOINT_KINDS}
    named = {lane.partition(":")[2] for lane in lanes}
    lanes |= {f"webhook:{name}" for name in settings.endpoints if name not in named}
    found = [_told(settings, lane, known.get(lane)) for lane in sorted(lanes)]
    if as_json:
        print_json({"endpoints": found})
        return
    columns = ("endpoint", "kind", "state", "waiting", "rate", "note")
    print_table(columns, [[each[name] for name in columns] for each in found])
    if any(each["state"] == "disabled" for each in found):
        say("`rapport endpoints enable NAME` uses an endpoint again that is disabled")


@endpoints.command(short_help="Use an endpoint again that was disabled.")
@click.argument("name")
@settings_options("log", "redis")
def enable(settings: Settings, *, name: str) -> None:
    """Use an endpoint again that was disabled; whoever delivers does so within five seconds.

    What it has missed is given up: `rapport dlq resend --endpoint NAME` sends that.
    """
    if not asyncio.run(_enabled(settings, name)):
        fail(f"the endpoint {name} is not disabled; `rapport endpoints list` says which are")
    click.echo(f"{name} is used again within five seconds")


def _told(settings: Settings, lane: str, found: "EndpointState | None") -> dict[str, Any]:
    from streams.endpoints import about_of

    kind, _, name = lane.partition(":")
    endpoint = settings.endpoints.get(name)
    told: dict[str, Any] = {
        "endpoint": name,
        "kind": kind,
        "state": "well",
        "waiting": 0,
        "note": "",
    }
    told |= {"failing_since_ms": None, "rate": "", "burst": None}
    if endpoint is not None and endpoint.rate is not None:
        told |= {"rate": str(endpoint.rate), "burst": endpoint.burst_of_rate}
    if found is None:
        return told
    told["waiting"] = found.waiting_count
    if endpoint is not None and found.about and about_of(endpoint) not in found.about:
        return told  # all that is known is about another address
    if found.disabled:
        return {**told, "state": "disabled", "note": found.disabled}
    if found.failing_since_ms is not None:
        since = {"state": "failing", "failing_since_ms": found.failing_since_ms}
        return {**told, **since, "note": f"only failures since {iso(found.failing_since_ms)}"}
    return told


async def _known(settings: Settings) -> "list[EndpointState]":
    async with open_given_up(settings) as given_up:
        return await given_up.endpoints()


async def _enabled(settings: Settings, name: str) -> bool:
    async with open_given_up(settings) as given_up:
        return await given_up.enable(name)
