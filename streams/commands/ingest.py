"""`rapport ingest`: a history into the log."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from streams.commands.options import (
    RUNNING,
    Problems,
    as_json,
    parameters,
    print_json,
    running_url,
    say,
    settings_options,
    stderr,
)
from streams.commands.replay import ROWS_TOLD, source_options
from streams.settings import EmbeddedLog, KafkaLog, Settings

if TYPE_CHECKING:
    from streams.appender import Appender
    from streams.backfill import BadRow, Progress
    from streams.source import Source

CHECKPOINTS: Final = Path(".rapport")  # where there is no folder of an embedded log


@click.command(short_help="Put a history into the log.")
@source_options
@click.option("--sort", is_flag=True, help="Order the rows of the SQL by time.")
@click.option("--to", metavar="URL", help="A running Rapport; by default the one at --http.")
@click.option("--rate", type=click.FloatRange(min=0.001), help="Events a second at most.")
@click.option("--again", is_flag=True, help="Begin at the first row, whatever was done before.")
@as_json
@settings_options("log", "http", "topic_prefix", "token", said=RUNNING)
def ingest(
    settings: Settings,
    *,
    lines: Path | None,
    sql: Path | None,
    pairs: tuple[str, ...],
    sort: bool,
    to: str | None,
    rate: float | None,
    again: bool,
    as_json: bool,
) -> None:
    """Put a history into the log of a running Rapport, or into Kafka.

    Stopped at any point and started again, it goes on where it was. Rows that are no events are
    told, and left out.
    """
    from streams.query import open_source

    source = open_source(lines, sql, parameters(pairs), sort=sort)
    for notice in source.notices:
        say(f"{source.name}: {notice}")
    done, seconds = asyncio.run(_ingest(settings, source, to, rate, again=again))
    if as_json:
        told = {"rows": done.rows, "sent": done.sent, "bad": done.bad}
        told["resumed_at"] = done.resumed_at
        print_json({**told, "reasons": dict(done.reasons), "seconds": round(seconds, 3)})
    else:
        was_done = f" ({done.resumed_at:,} of them before)" if done.resumed_at else ""
        say(f"{done.rows:,} rows{was_done}: {done.sent:,} events sent, {done.bad:,} bad rows")
    if done.bad:
        raise Problems("")


async def _ingest(
    settings: Settings, source: "Source", to: str | None, rate: float | None, *, again: bool
) -> tuple["Progress", float]:
    from streams.backfill import Pace, Watcher, backfill
    from streams.checkpoint import checkpoint_file
    from streams.clock import SystemClock
    from streams.progress import shown
    from streams.token_bucket import TokenBucket

    destination = _destination(settings, to)
    is_embedded = isinstance(settings.log, EmbeddedLog) and settings.log.directory.is_dir()
    folder = settings.log.directory if is_embedded else CHECKPOINTS  # type: ignore[union-attr]  # it is embedded
    file = checkpoint_file(folder, source.name, destination)
    bucket = None if rate is None else TokenBucket(rate, max(1.0, rate))
    began = time.monotonic()
    with shown(stderr(), source.count(), time.monotonic) as show:
        async with _appender(settings, to, destination) as appender:
            task = asyncio.ensure_future(
                backfill(
                    source,
                    appender,
                    destination,
                    file,
                    Pace(SystemClock(), bucket),
                    Watcher(_Teller().tell, show),
                    again=again,
                    knows=getattr(appender, "knows", None),
                )
            )
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
            try:
                done = await task
            except asyncio.CancelledError:
                without = " without --again" if again else ""
                raise Problems(f"stopped; the same command{without} goes on from here") from None
    return done, time.monotonic() - began


class _Teller:
    """Tells of the first bad rows."""

    def __init__(self) -> None:
        self._count = 0

    def tell(self, bad: "BadRow") -> None:
        self._count += 1
        if self._count <= ROWS_TOLD:
            say(f"row {bad.row}: {bad.reason}: {bad.detail}")
        elif self._count == ROWS_TOLD + 1:
            say("there are more bad rows; they are counted")


def _destination(settings: Settings, to: str | None) -> str:
    """The name of where it goes, for the checkpoint: a URL."""
    if to is None and isinstance(settings.log, KafkaLog):
        return f"kafka://{','.join(settings.log.servers)}/{settings.topic_prefix}"
    return running_url(settings, to)


@asynccontextmanager
async def _appender(
    settings: Settings, to: str | None, destination: str
) -> AsyncIterator["Appender"]:
    if to is None and isinstance(settings.log, KafkaLog):
        from streams.kafka_producer import KafkaAppender, KafkaProducer
        from streams.kafka_settings import KafkaSettings

        kafka = KafkaSettings.of(settings)
        producer = KafkaProducer(kafka)
        try:
            yield KafkaAppender(kafka, producer)
        finally:
            await producer.close()
        return
    import aiohttp

    from streams.gateway_appender import GatewayAppender

    async with aiohttp.ClientSession() as session:
        await _look(session, destination)
        yield GatewayAppender(session, destination, settings.token)


async def _look(session: object, url: str) -> None:
    """Say at once when nobody is there; later on, that is waited for."""
    import aiohttp

    assert isinstance(session, aiohttp.ClientSession), "ours"
    try:
        async with session.get(url + "/livez", timeout=aiohttp.ClientTimeout(total=10)):
            return
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Problems(
            f"no Rapport answers at {url} ({str(error) or 'no answer'}); start one with `rapport up`,"
            " or name another with --to URL"
        ) from error
