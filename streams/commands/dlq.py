"""`rapport dlq`: records that could not be folded, listed and put back."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from streams.commands.cluster import kafka_settings
from streams.commands.options import (
    as_json,
    counted,
    print_json,
    print_table,
    say,
    settings_options,
)
from streams.commands.store import open_store
from streams.settings import KafkaLog, Settings

if TYPE_CHECKING:
    from processors.batch import DeadLetter
    from streams.dead_letters import Letters

Answer = TypeVar("Answer")

VALUE_CHARS: Final = 80


@click.group(short_help="List dead letters, and put them back.")
def dlq() -> None:
    """List dead letters, and put them back into the log."""


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
