"""What a write to Redis is about, by its keys and its words."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tests.simulation.memory_commands import Data, hash_of
from tests.simulation.shop import Cause

KEY: Final = re.compile(
    rb"rapport:\{(\d+)\}:(fence|row|customer|outbox|relay|actions|timers)(.*)", re.DOTALL
)


def only_cleans(data: Data, keys: Sequence[bytes], words: Sequence[bytes]) -> bool:
    """Whether an index loses what no record confirms; anybody who looks there may do that."""
    tag, _, name = keys[0].partition(b":actions:")
    if words[0] == b"HDEL" and name == b"lanes":
        return True
    waiting = hash_of(data, tag + b":actions:waiting")
    return (
        words[0] == b"ZREM"
        and name.startswith(b"due:")
        and not any(each in waiting for each in words[2:])
    )


def cause_of(action: dict[str, Any]) -> Cause:
    """What an action came of."""
    cause = action["cause"].partition("#")[0]  # without the key of a run
    return (action["customer_id"], action["rule"], cause, action["target"]["name"])


def named(keys: Sequence[bytes]) -> Iterator[tuple[int, str, bytes]]:
    """Shard, kind and name of each key that is one of a shard."""
    for key in keys:
        found = KEY.fullmatch(key)
        if found is not None:
            yield int(found[1]), found[2].decode(), found[3]
