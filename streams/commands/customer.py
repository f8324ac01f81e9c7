"""`rapport customer`: the profile of one customer, and why it is as it is."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.markup import escape

from streams.commands.options import as_json, fail, settings_options, stdout
from streams.commands.store import open_store
from streams.settings import Settings

COLOURS: Final = {"green": "green", "amber": "yellow", "red": "red"}
BAR_CELLS: Final = 20


@click.command(short_help="Show the profile of a customer.")
@click.argument("customer_id", metavar="ID")
@as_json
@settings_options("log", "redis")
def customer(settings: Settings, *, customer_id: str, as_json: bool) -> None:
    """Show the profile of a customer: health, why, and what there was so far."""
    view = asyncio.run(_view(settings, customer_id))
    if view is None:
        fail(f"there is no customer {customer_id!r} here")
    if as_json:
        click.echo(view)
    else:
        stdout().print("\n".join(lines(json.loads(view))))


async def _view(settings: Settings, customer_id: str) -> bytes | None:
    async with open_store(settings) as store:
        return await store.reader.customer(customer_id)


def lines(view: Mapping[str, Any]) -> list[str]:
    """The view in lines for people, in rich's markup."""
    found = [f"[bold]{_plain(view['customer_id'])}[/bold]", _health(view)]
    for reason in view["reasons"]:
        told = f"{_plain(reason['reason'])} ({_plain(reason['component'])})"
        found.append(f"         {reason['points']:+6.1f}  {told}")
    found += [
        (
            f"orders   {view['orders_count']:,} worth {view['orders_amount']:,.2f},"
            f" {view['returns_count']:,} returned worth {view['returns_amount']:,.2f}"
        ),
        f"tickets  {view['tickets_open']:,} open",
        (
            f"events   {view['events_count']:,}, from {_day(view['first_at_ms'])}"
            f" to {_day(view['last_at_ms'])}"
        ),
    ]
    found += [f"anomaly  {_plain(json.dumps(each))}" for each in view["anomalies"]]
    return [*found, f"model    {_plain(view['model'])}"]


def _health(view: Mapping[str, Any]) -> str:
    if view["health"] is None:
        return "health   not known yet: nothing has happened that says anything about it"
    colour = COLOURS.get(view["band"], "white")
    cells = round(view["health"] / 100 * BAR_CELLS)
    bar = "█" * cells + "░" * (BAR_CELLS - cells)
    trend = "" if view["trend"] is None else f"  trend {view['trend']:+.1f}"
    return (
        f"health   [{colour}]{bar} {view['health']:.0f} {view['band']}[/{colour}]{trend}"
        f"  confidence {view['confidence']:.0%}"
    )


def _plain(words: str) -> str:
    return escape("".join(c if c.isprintable() else " " for c in words))


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
