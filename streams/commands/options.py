"""What commands share: options that are settings, what is told, and how.

Promise   Whatever is wrong with files or servers ends a command with a sentence on stderr and exit
          code 1; a mistake in the call or in the settings with 2, and so does a file or folder that
          they name and that is not there. Answers go to stdout, all else to stderr. Colours and tables
          only where a person looks.
Not here  Each command: the other files of this folder.
"""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

import click
from rich.console import Console
from rich.table import Table

from streams.settings import EmbeddedLog, KafkaLog, Settings, SettingsError, read

DISTRIBUTION: Final = "rapport-engine"
FOUND_PROBLEMS: Final = 1
USAGE: Final = 2

_OPTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "log": ("LOG", "embedded:DIR or kafka://HOST:PORT,…"),
    "redis": ("URL", "Redis to use; by default the embedded one."),
    "group": ("NAME", "Kafka consumer group of the workers."),
    "rules": ("DIR", "Folder of rule files; by default the starter packs."),
    "model": ("FILE", "Model file; by default the one that comes along."),
    "http": ("HOST:PORT", "Where to listen."),
    "topic_prefix": ("TEXT", "Before the name of each Kafka topic."),
    "partitions": ("N", "Number of shards of the embedded log."),
    "session_timeout_ms": ("MS", "Kafka's; how soon a dead worker is missed."),
    "stale_after": ("TIME", "How old a cause may arrive and still have effects; 1d, or never."),
    "token": ("TEXT", "What callers must show; better given as RAPPORT_TOKEN."),
}
_OF_KAFKA: Final[Mapping[str, str]] = {
    "log": "kafka://HOST:PORT,…",
    "redis": "Redis that the workers share.",
}
RUNNING: Final[Mapping[str, str]] = {  # for commands that call one
    "http": "Where the Rapport that runs listens.",
    "token": "What it wants to be shown; better given as RAPPORT_TOKEN.",
}
_SWITCHES: Final[Mapping[str, str]] = {
    "accept_gap": "Go on at the log's start where it has lost what comes next.",
}


class UsageError(click.ClickException):
    """A mistake in the call or the settings."""

    exit_code = USAGE


class Problems(click.ClickException):
    """The command has found problems; what they are is told already, or is the message."""

    exit_code = FOUND_PROBLEMS

    def show(self, file: Any = None) -> None:  # noqa: ANN401  as click has it
        if self.message:
            super().show(file)


