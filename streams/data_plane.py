"""The data plane: one thread that carries records from the log through the step to the commit.

Promise   Each record of an owned shard is folded once, in order, from where the shard's fence stands.
          When the group says otherwise, or somebody else owns the shard, what was read is dropped.
How       A librdkafka consumer with partitions assigned by hand; it is in no group. The control plane
          publishes a target; this thread claims its shards, reads, steps and commits. Exactly-once
          rests on the fence alone, so the two planes may disagree for a moment without harm.
Limits    RECORDS_MAX records a batch, about a batch a shard in the hand, and few under way (holding.py).
          While Redis or the log is down, the same work is tried again as long as the target stands.
Not here  Membership of the group (control_plane.py). What a claim and a commit do (shard.py).

A turn
    1. Take over a new target: drop everything, and claim its shards.
    2. Poll: wait for one message, then take what is there; this has the lowest latency.
    3. From here on we are busy: whoever takes the target away waits for us to finish.
    4. Sort the messages into the feeds, and as many more as are there, up to a batch for each shard; take
       a batch from each, step it, begin its commit; in the end wait for all commits, but for none that
       waits for dead letters on their way.
    5. Fire the timers whose time has come, of the shards that have read their log so far (firing.py).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from confluent_kafka import KafkaError

from processors.batch import RECORDS_MAX
from streams.align import Now
from streams.batch_size import limit_after
from streams.beginnings import ASK_MS, beginnings
from streams.errors import FencedError, GapError, MismatchError, StoreDownError, StoreError
from streams.feed import Feed
from streams.firing import is_due, next_in_ms
from streams.flight import Flight
from streams.holding import Holding
from streams.ownership import Claims, LogConsumer, Target, not_as_left
from streams.patience import Patience, Trouble, UnwantedError
from streams.polling import POLLS_A_BATCH, Polling
from streams.shard_status import ShardStatus

OBSERVE_MS: Final = 1_000  # lag is told this often

logger = logging.getLogger(__name__)


class DataPlane:
    """The loop. `aim`, `halt` and the plain attributes are for other threads, `turn` is for its own."""

    def __init__(
        self,
        consumer: LogConsumer,
        topics: Sequence[str],
        claims: Claims,
        *,
        trouble: Trouble = lambda _error: None,
        accept_gap: bool = False,
        aligned: bool = True,
        now_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.busy = False  # a batch is in hand
        self.beat_ms = now_ms()  # when the loop last came round, by `now_ms`
        # Committed, by shard; each dict is never changed.
        self.positions: dict[int, dict[str, int]] = {}
        self.statuses: tuple[ShardStatus, ...] = ()
        self._consumer, self._topics, self._claims = consumer, tuple(topics), claims
        self._accept_gap, self._aligned = accept_gap, aligned
        self._now_ms, self._wall_ms, self._trouble = now_ms, wall_ms, trouble
        self._halted = threading.Event()
        self._patience = Patience(self._halted, trouble, self._beat)
        self._target = self._held = Target()
        self._holding = holding = Holding(consumer)
        self._shards, self._feeds, self._flights = holding.shards, holding.feeds, holding.flights
        self._progress_ms = holding.progress_ms
        self._has_more, self._limit = False, RECORDS_MAX
        self._polling = Polling(consumer, now_ms)
        self._observed_ms = self._asked_ms = now_ms()

    def aim(self, target: Target) -> None:
        """Publish a new target. What is in hand is finished first: wait until not `busy`."""
        self._target = target

    def halt(self) -> None:
        """Ask the loop to end."""
        self._halted.set()

    def run(self) -> None:
        """Turn until halted, then let go of everything."""
        try:
            while not self._halted.is_set():
                self.turn()
        finally:
            self._drop()
            self._consumer.close()

    def turn(self) -> None:
        """One round of the loop."""
        self.beat_ms = now_ms = self._now_ms()
        target = self._target
        if target is not self._held:
            self._drop(self._held)
            self._held = target
            if target.shards:  # else they stay: the control plane may have them still to commit
                self.positions = {}
            self._claims.want(target.shards, now_ms)
        self._claim(target, now_ms)
        waits = any(feed.alignment.buffered for feed in self._feeds.values())
        next_ms = 1 if self._flights else next_in_ms(self._shards.values(), self._wall_ms())
        messages = self._polling.messages(at_once=self._has_more, briefly=waits, within_ms=next_ms)
        # 1. We say that we are busy.  2. We look at the target.
        # The other side: 1. changes the target.  2. looks whether we are busy.  So one sees the other.
        self.busy = True
        try:
            if self._target is target:
                self._holding.sort_in(messages, self._on_error)
                for _ in range(POLLS_A_BATCH * len(self._feeds)):  # larger batches cost less
                    if not self._polling.has_more:
                        break
                    more = self._polling.messages(at_once=True)
                    self._holding.sort_in(more, self._on_error)
                self._advance(target)
                self._fire(target)
        except UnwantedError:
            logger.info("dropped a batch: the group has other plans")
            self._drop()
            self._held = Target()
        finally:
            self.busy = bool(self._flights)
        if now_ms - self._observed_ms >= OBSERVE_MS:
            self._observed_ms = now_ms
            self._holding.wake()
            # What Redis has lost of shards at rest no commit would find out for hours.
            for number, error in not_as_left(self._holding.resting(), self._beat).items():
                self._failed(number, error)
            self.observe()

    def _drop(self, finishing: Target | None = None) -> None:
        """Let go of all shards, after a try at committing what is in hand."""
        with suppress(UnwantedError):
            if finishing is not None:
                self._land_all(finishing, waiting=True)
        self._holding.drop()

    def _claim(self, target: Target, now_ms: int) -> None:
        """Claim the shards that are wanted and due, and let those begin whose log has answered."""
        fresh = set()
        for number in self._claims.due(now_ms):
            self._beat()  # a Redis that does not answer costs seconds a shard
            try:
                shard = self._claims.claim(number, target.generation, now_ms)
            except StoreError as error:
                self._stop(number, error)
                continue
            if shard is not None:
                self._shards[number] = shard
                fresh.add(number)
        asked = fresh if now_ms - self._asked_ms < ASK_MS else self._shards.keys()
        waiting = {n: self._shards[n].offsets for n in asked if n not in self._feeds}
        if not waiting:
            return
        found = beginnings(self._consumer, self._topics, waiting, accept_gap=self._accept_gap)
        self._asked_ms = self._now_ms()  # the answer may have taken longer than the space between
        for number, beginning in found.items():
            if isinstance(beginning, GapError):
                self._stop(number, beginning)
                continue
            feed = Feed(number, beginning, aligned=self._aligned)
            feed.begin(self._consumer)
            self._feeds[number] = feed
            self.positions[number] = feed.positions
            self._progress_ms[number] = now_ms

    def _stop(self, number: int, error: StoreError | GapError) -> None:
        """Leave a shard alone until the next target: only a person can mend it."""
        logger.critical("shard %d stops: %s", number, error)
        self._trouble(error)
        self._holding.stop(number, error)

    def _on_error(self, number: int | None, error: KafkaError) -> None:
        """An error that came in place of a record. What heals alone is only written down."""
        if error.code() == KafkaError._AUTO_OFFSET_RESET and number in self._shards:  # noqa: SLF001  librdkafka's name for it
            # The log has overtaken us. Claimed again, the shard finds out how large the gap is.
            self._lose(number)
        else:
            logger.warning("Kafka: %s", error)

    def _advance(self, target: Target) -> None:
        """Fold a batch of each feed, while the commits of the feeds before it are under way."""
        self._has_more = False
        landed: list[Flight] = []
        for number, feed in self._holding.free():
            if feed.alignment.buffered and self._target is target:
                landed += self._land_these(target, self._holding.surplus())
                self._try(number, partial(self._fold, target, number, feed))
        landed += self._land_all(target)
        if landed:
            slowest = max(landed, key=lambda flight: flight.spent_ms)
            self._limit = limit_after(self._limit, slowest.spent_ms, slowest.records_count)

    def _fold(self, target: Target, number: int, feed: Feed) -> None:
        """Fold the next batch of a shard, if there is one, and begin its commit."""
        shard, wanted = self._shards[number], lambda: self._target is target
        if self._patience.until_done(shard.is_full, wanted):
            self._progress_ms[number] = self._now_ms()  # a restart would not help
            return
        started_ms = self._now_ms()
        batch = feed.batch(self._consumer, self._limit, Now(started_ms, self._polling.quiet_ms))
        if batch is None:
            return
        count = len(batch.records.values)
        self._has_more = self._has_more or count >= self._limit
        commit = self._patience.until_done(lambda: shard.step(batch.records, batch.offsets), wanted)
        flight = self._flights[number] = Flight(commit, batch.positions, count)
        self._beat()
        flight.begin(self._trouble)
        flight.spent_ms = self._now_ms() - started_ms

    def _land_all(self, target: Target, *, waiting: bool = False) -> list[Flight]:
        """Land all flights, but those that wait for their letters only where that is said."""
        for number, flight in self._holding.waiting():
            self._try(number, partial(flight.begin, self._trouble))
        flights = [each for each in self._flights.items() if waiting or not each[1].is_waiting]
        return self._land_these(target, flights)

    def _land_these(self, target: Target, flights: list[tuple[int, Flight]]) -> list[Flight]:
        for number, flight in flights:
            self._try(number, partial(self._land, target, number, flight))
        return [flight for _, flight in flights]

    def _land(self, target: Target, number: int, flight: Flight) -> None:
        del self._flights[number]
        waiting_ms = self._now_ms()
        self._patience.until_done(flight.settle, lambda: self._target is target)
        now_ms = self._now_ms()
        flight.spent_ms += now_ms - waiting_ms
        self.positions[number], self._progress_ms[number] = flight.positions, now_ms

    def _fire(self, target: Target) -> None:
        """Fire what is due, as much as may hold up events, while the commits before it are under way."""
        wall_ms = self._wall_ms()
        due = self._holding.due(wall_ms)
        for number, feed in due:
            if self._target is target:
                self._try(number, partial(self._fire_of, target, number, feed, wall_ms))
        self._land_these(target, [(n, self._flights[n]) for n, _ in due if n in self._flights])

    def _fire_of(self, target: Target, number: int, feed: Feed, wall_ms: int) -> None:
        """Fire the timers of a shard that are due, and begin their commit."""
        shard, wanted = self._shards[number], lambda: self._target is target
        until_ms = feed.reached_ms(self._consumer, wall_ms)
        if not is_due(shard, until_ms) or self._patience.until_done(shard.is_full, wanted):
            return
        commit = self._patience.until_done(lambda: shard.fire(until_ms), wanted)
        self._has_more |= is_due(shard, until_ms)
        if commit is not None:
            flight = self._flights[number] = Flight(commit, feed.positions, 0)
            self._beat()
            flight.begin(self._trouble)

    def _beat(self) -> None:
        self.beat_ms = self._now_ms()

    def _try(self, number: int, work: Callable[[], None]) -> None:
        try:
            work()
        except StoreError as error:
            self._failed(number, error)

    def _failed(self, number: int, error: StoreError) -> None:
        if isinstance(error, FencedError | MismatchError):
            logger.warning("%s", error)
            self._trouble(error)
            self._lose(number)
        elif isinstance(error, StoreDownError):
            self._trouble(error)
        else:
            self._stop(number, error)

    def _lose(self, number: int) -> None:
        """Somebody else has the shard, or it is not as we left it: claim it again."""
        self._holding.release(number)
        self._claims.again(number, self._now_ms())

    def observe(self) -> None:
        """Tell how the shards are, for metrics and probes."""
        self.statuses = self._holding.observe(self._held.shards, self._wall_ms(), self._now_ms())
