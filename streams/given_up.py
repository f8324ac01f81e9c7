"""What was given up: actions that nobody took, to be looked at and sent again; endpoints, to be enabled.

Promise   What is sent again is that alone which was asked for and is still given up; with the same id
          and the same bytes, by whoever has the relay, within its SURVEY_MS.
How       Plain reading, besides two scripts: one moves an action from the dead to those that wait
          (receipts_redis.py), one takes an endpoint's mark away, if it is still the one that was read.
          The relay sees both when it next asks Redis what waits.
Limits    Each shard keeps the newest KEPT_MAX that were given up.
Not here  Giving up (delivery.py, sinks/breaker.py). Records that are no events (dead_letters.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from streams.delivery import Delivery
from streams.errors import DamagedError
from streams.receipts import LaneState
from streams.receipts_redis import RedisReceipts, dead_key, due_key, lanes_key
from streams.store import Command, Reply, checked, list_of, number_of, text_of
from streams.store_async import AsyncConnection

PAGE: Final = 500  # records a reply, and actions a script

# Only what was read is replaced: the relay may have learnt something since.
_ENABLE: Final = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""

One = TypeVar("One")

_delivery = msgspec.json.Decoder(Delivery)
_state = msgspec.json.Decoder(LaneState)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of them; what is empty leaves the choice open."""

    ids: frozenset[str] = frozenset()
    endpoint: str = ""
    status: str = ""

    def takes(self, one: Delivery) -> bool:
        return (
            (not self.ids or one.id in self.ids)
            and (not self.endpoint or one.target.name == self.endpoint)
            and (not self.status or one.status == self.status)
        )


@dataclass(frozen=True, slots=True)
class EndpointState:
    """One endpoint, over all shards."""

    lane: str  # "webhook:crm"
    about: frozenset[str]  # the addresses that something is stored about
    waiting_count: int
    failing_since_ms: int | None
    disabled: str  # why, or ""


class GivenUp:
    """All shards of a Redis."""

    def __init__(
        self, connection: AsyncConnection, receipts: RedisReceipts, partitions: int
    ) -> None:
        self._connection = connection
        self._receipts = receipts
        self._numbers = range(partitions)

    async def actions(self, chosen: Chosen, limit: int) -> list[Delivery]:
        """Those that were given up, the last ones first.

        Raises:
            StoreError: Redis cannot be read.
            DamagedError: A record is no delivery.
        """
        found: list[tuple[int, Delivery]] = []
        for number in self._numbers:
            found += [(number, each) for each in await self._of(number, chosen, limit)]
        found.sort(key=lambda one: (-one[1].updated_ms, one[1].id))
        return [each for _, each in found[:limit]]

    async def _of(self, number: int, chosen: Chosen, limit: int) -> list[Delivery]:
        """Of one shard, page by page."""
        dead, found, start = dead_key(number), list[Delivery](), 0
        while len(found) < limit:
            last = start + PAGE - 1
            ids = list_of(await self._connection.call("ZREVRANGE", dead + b":by_time", start, last))
            if not ids:
                break
            names = [text_of(each) or b"" for each in ids]
            records = list_of(await self._connection.call("HMGET", dead, *names))
            for record in map(text_of, records):
                if record is not None:  # else its index entry is left over
                    delivery = _decoded(dead, record, _delivery)
                    found += [delivery] if chosen.takes(delivery) else []
            start += PAGE
        return found[:limit]

    async def resend(self, deliveries: Iterable[Delivery], now_ms: int) -> int:
        """Let them be delivered again, from the first attempt on; how many were still given up.

        Raises:
            StoreError: Redis cannot be written; some may be on their way.
        """
        by_shard: dict[int, list[str]] = {}
        for each in deliveries:
            by_shard.setdefault(each.shard, []).append(each.id)
        count = 0
        for number, ids in by_shard.items():
            for start in range(0, len(ids), PAGE):
                count += await self._receipts.revive(number, ids[start : start + PAGE], now_ms)
        return count

    async def endpoints(self) -> list[EndpointState]:
        """What is known about endpoints, by name. Raises as `actions` does."""
        found: dict[str, EndpointState] = {}
        for number in self._numbers:
            states = await self._states(number)
            asked: list[Command] = [("ZCARD", due_key(number, lane)) for lane in states]
            counts = await self._connection.ask(asked) if asked else []
            for (lane, (_, state)), count in zip(states.items(), counts, strict=True):
                found[lane] = _merged(found.get(lane), lane, state, number_of(checked(count)))
        return [found[lane] for lane in sorted(found)]

    async def enable(self, name: str) -> bool:
        """Use the endpoint of this name again; whether it was disabled. Raises as `actions` does."""
        is_any = False
        for number in self._numbers:
            is_any |= await self._enable(number, name)
        return is_any

    async def _enable(self, number: int, name: str) -> bool:
        is_any = False
        for lane, (stored, state) in (await self._states(number)).items():
            if lane.partition(":")[2] == name and state.disabled:
                enabled, key = _encode(LaneState(state.about)), lanes_key(number)
                done = await self._connection.call("EVAL", _ENABLE, 1, key, lane, stored, enabled)
                is_any |= done == 1
        return is_any

    async def _states(self, number: int) -> dict[str, tuple[bytes, LaneState]]:
        key = lanes_key(number)
        reply: Sequence[Reply] = list_of(await self._connection.call("HGETALL", key))
        words = [text_of(each) or b"" for each in reply]
        return {
            lane.decode(): (stored, _decoded(key, stored, _state))
            for lane, stored in zip(words[::2], words[1::2], strict=True)
        }


def _merged(
    known: EndpointState | None, lane: str, state: LaneState, waiting_count: int
) -> EndpointState:
    if known is None:
        known = EndpointState(lane, frozenset(), 0, None, "")
    since = [each for each in (known.failing_since_ms, state.failing_since_ms) if each is not None]
    return EndpointState(
        lane,
        known.about | ({state.about} if state.about else frozenset()),
        known.waiting_count + waiting_count,
        min(since, default=None),
        known.disabled or state.disabled,
    )


def _decoded(key: bytes, record: bytes, decoder: msgspec.json.Decoder[One]) -> One:
    try:
        return decoder.decode(record)
    except msgspec.MsgspecError as error:
        raise DamagedError(key, f"holds what is none of ours: {error}") from error