def settings_options(
    *names: str,
    only_kafka: bool = False,
    said: Mapping[str, str] = MappingProxyType({}),
    defaults: Mapping[str, str] = MappingProxyType({}),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add these options and `--settings`; hand the command `settings`.

    Args:
        names: of the settings.
        only_kafka: the command is about Kafka; with the embedded log there is `--data` besides `--log`.
        said: help other than the usual, where a setting means something else to this command.
        defaults: of this command, for settings that are given nowhere.
    """
    texts = {**(_OF_KAFKA if only_kafka else {}), **said}

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_settings(**given: Any) -> Any:  # noqa: ANN401  whatever the command takes
            flags = {name: given.pop(name) for name in ("settings", *names)}
            data = given.pop("data", None)
            if data is not None:
                if flags["log"] is not None:
                    raise UsageError("--data DIR means --log embedded:DIR; give one of the two")
                flags["log"] = f"embedded:{data}"
            return command(settings=settings_of(flags, defaults), **given)

        wrapped: Callable[..., Any] = with_settings
        for name in reversed(names):
            option = "--" + name.replace("_", "-")
            if name in _SWITCHES:
                text = _SWITCHES[name]
                wrapped = click.option(option, name, is_flag=True, default=None, help=text)(wrapped)
                continue
            metavar, text = _OPTIONS[name]
            text = texts.get(name, text)
            wrapped = click.option(option, name, metavar=metavar, help=text)(wrapped)
        if "log" in names and not only_kafka:
            text = "Folder of the embedded log; by default rapport-data."
            wrapped = click.option("--data", metavar="DIR", help=text)(wrapped)
        text = "Settings file; by default rapport.toml, if there is one."
        return click.option("--settings", metavar="FILE", help=text)(wrapped)

    return decorate


def settings_of(
    flags: Mapping[str, object], defaults: Mapping[str, object] = MappingProxyType({})
) -> Settings:
    """The settings with these flags over them, and these defaults under them."""
    try:
        return read(flags, os.environ, defaults=defaults)
    except SettingsError as error:
        raise UsageError(str(error)) from error


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def stdout() -> Console:
    """Where answers go."""
    return Console(highlight=False, soft_wrap=True)


def stderr() -> Console:
    """Where everything else goes."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(sentence: str) -> None:
    """Tell the user, beside the answer."""
    click.echo(sentence, err=True)


def print_json(value: object) -> None:
    """One JSON document on stdout; indented where a person looks."""
    indent = 2 if click.get_text_stream("stdout").isatty() else None
    click.echo(json.dumps(value, ensure_ascii=False, indent=indent))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on a terminal, columns with tabs between elsewhere."""
    console = stdout()
    if not console.is_terminal:
        for row in (columns, *rows):
            click.echo("\t".join(_flat(each) for each in row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        numbers = all(isinstance(row[index], int | float) for row in rows)
        table.add_column(column, justify="right" if numbers and rows else "left")
    for row in rows:
        table.add_row(*(_flat(each) for each in row))
    console.print(table)


def counted(count: int, noun: str) -> str:
    """A number of things, in words.

    >>> counted(1, "rule"), counted(2_000, "dead letter")
    ('1 rule', '2,000 dead letters')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _flat(value: object) -> str:
    words = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return "".join(c if c.isprintable() else " " for c in words)


def embedded_folder(settings: Settings, what: str) -> Path:
    """The folder of the embedded log."""
    if not isinstance(settings.log, EmbeddedLog):
        raise UsageError(f"{what}, and the log is Kafka; give --data DIR")
    return settings.log.directory


def kafka_log(settings: Settings, what: str) -> KafkaLog:
    """The Kafka log."""
    if not isinstance(settings.log, KafkaLog):
        raise UsageError(f"{what}; give --log kafka://HOST:PORT, or set log in rapport.toml")
    return settings.log


def check_access(settings: Settings) -> None:
    """Refuse an address that needs a token, before anything has begun."""
    from streams.access import guard

    try:
        guard(settings.http, settings.token)
    except ValueError as error:
        raise UsageError(str(error)) from error


def running_url(settings: Settings, to: str | None) -> str:
    """Where the Rapport that runs is: at `--to`, else at `--http`."""
    if to is None:
        return f"http://{settings.http.host}:{settings.http.port}"
    if not to.startswith(("http://", "https://")):
        raise UsageError(f"--to {to}: must begin with http:// or https://")
    return to.rstrip("/")


def parameters(pairs: Sequence[str]) -> dict[str, str]:
    """The values of `--set NAME=VALUE`."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {pair}: write it as NAME=VALUE")
        if name in found:
            raise UsageError(f"--set {name}: it is given twice")
        found[name] = value
    return found


def version() -> str:
    """Ours."""
    return metadata.version(DISTRIBUTION)


def ends_at_once() -> None:
    """End with 0 on SIGTERM from now on: nothing is there yet that could be ended in order.

    `until_signalled` takes over.
    """

    def leave(_signal: int, _frame: object) -> NoReturn:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)


def until_signalled(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run until SIGTERM or SIGINT sets the event. Raises what ended it."""

    async def guarded() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, stop.set)
        await main(stop)

    asyncio.run(guarded())


def fail(message: str) -> NoReturn:
    """End with exit code 1 and a sentence."""
    raise Problems(message)
