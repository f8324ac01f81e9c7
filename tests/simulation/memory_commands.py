"""The commands of the Redis in memory: those that we send, and no others.

How       Each takes the data and its arguments, and answers with the reply and the keys that it has
          written. Values are bytes, hashes, or sorted sets, and never changed in place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Refused:
    """An error reply."""

    words: str


class Scores(dict[bytes, float]):
    """A sorted set: member to score."""

    def ranked(self) -> list[tuple[bytes, float]]:
        return sorted(self.items(), key=lambda pair: (pair[1], pair[0]))


Value: TypeAlias = "bytes | dict[bytes, bytes] | Scores"
Data: TypeAlias = dict[bytes, Value]
Reply: TypeAlias = "bytes | int | Refused | list[Reply] | None"
Answer: TypeAlias = tuple[Reply, list[bytes]]
Words: TypeAlias = Sequence[bytes]

WRONG_TYPE: Final = Refused("WRONGTYPE Operation against a key holding the wrong kind of value")


def _text(data: Data, key: bytes) -> Reply:
    value = data.get(key)
    return value if value is None or isinstance(value, bytes) else WRONG_TYPE


def hash_of(data: Data, key: bytes) -> dict[bytes, bytes]:
    value = data.get(key, {})
    assert isinstance(value, dict), f"{key!r} is no hash"
    assert not isinstance(value, Scores), f"{key!r} is a sorted set"
    return value


def _scores(data: Data, key: bytes) -> Scores:
    value = data.get(key, Scores())
    assert isinstance(value, Scores), f"{key!r} is no sorted set"
    return value


def _keep(data: Data, key: bytes, value: "dict[bytes, bytes] | Scores") -> None:
    """Redis has no empty hashes and sets."""
    if value:
        data[key] = value
    else:
        data.pop(key, None)


def _get(data: Data, words: Words) -> Answer:
    return _text(data, words[0]), []


def _mget(data: Data, words: Words) -> Answer:
    found = [data.get(key) for key in words]
    return [value if isinstance(value, bytes) else None for value in found], []


def _exists(data: Data, words: Words) -> Answer:
    return sum(key in data for key in words), []


def _type(data: Data, words: Words) -> Answer:
    value = data.get(words[0])
    if value is None:
        return b"none", []
    if isinstance(value, bytes):
        return b"string", []
    return (b"zset" if isinstance(value, Scores) else b"hash"), []


def _set(data: Data, words: Words) -> Answer:
    key, value, *options = words
    assert options in ([], [b"NX"]), options
    if options and key in data:
        return None, []
    data[key] = value
    return b"OK", [key]


def _mset(data: Data, words: Words) -> Answer:
    assert len(words) % 2 == 0
    data.update(zip(words[::2], words[1::2], strict=True))
    return b"OK", list(words[::2])


def _del(data: Data, words: Words) -> Answer:
    gone = [key for key in words if data.pop(key, None) is not None]
    return len(gone), gone


def _hget(data: Data, words: Words) -> Answer:
    return hash_of(data, words[0]).get(words[1]), []


def _hmget(data: Data, words: Words) -> Answer:
    found = hash_of(data, words[0])
    return [found.get(each) for each in words[1:]], []


def _hgetall(data: Data, words: Words) -> Answer:
    return [part for pair in hash_of(data, words[0]).items() for part in pair], []


def _hlen(data: Data, words: Words) -> Answer:
    return len(hash_of(data, words[0])), []


def _hexists(data: Data, words: Words) -> Answer:
    return int(words[1] in hash_of(data, words[0])), []


def _hset(data: Data, words: Words) -> Answer:
    key, *pairs = words
    old = hash_of(data, key)
    new = {**old, **dict(zip(pairs[::2], pairs[1::2], strict=True))}
    data[key] = new
    return len(new) - len(old), [key]


def _hsetnx(data: Data, words: Words) -> Answer:
    key, member, value = words
    if member in hash_of(data, key):
        return 0, []
    return 1, _hset(data, [key, member, value])[1]


def _hdel(data: Data, words: Words) -> Answer:
    key, *members = words
    old = hash_of(data, key)
    new = {each: value for each, value in old.items() if each not in members}
    _keep(data, key, new)
    return len(old) - len(new), [key] if len(old) > len(new) else []


def _zadd(data: Data, words: Words) -> Answer:
    """Also with LT or XX. What changes nothing is no write, and Redis does not log it."""
    key, *rest = words
    options = set()
    while rest[0] in {b"LT", b"XX"}:
        options.add(rest.pop(0))
    old = _scores(data, key)
    new = Scores(old)
    for score, member in zip(rest[::2], rest[1::2], strict=True):
        is_new = member not in old
        is_kept = b"XX" in options if is_new else b"LT" in options and float(score) >= old[member]
        if not is_kept:
            new[member] = float(score)
    if new == old:
        return 0, []
    data[key] = new
    return len(new) - len(old), [key]


def _zrem(data: Data, words: Words) -> Answer:
    key, *members = words
    old = _scores(data, key)
    new = Scores({each: score for each, score in old.items() if each not in members})
    _keep(data, key, new)
    return len(old) - len(new), [key] if len(old) > len(new) else []


def _zcard(data: Data, words: Words) -> Answer:
    return len(_scores(data, words[0])), []


def _zrange(data: Data, words: Words) -> Answer:
    key, first, last, *options = words
    assert options in ([], [b"WITHSCORES"]), options
    ranked = _scores(data, key).ranked()
    return _members(ranked[int(first) : int(last) + 1 or None], with_scores=bool(options)), []


def _zrangebyscore(data: Data, words: Words) -> Answer:
    """Key, lowest, highest, and then WITHSCORES and LIMIT 0 COUNT where given."""
    key, lowest, highest, *options = words
    with_scores = options[:1] == [b"WITHSCORES"]
    limit = options[with_scores:]
    assert limit[:2] == [b"LIMIT", b"0"], options
    beyond = lowest.startswith(b"(")
    least, most = float(lowest.lstrip(b"(")), float(highest)
    found = [
        pair
        for pair in _scores(data, key).ranked()
        if pair[1] <= most and (pair[1] > least if beyond else pair[1] >= least)
    ]
    return _members(found[: int(limit[2])], with_scores=with_scores), []


def _zremrangebyrank(data: Data, words: Words) -> Answer:
    key, first, last = words
    old = _scores(data, key)
    gone = [member for member, _ in old.ranked()[int(first) : int(last) + 1 or None]]
    return _zrem(data, [key, *gone]) if gone else (0, [])


def _members(pairs: Sequence[tuple[bytes, float]], *, with_scores: bool) -> Reply:
    if not with_scores:
        return [member for member, _ in pairs]
    return [part for member, score in pairs for part in (member, b"%d" % int(score))]


READING: Final = frozenset(
    [
        *(b"INFO", b"GET", b"MGET", b"EXISTS", b"TYPE", b"WATCH", b"MULTI"),
        *(b"HGET", b"HMGET", b"HGETALL", b"HLEN", b"HEXISTS"),
        *(b"ZCARD", b"ZRANGE", b"ZRANGEBYSCORE"),
    ]
)
COMMANDS: Final[Mapping[bytes, Callable[[Data, Words], Answer]]] = {
    name.upper().encode(): command
    for name, command in {
        "get": _get,
        "mget": _mget,
        "exists": _exists,
        "type": _type,
        "set": _set,
        "mset": _mset,
        "del": _del,
        "hget": _hget,
        "hmget": _hmget,
        "hgetall": _hgetall,
        "hlen": _hlen,
        "hexists": _hexists,
        "hset": _hset,
        "hsetnx": _hsetnx,
        "hdel": _hdel,
        "zadd": _zadd,
        "zrem": _zrem,
        "zcard": _zcard,
        "zrange": _zrange,
        "zrangebyscore": _zrangebyscore,
        "zremrangebyrank": _zremrangebyrank,
    }.items()
}
