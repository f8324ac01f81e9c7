"""Staleness: actions whose cause had long been past when it arrived are recorded, and not delivered.

Promise   A history sets off nothing: whoever ingests last year's orders calls nobody about them. Events
          that wait in the log, for an outage of ours, are not stale however long they wait. Who reads
          the same records again judges them the same.
How       The event's time against the record's time in the log; no clock. A timer that nobody was there to
          fire, by the time at which it is fired. Judged in the step's thread and stored with the action, so
          that every relay does the same.
Limits    A producer that gives records the time of their events, as some mirrors of topics do, makes
          them look as if they had come in time.
Not here  What rules remember: a stale action has used up its rising edge and begun its cooldown, as it
          did when it would have been news.
"""

from collections.abc import Sequence

import msgspec

from processors.batch import Decoded, Records
from rules.action import Action


def judged(
    actions: Sequence[Action],
    causes: Sequence[int],
    records: Records,
    decoded: Decoded,
    stale_ms: int,
) -> list[Action]:
    """The actions of one batch, with those marked that are stale.

    Args:
        actions: in order.
        causes: of each action, the number of the event.
        records: the batch.
        decoded: its events.
        stale_ms: how much older than its record an event may be to be news.
    """
    times_ms, indexes = records.times_ms, decoded.indexes
    return [
        msgspec.structs.replace(action, is_stale=True)
        if times_ms[indexes[cause]] - action.at_ms > stale_ms
        else action
        for action, cause in zip(actions, causes, strict=True)
    ]


def judged_timers(actions: Sequence[Action], now_ms: int, stale_ms: int) -> list[Action]:
    """The actions of timers that are fired at `now_ms`, with those marked that were due long before."""
    return [
        msgspec.structs.replace(action, is_stale=True)
        if now_ms - action.at_ms > stale_ms
        else action
        for action in actions
    ]
