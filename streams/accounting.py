"""Accounting: what is counted of each commit, and what else a shard tells the world.

Promise   Whatever log a shard has, the same things are counted in the same way.
Not here  The metrics themselves: metrics.py.
"""

import logging
import time

from rules.action import one_of_each_fire
from streams.deliveries import Deliveries
from streams.errors import FencedError, MismatchError, StoreDownError, StreamsError
from streams.fence import Fence
from streams.metrics import Metrics
from streams.patience import Trouble
from streams.step import STAGES
from streams.work import DeadLetterPort, Ports, Stored, Work

logger = logging.getLogger(__name__)


def _nobody(_work: Work, _took_ns: int) -> None:
    """Nobody else wants to be told."""


def ports_of(
    metrics: Metrics,
    dead_letters: DeadLetterPort,
    deliveries: Deliveries,
    also: Stored = _nobody,
) -> Ports:
    """What a shard tells; `also` is told of each commit besides the metrics."""

    def stored(work: Work, took_ns: int) -> None:
        metrics.profiles(work.shard.number, len(work.shard.table))
        count(metrics, work, took_ns, time.time_ns() / 1_000_000)
        also(work, took_ns)

    def rolled_back(number: int, ours: Fence, found: Fence | None) -> None:
        logger.error("Redis has lost commits of shard %d: %s is now %s", number, ours, found)
        metrics.rolled_back()

    return Ports(dead_letters, deliveries.offer, stored, rolled_back)


def trouble_of(metrics: Metrics) -> Trouble:
    """Who counts the errors that a log meets and goes on from."""

    def trouble(error: StreamsError) -> None:
        if isinstance(error, FencedError | MismatchError):
            metrics.fence_refused()
        if isinstance(error, StoreDownError):
            metrics.store_unavailable(error.reason)

    return trouble


def count(metrics: Metrics, work: Work, took_ns: int, now_ms: float) -> None:
    """Count a commit, and the step before it."""
    outcome = work.outcome
    metrics.batch(
        admitted=outcome.admitted,
        duplicates=outcome.duplicates,
        late=outcome.late,
        suppressed=outcome.suppressed,
        stage_ns=dict(zip(STAGES, outcome.stage_ns, strict=True)),
    )
    metrics.commit(
        times_ms=work.times_ms,
        committed_ms=now_ms,
        took_ns=took_ns,
        customers=len(outcome.changed_ids),
    )
    if work.fired_ms:
        metrics.timers(
            fired=len(work.fired_ms),
            stale=sum(each.is_stale for each in outcome.actions) if work.by_clock else 0,
            late_ms=[now_ms - due_ms for due_ms in work.fired_ms] if work.by_clock else [],
        )
    if work.dead:
        metrics.dead_letters(letter.reason for letter in work.dead)
    if outcome.actions:
        metrics.fired(each.rule for each in one_of_each_fire(outcome.actions))
