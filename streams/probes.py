"""Probes: whether this process is alive, and whether it can be used.

Promise   Not live: a shard with lag has made no progress for STALL_MS_MAX, so a restart may help. One
          that waits because its outbox is full is live, however long its receivers are away. Not
          ready: something that we need does not answer; the answer names it and says why.
How       Shards are looked at where they are; the rest are checks that are asked, all at once, each for
          CHECK_SECONDS_MAX at most.
Not here  Serving them (web.py). The checks themselves: whoever owns a connection offers one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from streams.errors import StreamsError
from streams.shard_status import ShardStatus

STALL_MS_MAX: Final = 60_000  # longer than any session timeout in use, and than a rewrite in Redis
CHECK_SECONDS_MAX: Final = 1.0  # so that a Redis that hangs is told within two seconds


@dataclass(frozen=True, slots=True)
class Check:
    """Whether one part can be used, and if not, why."""

    ok: bool
    detail: str = ""


Probe: TypeAlias = Callable[[], Awaitable[Check]]
"""Asks one part. A StreamsError, an OSError or no answer in time count as not ready."""


def stalled(statuses: Sequence[ShardStatus], monotonic_ms: int) -> list[str]:
    """A sentence for each running shard that has lag and makes no progress."""
    return [
        f"shard {status.number} has made no progress for {(monotonic_ms - started) // 1000} s"
        f" while {status.lag_records} records wait"
        for status in statuses
        if status.state == "running"
        and status.lag_records > 0
        and (started := status.progress_ms) is not None
        and monotonic_ms - started > STALL_MS_MAX
    ]


def fence(statuses: Sequence[ShardStatus]) -> Check:
    """Whether every shard of this worker is claimed and running; a worker without any stands by.

    >>> fence([ShardStatus(2, "claiming", "", None, {})]).detail
    'shard 2 is claiming'
    """
    waiting = [
        f"shard {status.number} is {status.state}" + (f": {status.detail}" if status.detail else "")
        for status in statuses
        if status.state != "running"
    ]
    return Check(not waiting, "; ".join(waiting))


async def ask(probes: Mapping[str, Probe]) -> dict[str, Check]:
    """Ask all parts at once; the answers by name."""
    checks = await asyncio.gather(*(_asked(probe) for probe in probes.values()))
    return dict(zip(probes, checks, strict=True))


async def _asked(probe: Probe) -> Check:
    try:
        async with asyncio.timeout(CHECK_SECONDS_MAX):
            return await probe()
    except TimeoutError:
        return Check(ok=False, detail=f"no answer within {CHECK_SECONDS_MAX:g} s")
    except (StreamsError, OSError) as error:
        return Check(ok=False, detail=str(error) or type(error).__name__)
