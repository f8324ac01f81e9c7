"""The partition of a customer: which shard an event belongs to.

Promise   The same partition that Kafka's own producers choose for the same key.
How       32-bit murmur2 with Kafka's seed, its sign bit cleared, modulo the partition count
          (org.apache.kafka.common.utils.Utils.murmur2 and toPositive).
          A record that lies elsewhere, because its producer has another key or another partitioner, is put
          aside: folded there, it would begin a second profile of a customer who has one.
Limits    CACHED_MAX customers are remembered; one that is not costs about 2 µs.
Not here  Kafka's producers, which compute it themselves.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from processors.batch import DeadLetter, Decoded, Records
from processors.event import Event

CACHED_MAX: Final = 65_536

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_R: Final = 24
_MASK: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF


def murmur2(data: bytes) -> int:
    """Murmur2 of the bytes as Kafka has it, as an unsigned number of 32 bits.

    >>> murmur2(b"foobar") - 2**32
    -790332482
    """
    length = len(data)
    whole = length & ~3
    h = _SEED ^ length
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        k = (k ^ k >> _R) * _M & _MASK
        h = h * _M & _MASK ^ k
    if whole < length:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


@lru_cache(CACHED_MAX)
def partition_of(customer_id: str, partitions: int) -> int:
    """The partition of this customer's events, from 0 to `partitions` - 1.

    >>> [partition_of(each, 4) for each in ("ann", "eve", "zoe")]
    [2, 0, 1]
    """
    return (murmur2(customer_id.encode()) & _POSITIVE) % partitions


def astray(customer_ids: Iterable[str], number: int, partitions: int) -> dict[str, int]:
    """Those of the customers who do not belong to partition `number`, and where each belongs.

    >>> astray(["ann", "eve", "zoe"], 2, 4)
    {'eve': 0, 'zoe': 1}
    """
    homes = {each: partition_of(each, partitions) for each in customer_ids}
    return {each: home for each, home in homes.items() if home != number}


def put_aside(records: Records, decoded: Decoded, number: int, homes: dict[str, int]) -> Decoded:
    """The batch without the events of these customers, which become dead letters."""
    events: list[Event] = []
    kept = Decoded(events, [], [], list(decoded.dead))
    for event, index in zip(decoded.events, decoded.indexes, strict=True):
        home = homes.get(event.customer_id)
        if home is None:
            events.append(event)
            kept.indexes.append(index)
            kept.customer_ids.append(event.customer_id)
            continue
        detail = (
            f"the customer belongs to partition {home}, and the record came in {number}: the key of"
            " a record must be its customer_id, and the producer's partitioner murmur2"
        )
        letter = DeadLetter(
            records.origin(index),
            records.values[index],
            "wrong_partition",
            "customer_id",
            detail,
            None,
        )
        kept.dead.append(letter)
    return kept
