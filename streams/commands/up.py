"""`rapport up`: everything in one process."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from streams import dangers, kernels, logs
from streams.commands.options import (
    Problems,
    UsageError,
    check_access,
    embedded_folder,
    ends_at_once,
    say,
    settings_options,
    stdout,
    until_signalled,
    version,
)
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.outfit import Outfit
    from streams.probes import Check
    from streams.receiver import Receiver
    from streams.snapshot import Part, Snapshot
    from streams.up import Running

LOG_FILE: Final = "rapport.log"  # in the data folder, while the terminal shows the live view
ASK_MS: Final = 1_000

_log = logging.getLogger("rapport")


@click.command(short_help="Start everything in one process.")
@click.option("--demo", is_flag=True, help="Add a simulated shop.")
@click.option("--seed", type=int, help="Which simulated shop; by default that of the data, or 7.")
@settings_options(
    "log", "redis", "rules", "model", "http", "partitions", "token", "accept_gap", "stale_after"
)
def up(settings: Settings, *, demo: bool, seed: int | None) -> None:
    """Start everything in one process, on an embedded log and store.

    Events go to POST /v1/events, profiles and actions are read from /v1/customers/ID and
    /v1/actions. Ctrl-C ends it; the next start goes on where it stopped.
    """
    if seed is not None and not demo:
        raise UsageError("--seed is for --demo")
    ends_at_once()
    folder = embedded_folder(settings, "`rapport up` has its log inside")
    check_access(settings)
    kernels.load(say)
    from streams.outfit import outfit_of

    console = stdout()
    outfit = outfit_of(settings, version(), console)
    say(f"rapport {version()} starts, with its data in {folder}")
    with ExitStack() as stack:
        if console.is_terminal:
            stack.enter_context(_log_file(folder))
        else:
            logs.set_up()
        dangers.warn(dangers.of(settings), settings.unsafe)
        until_signalled(_Session(outfit, seed, is_demo=demo).run)
    say("ended in order; the same command goes on from here")


class _Session:
    """One run, and what is shown of it."""

    def __init__(self, outfit: "Outfit", seed: int | None, *, is_demo: bool) -> None:
        from time import time

        from streams.board import Board

        self._board = Board(lambda: time() * 1000)
        self._is_demo = is_demo
        self._is_shown = is_demo or outfit.console.is_terminal
        self._seed = seed
        self._outfit = outfit
        if self._is_shown:
            self._outfit = replace(outfit, stored=self._board.stored, changed=self._board.changed)
        self._shows: list[asyncio.Task[None]] = []
        self._receivers: list[Receiver] = []  # the built-in one, if there is a shop
        self._redis: list[Check] = []  # the last answer

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; afterwards nothing is shown any more."""
        from streams import stage, up

        try:
            if self._is_demo:
                audience = stage.Audience(
                    opened=self._receivers.append,
                    started=lambda running: self._started(running, stop),
                    history=lambda _sent: self._board.phase("folding 90 days of history"),
                    curtain=lambda: self._board.phase(""),
                )
                await stage.run(self._outfit, self._seed, stop, audience)
            else:
                await up.run(self._outfit, stop, lambda running: self._started(running, stop))
        finally:
            stop.set()
            await asyncio.gather(*self._shows)

    def _started(self, running: "Running", stop: asyncio.Event) -> None:
        from streams.live_view import show

        url = f"http://{running.address.host}:{running.address.port}"
        if not self._outfit.console.is_terminal:
            self._tell(url)
        if self._is_shown:
            look = self._look(running, url)
            showing = show(self._outfit.console, look, self._outfit.clock, stop)
            asking = self._ask(running, stop)
            self._shows += [asyncio.create_task(each) for each in (showing, asking)]

    async def _ask(self, running: "Running", stop: asyncio.Event) -> None:
        """Ask Redis how it is, again and again."""
        clock = self._outfit.clock
        while not stop.is_set():
            self._redis = [await running.reader.probe()]
            await clock.wait(stop, clock.now_ms() + ASK_MS)

    def _tell(self, url: str) -> None:
        """What there is, in the log."""
        rulebook, settings = self._outfit.rulebook, self._outfit.settings
        rules = rulebook.engine.rules.rules
        packs = " (the starter packs; name yours with --rules)" if settings.rules is None else ""
        _log.info("rules in force: %d of %s%s", len(rules), rulebook.sources.place, packs)
        if not self._is_demo:
            for sentence in rulebook.missing():
                _log.warning("%s", sentence)
        _log.info("listening at %s: events to /v1/events, profiles at /v1/customers/ID", url)

    def _look(self, running: "Running", url: str) -> "Callable[[], Snapshot]":
        title = "Rapport, with a simulated shop" if self._is_demo else "Rapport"
        return lambda: self._board.snapshot(running.log.statuses, self._parts(url), title)

    def _parts(self, url: str) -> "list[Part]":
        from streams.snapshot import Part

        rulebook, settings = self._outfit.rulebook, self._outfit.settings
        rules = rulebook.engine.rules.rules
        told = f"{len(rules)} of {rulebook.sources.place}"
        if settings.rules is None:
            told += " (the starter packs; name yours with --rules)"
        if rulebook.error is not None:
            told += ", and their files have mistakes: rapport rules check"
        missing = [] if self._is_demo else rulebook.missing()
        ok = rulebook.error is None
        return [
            Part("http", ok=True, detail=f"{url}: POST /v1/events, GET /v1/customers/ID"),
            Part("rules", ok=ok, detail=told),
            *(
                Part("redis", ok=each.ok, detail=each.detail or "takes writes")
                for each in self._redis
            ),
            *(
                Part(
                    "receiver", ok=True, detail=f"{each.deliveries:,} came, {each.repeats:,} again"
                )
                for each in self._receivers
            ),
            *(Part("endpoint", ok=False, detail=sentence) for sentence in missing),
        ]


@contextmanager
def _log_file(folder: Path) -> Iterator[None]:
    """Logs in a file beside the data, while the terminal is drawn on."""
    from streams.redis_server import make_folder

    make_folder(folder)
    try:
        stream = (folder / LOG_FILE).open("a", encoding="utf-8")
    except OSError as error:
        raise Problems(f"{error.filename}: cannot be written: {error.strerror}") from error
    with stream:
        logs.set_up(stream)
        yield
    logs.set_up()
