"""Receipts in memory: for tests and simulations of the relay.

Promise   Keeps what receipts.py promises, for as long as the object lives: a crash of the relay is
          another relay on the same receipts.
How       Dictionaries with the names of the Redis keys. `is_down` makes every call fail, as a Redis
          that is gone does.
Limits    Those of Redis, without trimming the outbox.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rules.action import Action
from streams.delivery import DEAD, Delivery
from streams.errors import FencedError, MismatchError, StoreDownError
from streams.receipts import KEPT_MAX, Changes, Due, LaneState, Survey, is_settled, is_waiting
from streams.receipts_redis import revived


@dataclass(slots=True)
class ShardReceipts:
    """What is stored of one shard; `nonce` and `outbox` are the shard's own to write."""

    nonce: str = ""
    outbox: dict[int, list[Action]] = field(default_factory=dict)
    cursor: int = 0
    actions: dict[str, Delivery] = field(default_factory=dict)
    waiting: dict[str, Delivery] = field(default_factory=dict)
    dead: dict[str, Delivery] = field(default_factory=dict)
    lanes: dict[str, LaneState] = field(default_factory=dict)
    marked: tuple[str, int] | None = None


class MemoryReceipts:
    def __init__(self, *, kept_max: int = KEPT_MAX) -> None:
        self.shards: defaultdict[int, ShardReceipts] = defaultdict(ShardReceipts)
        self.is_down = False
        self.writes_count = 0
        self._kept_max = kept_max

    async def begin(self, number: int, nonce: str, session: str) -> None:
        self._owned(number, nonce).marked = (session, 0)

    async def cursor(self, number: int) -> int:
        return self._shard(number).cursor

    async def entries(self, number: int, first: int, last: int) -> list[tuple[int, list[Action]]]:
        outbox = self._shard(number).outbox
        return [(each, outbox[each]) for each in range(first, last + 1) if each in outbox]

    async def known(self, number: int, ids: Sequence[str]) -> set[str]:
        shard = self._shard(number)
        seen = {each for each in ids if each in shard.actions and is_settled(shard.actions[each])}
        return seen | shard.waiting.keys() & set(ids)

    async def write(self, number: int, nonce: str, changes: Changes) -> int:
        shard = self._owned(number, nonce)
        mark = changes.mark
        if mark is not None:
            session, last = shard.marked or ("", 0)
            if session != mark.session or last < mark.known:
                raise MismatchError(number, f"write {mark.known}", f"write {last}")
        self.writes_count += 1
        shard.lanes.update(changes.lanes)
        for each in changes.deliveries:
            shard.actions[each.id] = each
            if is_waiting(each):
                shard.waiting[each.id] = each
                shard.lanes.setdefault(each.lane, LaneState(about=""))
            elif is_settled(each):
                shard.waiting.pop(each.id, None)
            if each.status in DEAD:
                shard.dead[each.id] = each
        for sequence in changes.settled:
            shard.outbox.pop(sequence, None)
        shard.cursor = changes.cursor
        if mark is not None:
            shard.marked = (mark.session, mark.number)
        _trim(shard.actions, self._kept_max, lambda each: (each.at_ms, each.id))
        _trim(shard.dead, self._kept_max, lambda each: (each.updated_ms, each.id))
        return len(shard.waiting)

    async def due(self, number: int, lane: str, now_ms: int, limit: int) -> Due:
        waiting = self._shard(number).waiting.values()
        mine = [(each.due_ms or 0, each) for each in waiting if each.lane == lane]
        mine.sort(key=lambda row: (row[0], row[1].id))
        deliveries = [each for due_ms, each in mine if due_ms <= now_ms][:limit]
        later = [due_ms for due_ms, _ in mine if due_ms > now_ms]
        if len(deliveries) == limit:
            return Due(deliveries, 0)
        return Due(deliveries, later[0] if later else None)

    async def survey(self, number: int) -> Survey:
        shard = self._shard(number)
        first: dict[str, int] = {}
        for each in shard.waiting.values():
            if each.due_ms is not None:
                first[each.lane] = min(each.due_ms, first.get(each.lane, each.due_ms))
        return Survey(len(shard.waiting), first, dict(shard.lanes), shard.marked)

    async def forget(self, number: int, lanes: set[str]) -> None:
        shard = self._shard(number)
        needed = {each.lane for each in shard.waiting.values()}
        for lane in lanes - needed:
            state = shard.lanes.get(lane, LaneState(""))
            if not state.disabled and state.failing_since_ms is None:
                shard.lanes.pop(lane, None)

    async def revive(self, number: int, ids: Sequence[str], now_ms: int) -> int:
        shard = self._shard(number)
        found = [shard.dead.pop(each) for each in ids if each in shard.dead]
        for each in found:
            new = revived(each, now_ms)
            shard.waiting[each.id] = shard.actions[each.id] = new
            shard.lanes.setdefault(each.lane, LaneState(about=""))
        return len(found)

    def _owned(self, number: int, nonce: str) -> ShardReceipts:
        shard = self._shard(number)
        if shard.nonce != nonce:
            raise FencedError(number, nonce, shard.nonce)
        return shard

    def _shard(self, number: int) -> ShardReceipts:
        if self.is_down:
            raise StoreDownError("connection", "switched off")
        return self.shards[number]


def _trim(
    records: dict[str, Delivery], kept_max: int, rank: Callable[[Delivery], tuple[int, str]]
) -> None:
    for each in sorted(records.values(), key=rank)[: max(0, len(records) - kept_max)]:
        del records[each.id]
