"""The entries of the embedded log, as Redis hands them out, to records.

Promise   Whatever somebody else has put into the stream becomes a dead letter.
Not here  Reading the stream (redis_log.py), writing it (redis_appender.py).
"""

from collections.abc import Sequence
from typing import Final

from processors.batch import Origin, Records
from streams.store import Reply, list_of, text_of

TOPIC: Final = "log"  # the name of the one topic, in the fence and in metrics

Entry = tuple[str, bytes | None]  # id and value


def entries_of(reply: Reply) -> list[Entry]:
    """The entries of one stream."""
    found: list[Entry] = []
    for entry in list_of(reply):
        entry_id, fields = list_of(entry)
        words = list_of(fields)
        value = text_of(words[1]) if len(words) == 2 else None  # noqa: PLR2004  one field
        found.append(((text_of(entry_id) or b"").decode(), value))
    return found


def time_ms_of(entry_id: str) -> int:
    """When an entry was appended, by the clock of Redis.

    >>> time_ms_of("1714564800000-3")
    1714564800000
    """
    return int(entry_id.partition("-")[0])


def records_of(number: int, entries: Sequence[Entry]) -> Records:
    """Entries of a shard as records."""
    times_ms = [time_ms_of(entry_id) for entry_id, _ in entries]

    def origin(index: int) -> Origin:
        return Origin(TOPIC, number, entries[index][0], None, (), times_ms[index])

    return Records([value for _, value in entries], times_ms, origin)
