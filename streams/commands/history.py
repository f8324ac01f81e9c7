"""The history that a command runs over: a file, a query, or what the log still holds; and the bar."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streams.commands.cluster import kafka_settings
from streams.commands.options import UsageError, parameters, say, stderr
from streams.settings import EmbeddedLog, KafkaLog, Settings

if TYPE_CHECKING:
    from streams.source import Source

LOG: Final = {
    "log": "Whose events are the history, where no file is given; by default the embedded."
}


def history(
    settings: Settings,
    lines: Path | None,
    sql: Path | None,
    pairs: tuple[str, ...],
    *,
    sort: bool,
) -> "Source":
    """The source that was named; what there is to notice about it is said."""
    from streams.query import open_source

    if lines is not None and sql is not None:
        raise UsageError("name one source: FILE.jsonl, or --sql FILE.sql")
    found: Source
    if lines is not None or sql is not None:
        found = open_source(lines, sql, parameters(pairs), sort=sort)
    elif isinstance(settings.log, KafkaLog) and not pairs and not sort:
        from streams.kafka_history import KafkaHistory

        found = KafkaHistory(kafka_settings(settings))
    elif isinstance(settings.log, EmbeddedLog) and not pairs and not sort:
        from streams.kept_history import FOLDER, KeptSource

        found = KeptSource(settings.log.directory / FOLDER)
    else:
        raise UsageError("--set and --sort go with --sql FILE.sql")
    for notice in found.notices:
        say(f"{found.name}: {notice}")
    return found


@contextmanager
def reading(source: "Source") -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal while the source is read; what comes out takes the rows so far."""
    from streams.backfill import Progress
    from streams.progress import shown

    console = stderr()
    total = source.count() if console.is_terminal else None
    with shown(console, total, time.monotonic) as show:
        yield lambda rows: show(Progress(rows=rows, sent=rows, bad=0, resumed_at=0))
