"""`rapport rules promote`, `pause`, `resume`, `snooze` and `history`: the life of a rule while it runs."""

import asyncio
import getpass
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from streams.asked import clock_text
from streams.commands.options import (
    UsageError,
    as_json,
    counted,
    print_json,
    print_table,
    say,
    settings_options,
)
from streams.commands.store import address_of, open_store
from streams.errors import ServerError, StoreDownError
from streams.settings import KafkaLog, Settings

if TYPE_CHECKING:
    from streams.controls import Controls
    from streams.rule_life import RuleLife, Who

Told = Mapping[str, Any]

rule = click.argument("rule", metavar="RULE")
customer = click.option("--customer", metavar="ID", help="For this customer alone.")
by = click.option("--by", metavar="NAME", help="Who does so; by default the system's user.")


@click.command(short_help="Bring a rule into its next stage, or into another one.")
@rule
@click.option("--to", metavar="STAGE", help="shadow, canary or live; by default the next one.")
@click.option(
    "--share", metavar="PERCENT", help="Of the customers, for a canary; 10% if not given."
)
@click.option("--expect", metavar="RATE", help="How often it should fire, such as 20/h.")
@by
@as_json
@settings_options("log", "redis")
def promote(
    settings: Settings,
    *,
    rule: str,
    to: str | None,
    share: str | None,
    expect: str | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Bring a rule into its next stage, or into another one.

    From then on it is guarded: it is paused when it fires far more often, or reaches far more customers, than
    it would have in the days before, or than --expect says.
    """
    told = _done(settings, by, lambda life, who: life.promote(rule, who, to, share, expect))
    _say(told, as_json=as_json)


@click.command(short_help="Let a rule do nothing until it is resumed.")
@rule
@click.option("--why", metavar="TEXT", default="", help="For whoever asks later.")
@by
@as_json
@settings_options("log", "redis")
def pause(settings: Settings, *, rule: str, why: str, by: str | None, as_json: bool) -> None:
    """Let a rule do nothing until it is resumed: what it would have done is counted, not made up for."""
    told = _done(settings, by, lambda life, who: life.pause(rule, who, why))
    _say(told, as_json=as_json)


@click.command(short_help="Let a rule go on that was paused or snoozed.")
@rule
@customer
@by
@as_json
@settings_options("log", "redis")
def resume(
    settings: Settings, *, rule: str, customer: str | None, by: str | None, as_json: bool
) -> None:
    """Let a rule go on that was paused, also by its guard, or snoozed.

    What the guard has found counts as expected from then on.
    """
    told = _done(settings, by, lambda life, who: life.resume(rule, who, customer))
    _say(told, as_json=as_json)


@click.command(short_help="Let a rule do nothing for a while, for all or for one customer.")
@rule
@customer
@click.option("--until", metavar="TIME", help="As 2026-05-01T12:00, which is UTC.")
@click.option("--for", "duration", metavar="TIME", help="Such as 12h or 2d.")
@by
@as_json
@settings_options("log", "redis")
def snooze(
    settings: Settings,
    *,
    rule: str,
    customer: str | None,
    until: str | None,
    duration: str | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Let a rule do nothing for a while, for all customers or for one."""
    from streams.rule_life import until_of

    if (until is None) == (duration is None):
        raise UsageError("give one of --until TIME and --for TIME")

    def asked(life: "RuleLife", who: "Who") -> Awaitable[Told]:
        return life.snooze(rule, who, until_of(who.at_ms, until, duration), customer)

    _say(_done(settings, by, asked), as_json=as_json)


@click.command(short_help="List what was said about rules, and their reloads.")
@click.argument("rule", metavar="[RULE]", required=False)
@click.option("--limit", default=50, metavar="N", help="At most; 50 by default.")
@as_json
@settings_options("log", "redis")
def history(settings: Settings, *, rule: str | None, limit: int, as_json: bool) -> None:
    """List what was said about rules and what reloads have changed, the newest first."""
    from streams.rule_life import HISTORY_SHOWN_MAX

    if not 1 <= limit <= HISTORY_SHOWN_MAX:
        raise UsageError(f"--limit {limit}: must be from 1 to {HISTORY_SHOWN_MAX:,}")

    async def asking() -> list[dict[str, Any]]:
        async with _opened(settings) as life:
            return await life.history(rule, limit)

    found = asyncio.run(asking())
    if as_json:
        print_json({"history": found})
        return
    rows = [row for told in found for row in _rows(told, rule)]
    print_table(("time", "by", "rule", "what"), rows)


COMMANDS: Final = (promote, pause, resume, snooze, history)


def controls_of(settings: Settings) -> "Controls":
    """What is said about rules at the Redis that the settings mean; nothing where none runs."""
    if settings.redis is None and isinstance(settings.log, KafkaLog):
        return {}

    async def asking() -> "Controls":
        async with _opened(settings) as life:
            return await life.controls()

    try:
        return asyncio.run(asking())
    except ServerError:  # of our own, and it does not run: files are all there is
        return {}
    except StoreDownError as error:
        say(f"stages are those of the files, for {error}")
        return {}


def said_of(told: Told) -> str:
    """What was said about a rule that is described, in a few words."""
    said = []
    if told["staged"] is not None:
        staged = told["staged"]
        said.append(f"{told['stage']} by {staged['by']}, {clock_text(staged['at_ms'])}")
    if told["paused"] is not None:
        pause = told["paused"]
        why = f": {pause['why']}" if pause["why"] else ""
        said.append(f"paused by {pause['by']}, {clock_text(pause['at_ms'])}{why}")
    if told["snoozed"] is not None:
        snoozed = told["snoozed"]
        said.append(f"snoozed until {clock_text(snoozed['until_ms'])} by {snoozed['by']}")
    if told["snoozed_customers"]:
        said.append(f"snoozed for {counted(told['snoozed_customers'], 'customer')}")
    return "; ".join(said)


@asynccontextmanager
async def _opened(settings: Settings) -> "AsyncIterator[RuleLife]":
    from streams.rule_life import RuleLife
    from streams.store_async import AsyncConnection

    async with open_store(settings):  # which says what to do where there is none
        connection = AsyncConnection(address_of(settings))
        try:
            yield RuleLife(connection)
        finally:
            await connection.close()


def _done(
    settings: Settings, by: str | None, ask: "Callable[[RuleLife, Who], Awaitable[Told]]"
) -> Told:
    from streams.clock import SystemClock
    from streams.controls import AskError
    from streams.rule_life import Who

    async def asking() -> Told:
        async with _opened(settings) as life:
            return await ask(life, Who(by or _user(), SystemClock().now_ms()))

    try:
        return asyncio.run(asking())
    except AskError as error:
        raise UsageError(str(error)) from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # no such user in a container
        raise UsageError(
            f"the system does not say who you are ({error}); give --by NAME"
        ) from error


def _say(told: Told, *, as_json: bool) -> None:
    if as_json:
        print_json(told)
    else:
        click.echo(f"{told['rule']}: {sentence(told)}; in force within a second")


def sentence(told: Told) -> str:
    """An entry of the history, in words."""
    what, expected = told["what"], told.get("expected")
    limit = ""
    if isinstance(expected, Mapping):
        limit = (
            f"; {expected['an_hour']:,g} fires an hour are expected, for"
            f" {100 * expected['share']:.3g}% of the customers a day"
        )
    for_whom = "" if told.get("customer_id") is None else f" for {told['customer_id']}"
    why = f": {told['why']}" if told.get("why") else ""
    return {
        "promote": lambda: f"from {told['from']} to {told['to']}{limit}",
        "pause": lambda: f"paused{why}",
        "resume": lambda: f"resumed{for_whom}{limit}",
        "snooze": lambda: f"snoozed{for_whom} until {clock_text(told['until_ms'])}",
    }[what]()


def _rows(told: Told, rule: str | None) -> Iterator[tuple[str, str, str, str]]:
    head = (clock_text(told["at_ms"]), told["by"])
    if told["what"] != "reload":
        yield (*head, told["rule"], sentence(told))
        return
    for each in told["rules"]:
        if rule is None or each["rule"] == rule:
            yield (*head, each["rule"], f"reload: {_file(each['from'])} to {_file(each['to'])}")


def _file(known: Told | None) -> str:
    return "nothing" if known is None else f"version {known['version']} ({known['stage']})"
