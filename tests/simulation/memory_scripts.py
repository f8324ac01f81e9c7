"""What the relay's scripts do, in Python, on the Redis in memory.

Promise   As streams/receipts_scripts.py; the contract of receipts (tests/contracts) holds
          both to the same. Between two commands of a script nobody else can do anything, but Redis can
          come back with only the first of them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from streams import receipts_scripts
from tests.simulation.memory_commands import Refused, Reply
from tests.simulation.memory_redis import Session

Words: TypeAlias = Sequence[bytes]
TRIMMED_MAX: Final = 1_000


class ScriptError(Exception):
    """A command within a script was refused."""


def _call(session: Session, *words: bytes) -> Reply:
    reply = session.redis.execute(session, words)
    if isinstance(reply, Refused):
        raise ScriptError(reply.words)
    return reply


def _members(reply: Reply) -> list[bytes]:
    assert isinstance(reply, list)
    return [each for each in reply if isinstance(each, bytes)]


def _owner(session: Session, key: bytes) -> tuple[dict[str, Any] | None, bytes]:
    """What the fence says, and the words for who it is."""
    fence = _call(session, b"GET", key)
    if not isinstance(fence, bytes):
        return None, b"nothing"
    owner: dict[str, Any] = msgspec.json.decode(fence)
    return owner, f"{owner['epoch']}:{owner['nonce']}".encode()


def _begin(session: Session, keys: Words, args: Words) -> Reply:
    owner, who = _owner(session, keys[0])
    if owner is None or owner["nonce"] != args[0].decode():
        return who
    _call(session, b"SET", keys[1], args[1] + b" 0")
    return b""


def _write(session: Session, keys: Words, args: Words) -> Reply:
    owner, who = _owner(session, keys[0])
    if owner is None or owner["nonce"] != args[0].decode():
        return [-1, who]
    has_lost = _lost(session, keys[6], args[2:5])
    if has_lost is not None:
        return [-2, has_lost]
    given = [*args[:-1], b"%d" % min(int(args[-1]), owner["outbox"])]
    at = 5
    while at < len(given):
        length = int(given[at])
        _call(session, *given[at + 1 : at + 1 + length])
        at += 1 + length
    for each in (1, 3):
        count = _call(session, b"ZCARD", keys[each + 1])
        assert isinstance(count, int)
        surplus = min(count - int(args[1]), TRIMMED_MAX)
        if surplus > 0:
            last = b"%d" % (surplus - 1)
            gone = _members(_call(session, b"ZRANGE", keys[each + 1], b"0", last))
            _call(session, b"HDEL", keys[each], *gone)
            _call(session, b"ZREMRANGEBYRANK", keys[each + 1], b"0", last)
    if args[2]:
        _call(session, b"SET", keys[6], args[2] + b" " + args[3])
    return [_call(session, b"HLEN", keys[5]), b""]


def _lost(session: Session, key: bytes, mark: Words) -> bytes | None:
    """What is marked instead, where the write that the mark names is not there."""
    name, _, known = mark
    if not name:
        return None
    found = _call(session, b"GET", key)
    marked = found if isinstance(found, bytes) else b""
    stored, _, number = marked.rpartition(b" ")
    return None if stored == name and int(number) >= int(known) else marked


def _due(session: Session, keys: Words, args: Words) -> Reply:
    limit = (b"LIMIT", b"0", args[1])
    ids = _members(_call(session, b"ZRANGEBYSCORE", keys[0], b"-inf", args[0], *limit))
    records: list[Reply] = []
    if ids:
        found = _call(session, b"HMGET", keys[1], *ids)
        assert isinstance(found, list)
        for each, record in zip(ids, found, strict=True):
            if record is None:
                _call(session, b"ZREM", keys[0], each)
            else:
                records.append(record)
    bounds = (b"(" + args[0], b"+inf", b"WITHSCORES", b"LIMIT", b"0", b"1")
    after = _members(_call(session, b"ZRANGEBYSCORE", keys[0], *bounds))
    return [records, b"0" if len(ids) == int(args[1]) else after[1] if after else b""]


def _forget(session: Session, keys: Words, args: Words) -> Reply:
    for lane in args:
        stored = _call(session, b"HGET", keys[0], lane)
        if isinstance(stored, bytes) and _call(session, b"ZCARD", keys[1] + lane) == 0:
            state = msgspec.json.decode(stored)
            if state.get("failing_since_ms") is None and not state.get("disabled"):
                _call(session, b"HDEL", keys[0], lane)
    return None


def _revive(session: Session, keys: Words, args: Words) -> Reply:
    count = 0
    for at in range(1, len(args), 3):
        action_id, lane, record = args[at : at + 3]
        if _call(session, b"HEXISTS", keys[0], action_id) == 1:
            _call(session, b"ZADD", keys[4] + lane, args[0], action_id)
            _call(session, b"HSETNX", keys[5], lane, b'{"about":""}')
            _call(session, b"HSET", keys[2], action_id, record)
            _call(session, b"HSET", keys[3], action_id, record)
            _call(session, b"HDEL", keys[0], action_id)
            _call(session, b"ZREM", keys[1], action_id)
            count += 1
    return count


SCRIPTS: Final[Mapping[str, Callable[[Session, Words, Words], Reply]]] = {
    receipts_scripts.BEGIN: _begin,
    receipts_scripts.WRITE: _write,
    receipts_scripts.DUE: _due,
    receipts_scripts.FORGET: _forget,
    receipts_scripts.REVIVE: _revive,
}


def run(session: Session, text: str, keys: Words, args: Words) -> Reply:
    """Run a script; what writes is refused as a whole while Redis takes no writes."""
    refusal = session.redis.refusal(b"EVALSHA")
    if refusal is not None:
        return refusal
    try:
        return SCRIPTS[text](session, keys, args)
    except ScriptError as error:
        return Refused(str(error))
