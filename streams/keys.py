"""The names of everything that we keep in Redis.

Promise   All keys of a shard have one hash tag, so they lie in one slot of a Redis Cluster and one
          command may write several of them.
How       `rapport:{p}:…`, where p is the shard's number.
Not here  What the values are: fence.py, shard.py, outbox.py, redis_log.py, redis_dead_letters.py.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one shard; the fields that end in `_` are prefixes.

    >>> Keys.of(3).fence
    b'rapport:{3}:fence'
    """

    fence: bytes  # a string: JSON, see fence.py
    born: bytes  # a string: when the shard was first claimed, in ms; a fence that is lost is missed
    row_: bytes  # + customer id; a string: the packed profile row
    customer_: bytes  # + customer id; a string: JSON, what others read
    outbox_: bytes  # + sequence; a string: a JSON array of actions
    layout_: bytes  # + fingerprint in hex; a string: how the words of a row are arranged
    relay: bytes  # a string: the outbox sequence up to which every action is settled
    actions: bytes  # a hash: action id -> JSON with its status
    actions_by_time: bytes  # a sorted set: action id by time
    timers: bytes  # a sorted set: customer id by when the first timer is due; may hold too much
    log: bytes  # a stream, embedded only: the events as they arrived
    dead_letters: bytes  # a stream, embedded only

    @classmethod
    def of(cls, number: int) -> "Keys":
        tag = b"rapport:{%d}:" % number
        return cls(
            fence=tag + b"fence",
            born=tag + b"born",
            row_=tag + b"row:",
            customer_=tag + b"customer:",
            outbox_=tag + b"outbox:",
            layout_=tag + b"layout:",
            relay=tag + b"relay",
            actions=tag + b"actions",
            actions_by_time=tag + b"actions:by_time",
            timers=tag + b"timers",
            log=tag + b"log",
            dead_letters=tag + b"dlq",
        )

    def outbox(self, sequence: int) -> bytes:
        return self.outbox_ + b"%d" % sequence

    def layout(self, fingerprint: bytes) -> bytes:
        return self.layout_ + fingerprint.hex().encode()
