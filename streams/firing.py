"""Firing: when the timers of the shards of one thread are looked at.

Promise   A timer fires when its time has come and its shard has read what the log held by then, never ahead
          of the log. While none is due, and where there are none, nothing is asked.
How       Each shard knows when its next timer may be due. A wait for records ends then.
Limits    A timer that waits for the log, or for receivers, ends no wait: the next turn looks again.
Not here  The index (timers.py). How far the log is read: feed.py, redis_log.py.
"""

from collections.abc import Iterable

from streams.ownership import HeldShard


def is_due(shard: HeldShard, by_ms: int) -> bool:
    """Whether a timer of the shard may be due by then."""
    return shard.due_ms is not None and shard.due_ms <= by_ms


def next_in_ms(shards: Iterable[HeldShard], wall_ms: int) -> int | None:
    """How long it is until the next timer that is still to come; None: there is none."""
    dues_ms = [each.due_ms for each in shards if each.due_ms is not None]
    return min((due_ms - wall_ms for due_ms in dues_ms if due_ms > wall_ms), default=None)
