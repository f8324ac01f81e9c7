"""`rapport dlq`: records that could not be folded, and actions that nobody took: listed, sent again."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from streams.commands.cluster import kafka_settings
from streams.commands.options import (
    UsageError,
    as_json,
    counted,
    print_json,
    print_table,
    say,
    settings_options,
)
from streams.commands.store import open_given_up, open_store
from streams.settings import KafkaLog, Settings

if TYPE_CHECKING:
    from processors.batch import DeadLetter
    from streams.dead_letters import Letters
    from streams.delivery import Delivery

Answer = TypeVar("Answer")

VALUE_CHARS: Final = 80
ACTIONS_MAX: Final = 10_000_000  # about what the most shards can keep
STATUSES: Final = (
    "disabled",
    "given_up",
    "rejected",
)  # delivery.DEAD, which is not cheap to import


@click.group(short_help="List what failed for good, and try it again.")
def dlq() -> None:
    """List what failed for good, and try it again.

    Dead letters are records that are no events; they are put back into the log. Actions are given up
    when their receiver does not take them; they are sent again.
    """


@dlq.command("list", short_help="List dead letters.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@as_json
@settings_options("log", "redis", "group", "topic_prefix")
def list_(settings: Settings, *, limit: int, as_json: bool) -> None:
    """List records that could not be folded, oldest first, with why and where they came from."""
    found = asyncio.run(_with_letters(settings, lambda letters: letters.waiting(limit)))
    if as_json:
        print_json({"letters": [_told(each) for each in found]})
        return
    columns = ("topic", "shard", "position", "reason", "field", "detail", "value")
    rows = [[_told(each)[name] for name in columns] for each in found]
    print_table(columns, [[*row[:-1], _short(row[-1])] for row in rows])
    reasons = Counter(each.reason for each in found).most_common()
    counts = ", ".join(f"{count:,} {reason}" for reason, count in reasons)
    say(f"{counted(len(found), 'dead letter')}: {counts}" if found else "there are no dead letters")


@dlq.command(short_help="Put dead letters back into the log.")
@click.option("--limit", type=click.IntRange(1), default=10_000, show_default=True)
@as_json
@settings_options("log", "redis", "group", "topic_prefix")
def replay(settings: Settings, *, limit: int, as_json: bool) -> None:
    """Put the oldest dead letters back into the log, for instance after a limit has changed.

    In Kafka, key, headers and time are kept. What still cannot be folded becomes a dead letter
    again.
    """
    done = asyncio.run(_with_letters(settings, lambda letters: letters.replay(limit)))
    if as_json:
        print_json({"put_back": done.put_back, "left_out": done.left_out})
        return
    click.echo(f"{done.put_back:,} records are back in the log")
    if done.left_out:
        say(f"{done.left_out:,} were too large to be kept whole, and stay where they are")


_WHICH = (
    click.option("--endpoint", metavar="NAME", default="", help="Only those for this endpoint."),
    click.option("--status", type=click.Choice(STATUSES), help="Only those that ended so."),
)


def choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose among actions."""
    for option in reversed(_WHICH):
        command = option(command)
    return command


@dlq.command(short_help="List actions that were given up.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@choosing
@as_json
@settings_options("log", "redis")
def actions(
    settings: Settings, *, limit: int, endpoint: str, status: str | None, as_json: bool
) -> None:
    """List actions that nobody took and that are tried no more, the last ones first, with why."""
    found = asyncio.run(_given_up(settings, endpoint, status or "", limit))
    if as_json:
        from msgspec import to_builtins

        print_json({"actions": [to_builtins(each) for each in found]})
        return
    columns = ("id", "status", "endpoint", "rule", "customer", "attempts", "note")
    print_table(
        columns,
        [
            (
                *(each.id, each.status, each.target.name, each.rule, each.customer_id),
                *(each.attempts, _short(each.note)),
            )
            for each in found
        ],
    )
    say(
        f"{counted(len(found), 'action')} given up: `rapport dlq resend` sends them again"
        if found
        else "no action was given up"
    )


@dlq.command(short_help="Send again what was given up.")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that were given up.")
@choosing
@as_json
@settings_options("log", "redis")
def resend(
    settings: Settings,
    *,
    ids: tuple[str, ...],
    everything: bool,
    endpoint: str,
    status: str | None,
    as_json: bool,
) -> None:
    """Send actions again that were given up: these, or all of an endpoint, or all.

    Each has its whole schedule of attempts before it, with the same id and the same body as before.
    Whoever delivers begins within five seconds.
    """
    if not (ids or everything or endpoint or status):
        raise UsageError("say which: ids, --endpoint NAME, --status STATUS, or --all")
    done = asyncio.run(_resent(settings, ids, endpoint, status or ""))
    if as_json:
        print_json({"sent": done.sent, "disabled": sorted(done.disabled), "left": done.left})
        return
    click.echo(f"{counted(done.sent, 'action')} will be sent again")
    for name in sorted(done.disabled):
        say(f"those for {name} stay, for it is disabled: `rapport endpoints enable {name}` first")


@dataclass(frozen=True, slots=True)
class _Resent:
    sent: int
    left: int
    disabled: set[str]  # endpoints whose actions stay


async def _given_up(settings: Settings, endpoint: str, status: str, limit: int) -> "list[Delivery]":
    from streams.given_up import Chosen

    chosen = Chosen(endpoint=endpoint, status=status)
    async with open_given_up(settings) as given_up:
        return await given_up.actions(chosen, limit)


async def _resent(settings: Settings, ids: tuple[str, ...], endpoint: str, status: str) -> _Resent:
    from time import time_ns

    from streams.given_up import Chosen

    chosen = Chosen(frozenset(ids), endpoint, status)
    async with open_given_up(settings) as given_up:
        found = await given_up.actions(chosen, ACTIONS_MAX)
        disabled = {each.lane for each in await given_up.endpoints() if each.disabled}
        able = [each for each in found if each.lane not in disabled]
        left = {each.target.name for each in found if each.lane in disabled}
        sent = await given_up.resend(able, time_ns() // 1_000_000)
        return _Resent(sent, len(found) - len(able), left)


async def _with_letters(settings: Settings, ask: "Callable[[Letters], Answer]") -> "Answer":
    from streams.dead_letters import KafkaLetters, RedisLetters

    if isinstance(settings.log, KafkaLog):
        return ask(KafkaLetters(kafka_settings(settings)))
    async with open_store(settings) as store:
        return ask(RedisLetters(store.connection, store.partitions))


def _told(letter: "DeadLetter") -> dict[str, Any]:
    origin = letter.origin
    return {
        "topic": origin.topic,
        "shard": origin.partition,
        "position": origin.position,
        "at_ms": origin.at_ms,
        "key": None if origin.key is None else origin.key.decode(errors="backslashreplace"),
        "headers": {name: value.decode(errors="replace") for name, value in origin.headers},
        "reason": letter.reason,
        "field": letter.field,
        "at_byte": letter.at_byte,
        "detail": letter.detail,
        "value": (letter.value or b"").decode(errors="backslashreplace"),
    }


def _short(value: str) -> str:
    return value if len(value) <= VALUE_CHARS else value[: VALUE_CHARS - 1] + "…"
