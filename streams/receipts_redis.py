"""Receipts in Redis, through a connection pool of the relay's own.

Promise   As receipts.py says. No command is repeated by the client.
How       Five scripts (receipts_scripts.py): begin, write, due, forget, revive. Redis 6.2 suffices.
Limits    CONNECTIONS_MAX connections, REPLY_SECONDS_MAX a reply.
Not here  The order of the writes: `commands`, checked against every prefix in the tests.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from rules.action import Action
from streams import outbox
from streams.delivery import DEAD, Delivery
from streams.errors import DamagedError, FencedError, MismatchError, StoreDownError, StoreError
from streams.keys import Keys
from streams.receipts import KEPT_MAX, Changes, Due, LaneState, Survey, is_settled, is_waiting
from streams.receipts_scripts import BEGIN, DUE, FORGET, REVIVE, WRITE
from streams.store import DOWN_FOR_NOW

CONNECTIONS_MAX: Final = 4
CONNECT_SECONDS_MAX: Final = 2.0
REPLY_SECONDS_MAX: Final = 5.0
FENCED: Final = -1  # what the script of a write answers instead of a count
LOST: Final = -2

Part = bytes | str | int

# redis-py cuts the code off the words of those errors that it has classes for.
_CODES: Final[dict[type[RedisError], str]] = {ReadOnlyError: "READONLY ", OutOfMemoryError: "OOM "}

_encode = msgspec.json.Encoder().encode
_delivery = msgspec.json.Decoder(Delivery)
_state = msgspec.json.Decoder(LaneState)


class RedisReceipts:
    def __init__(self, url: str, *, kept_max: int = KEPT_MAX) -> None:
        self._client: Redis = Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            # Without a retry this only closes the connection: its address may have a successor.
            retry_on_error=[ReadOnlyError],
            socket_timeout=REPLY_SECONDS_MAX,
            socket_connect_timeout=CONNECT_SECONDS_MAX,
            max_connections=CONNECTIONS_MAX,
        )
        self._kept_max = kept_max
        self._begin = self._client.register_script(BEGIN)
        self._write = self._client.register_script(WRITE)
        self._due = self._client.register_script(DUE)
        self._forget = self._client.register_script(FORGET)
        self._revive = self._client.register_script(REVIVE)

    async def close(self) -> None:
        await self._client.aclose()

    async def begin(self, number: int, nonce: str, session: str) -> None:
        keys = [Keys.of(number).fence, marked_key(number)]
        found = await _asked(self._begin(keys=keys, args=[nonce, session]))
        if found:
            raise FencedError(number, nonce, found.decode())

    async def cursor(self, number: int) -> int:
        return outbox.cursor(number, await _asked(self._client.get(Keys.of(number).relay)))

    async def entries(self, number: int, first: int, last: int) -> list[tuple[int, list[Action]]]:
        keys = [Keys.of(number).outbox(sequence) for sequence in range(first, last + 1)]
        if not keys:
            return []
        found = await _asked(self._client.mget(keys))
        return [
            (sequence, outbox.decode(key, entry))
            for sequence, key, entry in zip(range(first, last + 1), keys, found, strict=True)
            if entry is not None
        ]

    async def known(self, number: int, ids: Sequence[str]) -> set[str]:
        if not ids:
            return set()
        pipe = self._client.pipeline(transaction=False)
        pipe.hmget(Keys.of(number).actions, list(ids))
        pipe.hmget(waiting_key(number), list(ids))
        seen, waiting = await _asked(pipe.execute())
        return {
            each
            for each, record, kept in zip(ids, seen, waiting, strict=True)
            if kept is not None
            or (record is not None and is_settled(_decoded(Keys.of(number).actions, record)))
        }

    async def write(self, number: int, nonce: str, changes: Changes) -> int:
        keys = Keys.of(number)
        dead = dead_key(number)
        mark = changes.mark
        named: tuple[Part, ...] = ("", "", "")
        if mark is not None:
            named = (mark.session, mark.number, mark.known)
        arguments: list[Part] = [nonce, self._kept_max, *named]
        for command in commands(number, changes):
            arguments += (len(command), *command)
        scope = [keys.fence, keys.actions, keys.actions_by_time, dead, dead + b":by_time"]
        scope += [waiting_key(number), marked_key(number)]
        count, found = await _asked(self._write(keys=scope, args=arguments))
        if count == FENCED:
            raise FencedError(number, nonce, found.decode())
        if count == LOST:
            assert mark is not None, "only a mark is looked for"
            raise MismatchError(number, f"{mark.session} {mark.known}", found.decode())
        return int(count)

    async def due(self, number: int, lane: str, now_ms: int, limit: int) -> Due:
        keys = [due_key(number, lane), waiting_key(number)]
        records, following = await _asked(self._due(keys=keys, args=[now_ms, limit]))
        deliveries = [_decoded(keys[1], record) for record in records]
        return Due(deliveries, int(float(following)) if following else None)

    async def survey(self, number: int) -> Survey:
        stored: dict[bytes, bytes] = await _asked(self._client.hgetall(lanes_key(number)))
        lanes = [lane.decode() for lane in stored]
        pipe = self._client.pipeline(transaction=False)
        pipe.hlen(waiting_key(number))
        for lane in lanes:
            pipe.zrange(due_key(number, lane), 0, 0, withscores=True)
        pipe.get(marked_key(number))
        # Again: who enables an endpoint and then revives what it missed must be seen to have done both.
        pipe.hgetall(lanes_key(number))
        waiting_count, *firsts, marked, stored = await _asked(pipe.execute())
        due_ms = {
            lane: int(first[0][1]) for lane, first in zip(lanes, firsts, strict=True) if first
        }
        try:
            states = {lane.decode(): _state.decode(state) for lane, state in stored.items()}
        except msgspec.MsgspecError as error:
            raise DamagedError(lanes_key(number), f"holds no lane's state: {error}") from error
        return Survey(waiting_count, due_ms, states, _marked(number, marked))

    async def forget(self, number: int, lanes: set[str]) -> None:
        keys = [lanes_key(number), due_key(number, "")]
        await _asked(self._forget(keys=keys, args=sorted(lanes)))

    async def revive(self, number: int, ids: Sequence[str], now_ms: int) -> int:
        if not ids:
            return 0
        dead = dead_key(number)
        arguments: list[Part] = [now_ms]
        for record in await _asked(self._client.hmget(dead, list(ids))):
            if record is not None:
                old = _decoded(dead, record)
                new = revived(old, now_ms)
                arguments += (new.id, new.lane, _encode(new))
        keys = [dead, dead + b":by_time", Keys.of(number).actions, waiting_key(number)]
        keys += [due_key(number, ""), lanes_key(number)]
        return int(await _asked(self._revive(keys=keys, args=arguments)))


def commands(number: int, changes: Changes) -> list[tuple[Part, ...]]:
    """The commands of a write, in an order in which every prefix leaves a good state.

    1. What waits is in its index before it is in the records, and lanes are known before both.
    2. What is dead is kept before it is no longer waiting.
    3. Entries are deleted after the records of their actions, the cursor moves last.
    """
    keys = Keys.of(number)
    waiting, dead, lanes = waiting_key(number), dead_key(number), lanes_key(number)
    indexes: list[tuple[Part, ...]] = [
        ("HSET", lanes, lane, _encode(state)) for lane, state in changes.lanes.items()
    ]
    records: list[tuple[Part, ...]] = []
    leaving: list[tuple[Part, ...]] = []
    for each in changes.deliveries:
        record = _encode(each)
        # 1.
        indexes.append(("ZADD", keys.actions_by_time, each.at_ms, each.id))
        if each.due_ms is not None:
            indexes.append(("HSETNX", lanes, each.lane, b'{"about":""}'))
            indexes.append(("ZADD", due_key(number, each.lane), each.due_ms, each.id))
            records.append(("HSET", waiting, each.id, record))
        # 2.
        if each.status in DEAD:
            indexes.append(("ZADD", dead + b":by_time", each.updated_ms, each.id))
            records.append(("HSET", dead, each.id, record))
        records.append(("HSET", keys.actions, each.id, record))
        if is_settled(each) and not is_waiting(each):
            leaving.append(("HDEL", waiting, each.id))
            leaving.append(("ZREM", due_key(number, each.lane), each.id))
    # 3.
    settled = [("DEL", keys.outbox(sequence)) for sequence in changes.settled]
    return [*indexes, *records, *leaving, *settled, ("SET", keys.relay, changes.cursor)]


def revived(dead: Delivery, now_ms: int) -> Delivery:
    return msgspec.structs.replace(
        dead, status="pending", attempts=0, due_ms=now_ms, updated_ms=now_ms
    )


def waiting_key(number: int) -> bytes:
    return Keys.of(number).actions + b":waiting"


def dead_key(number: int) -> bytes:
    return Keys.of(number).actions + b":dead"


def lanes_key(number: int) -> bytes:
    return Keys.of(number).actions + b":lanes"


def due_key(number: int, lane: str) -> bytes:
    return Keys.of(number).actions + b":due:" + lane.encode()


def marked_key(number: int) -> bytes:
    return Keys.of(number).actions + b":marked"


def _marked(number: int, stored: bytes | None) -> tuple[str, int] | None:
    if stored is None:
        return None
    session, _, last = stored.decode().rpartition(" ")
    try:
        return session, int(last)
    except ValueError as error:
        raise DamagedError(marked_key(number), f"marks no write: {error}") from error


def _decoded(key: bytes, record: bytes) -> Delivery:
    try:
        return _delivery.decode(record)
    except msgspec.MsgspecError as error:
        raise DamagedError(key, f"holds no delivery: {error}") from error


async def _asked(reply: Awaitable[Any] | Any) -> Any:  # noqa: ANN401  redis-py's replies have no type
    try:
        found = await reply
    except RedisTimeoutError as error:
        raise StoreDownError("timeout", str(error)) from error
    except RedisConnectionError as error:  # also while Redis is loading
        raise StoreDownError("connection", str(error)) from error
    except RedisError as error:
        words = f"{_CODES.get(type(error), '')}{error}"
        for code, reason in DOWN_FOR_NOW.items():
            if code in words:  # a script says it in the middle of its own words
                raise StoreDownError(reason, words) from error
        raise StoreError(f"Redis refused a command of the relay: {words}") from error
    finally:
        # redis-py sends through asyncio.wait_for, which before Python 3.12 swallows a cancellation
        # that comes together with the result: 1. the command is sent; 2. we are cancelled; 3. the
        # result wins, and who cancelled us waits for ever.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
    return found
