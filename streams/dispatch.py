"""Dispatch: from actions in hand to attempts under way, and from receipts to what is to be recorded.

Promise   An action is in one place at a time: queued, under way, or to be recorded. Whatever its
          endpoint does, it comes out as a record: delivered, stale, dead, or waiting for its next attempt.
How       One lane an endpoint. A full lane, and one whose breaker is open, sends deliveries on to
          wait in Redis. Nothing here awaits but the attempts, each a task of its own.
Limits    One lane a target that rules name, each with its bounds; those that nothing has gone through
          for LANE_IDLE_MS are forgotten. RECENT_MAX ids.
Not here  Redis, and when to look again (relay.py). The books of one shard (owned.py).
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from rules.action import Action
from sinks.sink import Delivered, Receipt, RetryAfter
from streams.clock import Clock
from streams.delivery import NEVER_TRIED, Delivery, Status, after, ended, opened, parked
from streams.lane import Destination, Lane
from streams.overtaken import OVERTAKEN_NOTE, Newest
from streams.owned import OwnedShard, Parcel
from streams.receipts import LaneState

RECENT_MAX: Final = 10_000  # ids delivered by this process: what Redis forgot is not sent again
LANE_IDLE_MS: Final = 600_000  # rules come and go; a lane is soon made again
NOTED_AFTER_MS: Final = 250  # then an action that is in hand is recorded as pending

_log = logging.getLogger(__name__)


class Dispatch:
    """Lives in one event loop. `wake`: a lane wants to be looked at. `dirty`: there is news to record."""

    def __init__(
        self,
        destination: Callable[[str, str], Destination],
        clock: Clock,
        changed: Callable[[Delivery], None],
    ) -> None:
        self.lanes: dict[str, Lane] = {}
        self.wake = asyncio.Event()
        self.dirty = asyncio.Event()
        self.attempts: set[asyncio.Task[None]] = set()
        self.is_closing = False
        self._destination = destination
        self._clock = clock
        self._changed = changed
        self._recent: OrderedDict[str, tuple[int, str]] = OrderedDict()  # attempts, note
        self._newest = Newest()

    # ---- taking

    def take(self, shard: OwnedShard, sequence: int, actions: Iterable[Action]) -> None:
        """Take an outbox entry with those of its actions that are still to be delivered."""
        now_ms = self._clock.now_ms()
        fresh = {each.id: each for each in actions if each.id not in shard.held}
        shard.take(sequence, list(fresh))
        lanes = []
        for action in fresh.values():
            delivery = opened(action, now_ms)
            parcel = Parcel(shard, sequence, delivery, now_ms)
            if delivery.status in NEVER_TRIED:
                shard.held[action.id] = parcel
                self._record(parcel, delivery)
                continue
            self._newest.note(delivery)
            lane = self.lane(delivery.lane)
            recent = self._recent.get(action.id)
            if self._is_flying(lane, parcel):
                continue
            shard.held[action.id] = parcel
            if recent is not None:
                attempts, note = recent
                self._record(parcel, ended(delivery, "delivered", note, now_ms, attempts))
            else:
                self._queue(lane, parcel)
                lanes.append(lane)
        for lane in dict.fromkeys(lanes):
            self.pump(lane)
        self.dirty.set()

    def take_waiting(self, shard: OwnedShard, lane: Lane, deliveries: Iterable[Delivery]) -> None:
        """Take deliveries that waited in Redis and are due."""
        now_ms = self._clock.now_ms()
        for delivery in deliveries:
            parcel = Parcel(shard, None, delivery, now_ms, is_noted=True)
            if delivery.id not in shard.held and not self._is_flying(lane, parcel):
                shard.held[delivery.id] = parcel
                if self._newest.overtakes(delivery):
                    self._end(parcel, "overtaken", OVERTAKEN_NOTE)
                    continue
                self._newest.note(delivery)
                self._queue(lane, parcel)
        self.pump(lane)

    def lane(self, name: str) -> Lane:
        """The lane of that name, made at the first use."""
        lane = self.lanes.get(name)
        if lane is None:
            kind, _, target = name.partition(":")
            lane = self.lanes[name] = Lane(name, self._destination(kind, target))
            lane.used_ms = self._clock.now_ms()
        return lane

    def forget_idle_lanes(self) -> None:
        """Forget lanes that nothing goes through, and of which there is nothing to remember.

        Call it while nobody who awaits something has a lane in hand.
        """
        since_ms = self._clock.now_ms() - LANE_IDLE_MS
        for name in [each.name for each in self.lanes.values() if each.is_idle(since_ms)]:
            del self.lanes[name]

    def states(self, stored: Mapping[str, LaneState]) -> dict[str, LaneState]:
        """What is to be stored about lanes that have failed, or of which something is stored."""
        return {
            name: lane.state
            for name, lane in self.lanes.items()
            if name in stored or not lane.breaker.is_well
        }

    def enable(self, name: str) -> None:
        """Use an endpoint again that was disabled. What it missed is dead until it is revived."""
        lane = self.lanes.get(name)
        if lane is not None and lane.breaker.disabled:
            _log.warning("the endpoint %s is used again: somebody has enabled it", name)
            lane.enable()  # the relay's `look` goes on to refill it, or is due within LOOK_MS

    def release(self, number: int) -> None:
        """Forget what is queued of a shard. What is under way ends by itself."""
        for lane in self.lanes.values():
            lane.due_ms.pop(number, None)
            kept = [parcel for parcel in lane.queue if parcel.shard.number != number]
            lane.queue.clear()
            lane.queue.extend(kept)

    def _is_flying(self, lane: Lane, parcel: Parcel) -> bool:
        """Whether the attempt is still under way that began before the shard was claimed again.

        It then belongs to the new claim.
        """
        flying = lane.flying.get(parcel.delivery.id)
        if flying is None:
            return False
        flying.shard, flying.sequence = parcel.shard, parcel.sequence
        parcel.shard.held[parcel.delivery.id] = flying
        return True

    def _queue(self, lane: Lane, parcel: Parcel) -> None:
        lane.used_ms = self._clock.now_ms()
        if lane.breaker.disabled:
            self._end(parcel, "disabled", lane.breaker.disabled)
        elif lane.room > 0 or (parcel.sequence is None and lane.may_probe(self._clock.now_ms())):
            lane.queue.append(parcel)
        else:
            self._park(lane, parcel)

    def await_attempts(self, number: int, deliveries: Iterable[Delivery]) -> None:
        """Have those looked at when they are due that now wait in Redis for another attempt."""
        for delivery in deliveries:
            if delivery.due_ms is not None:
                self.lane(delivery.lane).awaits(number, delivery.due_ms)
                self.wake.set()

    # ---- delivering

    def pump(self, lane: Lane) -> None:
        """Begin what the lane has room for."""
        now_ms = self._clock.now_ms()
        while not self.is_closing and (parcel := lane.next(now_ms)) is not None:
            task = asyncio.get_running_loop().create_task(self._attempt(lane, parcel))
            self.attempts.add(task)
            task.add_done_callback(self.attempts.discard)

    async def close(self, grace_ms: int) -> None:
        """Begin nothing more, and wait for what is under way, or so long."""
        self.is_closing = True
        if not self.attempts:
            return
        done = asyncio.Event()
        waiting = asyncio.gather(*self.attempts, return_exceptions=True)
        waiting.add_done_callback(lambda _: done.set())
        await self._clock.wait(done, self._clock.now_ms() + grace_ms)
        waiting.cancel()

    async def _attempt(self, lane: Lane, parcel: Parcel) -> None:
        delivery = parcel.delivery
        try:
            if parcel.body is None:
                parcel.body = lane.sink.body(delivery)
            receipt = await lane.sink.deliver(delivery, parcel.body)
        except Exception as error:  # noqa: BLE001  a sink that breaks its promise must not stop the others
            _log.exception("the sink of %s raised instead of answering", lane.name)
            receipt = RetryAfter(f"{type(error).__name__}: {error}")
        self._answered(lane, parcel, receipt)

    def _answered(self, lane: Lane, parcel: Parcel, receipt: Receipt) -> None:
        now_ms = self._clock.now_ms()
        del lane.flying[parcel.delivery.id]
        was_closed = lane.breaker.is_closed
        if isinstance(receipt, RetryAfter):
            lane.breaker.failed(now_ms, slows=receipt.slows, asked_ms=receipt.delay_ms)
        else:
            lane.breaker.succeeded(now_ms)
            if receipt.disables:
                said = receipt.note if isinstance(receipt, Delivered) else receipt.reason
                lane.breaker.disable(f"the receiver wants no more: {said}")
        delivery = after(parcel.delivery, receipt, lane.policy, now_ms)
        self._record(parcel, delivery)
        if delivery.status == "delivered":
            self._remember(delivery)
        if was_closed and not lane.breaker.is_closed:
            self._empty(lane)
        self.pump(lane)
        if not lane.breaker.is_closed or lane.fetches(now_ms):
            self.wake.set()

    def _empty(self, lane: Lane) -> None:
        """The breaker has opened: what is queued waits in Redis, or ends when the lane is disabled."""
        parcels = list(lane.queue)
        lane.queue.clear()
        for parcel in parcels:
            self._queue(lane, parcel)

    def _park(self, lane: Lane, parcel: Parcel) -> None:
        due_ms = max(self._clock.now_ms(), lane.breaker.wakes_ms() or 0)
        if parcel.sequence is None:  # Redis has it already
            del parcel.shard.held[parcel.delivery.id]
            lane.awaits(parcel.shard.number, due_ms)
        else:
            self._record(parcel, parked(parcel.delivery, due_ms))

    # ---- recording

    def note_what_takes_long(self) -> bool:
        """Record as pending what is long in hand, so that people see it; is anything in hand?"""
        now_ms = self._clock.now_ms()
        is_any = False
        for lane in self.lanes.values():
            for parcel in (*lane.flying.values(), *lane.queue):
                is_any = is_any or not parcel.is_noted
                if not parcel.is_noted and now_ms - parcel.taken_ms >= NOTED_AFTER_MS:
                    parcel.is_noted = True
                    self._record(parcel, parcel.delivery)
        return is_any

    def _end(self, parcel: Parcel, status: Status, note: str) -> None:
        self._record(parcel, ended(parcel.delivery, status, note, self._clock.now_ms()))

    def _record(self, parcel: Parcel, delivery: Delivery) -> None:
        parcel.shard.record(parcel, delivery)
        self.dirty.set()
        self._changed(delivery)

    def _remember(self, delivery: Delivery) -> None:
        self._recent[delivery.id] = (delivery.attempts, delivery.note)
        if len(self._recent) > RECENT_MAX:
            self._recent.popitem(last=False)
