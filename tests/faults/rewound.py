"""How far shards are, before and after Redis was taken away, and what must have come of it all.

Promise   Positions, records and deliveries are read from Redis and from the inbox, and held beside
          the oracle; nothing of the engine is asked.
Not here  Taking Redis away (experiments/redis_kill.py, redis_rollback.py, replica_promotion.py).
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import msgspec
import redis

from tests.faults.experiment import Outcome, p99
from tests.faults.inbox import Cause, Inbox
from tests.faults.installed import Installed
from tests.faults.oracle import verdict
from tests.integration import reading
from tests.integration.reading import PARTITIONS
from tests.integration.redis_server import RedisServer
from tests.integration.shop import Told, expected, stored

START_SECONDS_MAX: Final = 150.0  # of workers that have to compile first
READ_SECONDS_MAX: Final = 120.0
DELIVERED_SECONDS_MAX: Final = 60.0  # another attempt comes after 5 s
POLL_SECONDS: Final = 0.005

Positions = Mapping[int, int]
"""By shard: how many records are behind it, of all topics."""

NOWHERE: Final[Positions] = dict.fromkeys(range(PARTITIONS), 0)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What it took after one fault."""

    stall_ms: float  # from the fault until each shard commits again
    recover_ms: float  # from the return of Redis until then

    @classmethod
    def now(cls, killed_s: float, back_s: float) -> Self:
        """It has recovered: Redis was gone from the first time on, and there again at the second."""
        now_s = time.monotonic()
        return cls((now_s - killed_s) * 1_000, (now_s - back_s) * 1_000)


def positions(client: redis.Redis) -> Positions:
    found = dict(NOWHERE)
    for (_, number), position in reading.positions(client).items():
        found[number] += position
    return found


def newest_file(server: RedisServer) -> Path:
    """The append-only file that is written now."""
    return max(server.append_only_files, key=lambda file: file.stat().st_mtime_ns)


def nonces(client: redis.Redis) -> dict[int, str]:
    """Who owns each shard, by its fence; "" where nobody does."""
    return dict.fromkeys(NOWHERE, "") | reading.owners(client)


def fallen_back(before: Positions, after: Positions) -> dict[int, int]:
    """How many records each shard that fell back has to read again.

    >>> fallen_back({0: 7, 1: 5}, {0: 4, 1: 5})
    {0: 3}
    """
    return {number: at - after[number] for number, at in before.items() if after[number] < at}


def until_past(client: redis.Redis, marks: Positions, words: str, seconds_max: float) -> None:
    """Return when each shard is past its mark."""

    def is_so() -> bool:
        found = positions(client)
        return all(found[number] > mark for number, mark in marks.items())

    until(is_so, words, seconds_max)


def noticed(workers: Installed) -> float:
    """How often workers have told that Redis had lost commits of theirs."""
    return sum(workers.metric(name, "rapport_rollbacks_total") for name in workers.workers)


def until_claimed(client: redis.Redis, before: Mapping[int, str]) -> None:
    """Return when each of these shards has another nonce than then."""

    def is_so() -> bool:
        found = nonces(client)
        return all(found[number] != nonce for number, nonce in before.items())

    until(is_so, "claimed again", READ_SECONDS_MAX)


def until_read(client: redis.Redis, count: int) -> None:
    """Return when so many records are behind the shards."""
    words = f"{count} events are read"
    until(lambda: sum(positions(client).values()) >= count, words, READ_SECONDS_MAX)


def until_delivered(inbox: Inbox, causes: Counter[Cause]) -> None:
    """Return when the inbox has all that it must have, or when nobody would wait any longer."""
    deadline = time.monotonic() + DELIVERED_SECONDS_MAX
    while time.monotonic() < deadline and causes - inbox.delivered:
        time.sleep(0.2)


def until(is_so: Callable[[], bool], words: str, seconds_max: float) -> None:
    deadline = time.monotonic() + seconds_max
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds_max} s: {words}"
        time.sleep(POLL_SECONDS)


def causes_of(sent: Sequence[Told]) -> Counter[Cause]:
    """The actions that must be decided."""
    wanted = expected(sent)
    return Counter((name, *cause) for name, each in wanted.items() for cause in each.causes)


def recorded(client: redis.Redis) -> Counter[Cause]:
    """The actions of which there are records."""
    found: Counter[Cause] = Counter()
    for number in range(PARTITIONS):
        records = client.hvals(f"rapport:{{{number}}}:actions")
        assert isinstance(records, list)
        for record in map(msgspec.json.decode, records):
            found[record["customer_id"], record["rule"], record["cause"]] += 1
    return found


def outcome(
    client: redis.Redis,
    inbox: Inbox,
    sent: Sequence[Told],
    recoveries: Sequence[Recovery],
    figures: Mapping[str, float],
    more_wrong: Sequence[str] = (),
) -> Outcome:
    """What came out, once all is read: state, decisions and deliveries beside the oracle."""
    causes = causes_of(sent)
    until_delivered(inbox, causes)
    found = verdict(expected(sent), replace(stored(client), causes=recorded(client)))
    delivered = inbox.delivered
    missing, surplus = causes - delivered, delivered - causes
    wrong = [*more_wrong, *found.wrong]
    wrong += [f"not delivered: {each}" for each in missing.elements()]
    wrong += [f"delivered under an id too many: {each}" for each in surplus.elements()]
    wrong += [f"repeated with other bytes: {each}" for each in inbox.altered]
    return Outcome(
        faults=len(recoveries),
        offered=len(sent),
        acked=len(sent),
        applied=found.applied,
        decided=found.decided,
        delivered=len(inbox.taken),
        repeated=inbox.repeated,
        missing=found.missing + missing.total(),
        surplus=found.surplus + surplus.total(),
        stall_ms_max=max(each.stall_ms for each in recoveries),
        recover_ms_p99=p99(each.recover_ms for each in recoveries),
        figures=figures,
        wrong=tuple(wrong),
    )


def naive_outcome(client: redis.Redis, sent: Sequence[Told], faults: int) -> Outcome:
    """What came out of workers without deliveries: decisions are in the outbox."""
    return verdict(expected(sent), stored(client)).outcome(faults, len(sent))
