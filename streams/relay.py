"""The relay: brings committed actions to their sinks, and records what came of each.

Promise   Each committed action is delivered at least once, a repeat with the same id and the same
          bytes, whatever dies in between; or it ends in a record that says why not. An endpoint that
          hangs or fails holds up no other.
How       `offer` hands a commit's actions over at once. What has no room in a lane, and what is to be
          tried again, waits in Redis and is fetched when it is due. At a claim the outbox entries
          above the cursor are read, without those actions whose records say that they are done.
Limits    UNWRITTEN_MAX and WAITING_MAX a shard, QUEUE_MAX a lane. Beyond them entries stay in the
          outbox and are read later; the outbox's own bound then stops consuming. Nothing is dropped.
Not here  Lanes and attempts (dispatch.py), the books of a shard (owned.py), Redis (receipts.py).

A crash between delivery and record: 1. the receiver has the action; 2. we die before `write`; 3. the
next owner finds the entry in the outbox and no record of the action, and delivers it again; 4. the
receiver knows the id.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from rules.action import Action
from streams.clock import Clock
from streams.complaints import Complaints
from streams.delivery import Delivery
from streams.dispatch import Dispatch
from streams.errors import FencedError, MismatchError, StoreDownError, StoreError
from streams.lane import Destination, Lane
from streams.owned import OwnedShard, Parcel
from streams.receipts import Changes, Receipts, Survey

LOOK_MS: Final = 500  # how often lanes are looked at when nothing happens
SURVEY_MS: Final = 5_000  # how often Redis is asked what waits, besides what we know
AGAIN_MS: Final = 200  # after Redis could not be read or written, and for what waits for room
EVER_MS: Final = 2**53 - 1  # later than any due time, and exact as a score
ENTRIES_AT_ONCE: Final = 16  # outbox entries a read: up to a batch's actions each

_log = logging.getLogger(__name__)


class Relay:
    """Lives in one event loop; `claimed`, `released` and `offer` may be called from any thread."""

    def __init__(
        self,
        receipts: Receipts,
        destination: Callable[[str, str], Destination],
        clock: Clock,
        changed: Callable[[Delivery], None],
    ) -> None:
        """Take what the relay talks to; call it inside the loop.

        Args:
            receipts: where records are kept.
            destination: what a target's kind and name stand for.
            clock: the time.
            changed: told of each change of a delivery, in the loop's thread.
        """
        self.shards: dict[int, OwnedShard] = {}
        self.complaints = Complaints(_log)  # about Redis
        self.dispatch = Dispatch(destination, clock, changed)
        self._receipts = receipts
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._surveyed_ms = clock.now_ms()
        self._writing = asyncio.Lock()  # `close` writes while `run` still does

    # ---- called by the engine, from its own thread

    def claimed(self, number: int, nonce: str, last: int) -> None:
        """The shard is ours; `nonce` and `last` (its `outbox`) are the fence's."""
        self._loop.call_soon_threadsafe(self._claimed, number, nonce, last)

    def released(self, number: int) -> None:
        self._loop.call_soon_threadsafe(self._released, number)

    def offer(self, number: int, sequence: int, actions: Sequence[Action]) -> None:
        """These actions are committed as the shard's outbox entry `sequence`."""
        self._loop.call_soon_threadsafe(self._offered, number, sequence, actions)

    def grown(self, number: int, last: int) -> None:
        """The shard's outbox has entries up to `last`, to be read there: for a relay without an engine."""
        self._loop.call_soon_threadsafe(self._grown, number, last)

    def _grown(self, number: int, last: int) -> None:
        shard = self.shards.get(number)
        if shard is not None:
            shard.last = max(shard.last, last)
            self.dispatch.wake.set()

    def _claimed(self, number: int, nonce: str, last: int) -> None:
        self._released(number)
        self.shards[number] = OwnedShard(number, nonce, last)
        self.dispatch.wake.set()

    def _released(self, number: int) -> None:
        self.shards.pop(number, None)
        self.dispatch.release(number)

    def _offered(self, number: int, sequence: int, actions: Sequence[Action]) -> None:
        shard = self.shards.get(number)
        if shard is None:
            return  # released meanwhile: the next owner finds the entry in the outbox
        is_behind = shard.is_behind
        shard.last = max(shard.last, sequence)
        if is_behind or shard.is_full or self.dispatch.is_closing:
            self.dispatch.wake.set()  # read from the outbox later, in its order
        else:
            self.dispatch.take(shard, sequence, actions)

    # ---- life

    async def run(self) -> None:
        """Work until cancelled; `close` then makes an orderly end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_after())
            group.create_task(self._keep_records())

    async def close(self, grace_ms: int) -> None:
        """Wait for what is under way, then record what there is. What is missing is repeated later."""
        await self.dispatch.close(grace_ms)
        try:
            await self._write_all()
        except StoreError as error:
            self._failed("the last records are not written", error)

    # ---- looking after shards and lanes

    async def _look_after(self) -> None:
        wake = self.dispatch.wake
        while True:
            wake.clear()
            until_ms = await self.look()
            await self._clock.wait(wake, until_ms)

    async def look(self) -> int:
        """Fetch what there is room for, once; answers when to look again, if nothing happens."""
        now_ms = self._clock.now_ms()
        wakes_ms = [now_ms + LOOK_MS]
        is_survey_due = now_ms - self._surveyed_ms >= SURVEY_MS
        if is_survey_due:
            self._surveyed_ms = now_ms
        for shard in list(self.shards.values()):
            what = f"what waits in shard {shard.number} is not read"
            wakes_ms += await self._tried(what, self._catch_up(shard, with_survey=is_survey_due))
        for lane in list(self.dispatch.lanes.values()):
            self.dispatch.pump(lane)
            what = f"what is due for {lane.name} is not read"
            wakes_ms += await self._tried(what, self._refill(lane))
            due_ms = lane.wakes_ms(now_ms)
            if due_ms is not None:
                # What is due already waits for room or an answer, and these wake us themselves.
                wakes_ms.append(due_ms if due_ms > now_ms else now_ms + AGAIN_MS)
        self.dispatch.note_what_takes_long()
        self.dispatch.forget_idle_lanes()
        return min(wakes_ms)

    async def _tried(self, what: str, work: Awaitable[None]) -> list[int]:
        """Do it; when Redis fails, complain, and answer when to try again."""
        try:
            await work
        except StoreError as error:
            return [self._failed(what, error)]
        self.complaints.over(what)
        return []

    async def _catch_up(self, shard: OwnedShard, *, with_survey: bool) -> None:
        """Take what the outbox holds and we do not, oldest first, as long as there is room."""
        if shard.taken is None:
            try:
                await self._receipts.begin(shard.number, shard.nonce, shard.session)
            except FencedError as error:
                self._leave(shard, error)
                return
            survey = await self._survey(shard)
            for name, state in survey.states.items():
                self.dispatch.lane(name).restore(state)
            cursor = await self._receipts.cursor(shard.number)
            shard.taken = min(cursor, shard.last)  # above the fence it would hide what is to come
        while shard.is_behind and not shard.is_full and not self.dispatch.is_closing:
            first = shard.taken + 1
            last = min(shard.last, shard.taken + ENTRIES_AT_ONCE)
            entries = await self._receipts.entries(shard.number, first, last)
            ids = [action.id for _, actions in entries for action in actions]
            known = await self._receipts.known(shard.number, ids)
            if not self._is_owned(shard):
                return
            for sequence, actions in entries:
                self.dispatch.take(shard, sequence, [a for a in actions if a.id not in known])
            shard.taken = last
        if with_survey:
            await self._survey(shard)

    async def _survey(self, shard: OwnedShard) -> Survey:
        """Learn what waits in Redis, and what is stored about the endpoints."""
        before, known = dict(shard.lanes), shard.known  # what is written while we ask is no news
        survey = await self._receipts.survey(shard.number)
        if self._is_owned(shard):
            for name in shard.surveyed(survey, before):
                self.dispatch.enable(name)
            for name, due_ms in survey.first_due_ms.items():
                self.dispatch.lane(name).awaits(shard.number, due_ms)
            idle = shard.idle_lanes(survey) - self.dispatch.lanes.keys()
            if idle:
                await self._receipts.forget(shard.number, idle)
            if shard.has_lost(survey, known):
                self._begin_again(shard)
        return survey

    async def _refill(self, lane: Lane) -> None:
        """Fetch what is due, shard by shard, as long as there is room."""
        for number in list(lane.due_ms):
            now_ms = self._clock.now_ms()
            count = lane.fetches(now_ms)
            shard = self.shards.get(number)
            until_ms = EVER_MS if lane.breaker.disabled else now_ms
            due_ms = lane.due_ms.get(number, EVER_MS + 1)
            if not count or shard is None or shard.is_full or due_ms > until_ms:
                continue
            count += shard.held_of_waiting(lane.name)  # Redis will name these again
            lane.due_ms.pop(number, None)  # what is recorded while we ask sets it anew
            try:
                due = await self._receipts.due(number, lane.name, until_ms, count)
            except StoreError:
                lane.awaits(number, due_ms)
                raise
            if self._is_owned(shard):
                if due.next_ms is not None:
                    lane.awaits(number, due.next_ms)
                self.dispatch.take_waiting(shard, lane, due.deliveries)

    def _is_owned(self, shard: OwnedShard) -> bool:
        return self.shards.get(shard.number) is shard

    # ---- recording

    async def _keep_records(self) -> None:
        dirty, never = self.dispatch.dirty, asyncio.Event()
        while True:
            dirty.clear()
            try:
                await self._write_all()
            except StoreError as error:
                await self._clock.wait(never, self._failed("records are not written", error))
            else:
                self.complaints.over("records are not written")
                await self._clock.wait(dirty, self._clock.now_ms() + SURVEY_MS)

    async def _write_all(self) -> None:
        async with self._writing:  # books are told of a write before the next is made from them
            for shard in list(self.shards.values()):
                what = f"the records of shard {shard.number} are not written"
                try:
                    await self._write_shard(shard)
                except StoreDownError:
                    raise  # of all shards
                except StoreError as error:  # of this one's keys: the others' records go on
                    self.complaints.met(what, error, level=logging.ERROR)
                else:
                    self.complaints.over(what)

    async def _write_shard(self, shard: OwnedShard) -> None:
        while self._is_owned(shard) and shard.taken is not None:
            changes, parcels = shard.changes(self.dispatch.states(shard.lanes))
            if changes.is_empty:
                break
            await self._write(shard, changes, parcels)

    async def _write(self, shard: OwnedShard, changes: Changes, parcels: Sequence[Parcel]) -> None:
        was_full = shard.is_full
        try:
            waiting_count = await self._receipts.write(shard.number, shard.nonce, changes)
        except FencedError as error:
            self._leave(shard, error)
            return
        except MismatchError:
            if self._is_owned(shard):
                self._begin_again(shard)
            return
        shard.written(changes, parcels, waiting_count)
        if not self._is_owned(shard):
            return
        self.dispatch.await_attempts(shard.number, changes.deliveries)
        if was_full and not shard.is_full:
            self.dispatch.wake.set()

    def _leave(self, shard: OwnedShard, error: FencedError) -> None:
        _log.warning("the relay leaves shard %d: %s", shard.number, error)
        if self._is_owned(shard):
            self._released(shard.number)

    def _begin_again(self, shard: OwnedShard) -> None:
        _log.error("Redis has lost records of shard %d: what is open is read anew", shard.number)
        self._claimed(shard.number, shard.nonce, shard.last)

    def _failed(self, what: str, error: StoreError) -> int:
        """Count a failure of Redis; answers when to try again."""
        self.complaints.met(what, error)
        return self._clock.now_ms() + AGAIN_MS
