"""Beginnings: where a claimed shard starts to read, by its fence and by what the log still holds.

Promise   A shard starts exactly where its fence stands. Where the log no longer holds that (retention
          has passed it, or the topic was made anew) it does not start, unless told to accept the gap.
How       Two requests for all partitions at once: first and last offset of each.
Limits    ASK_SECONDS_MAX, then the shards that got no answer are asked about again later.
Not here  Reading on from there (feed.py).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaException

from streams.errors import GapError
from streams.feed import Beginning
from streams.offsets import Offsets, Place, offsets_of

ASK_SECONDS_MAX: Final = (
    1.0  # an answer takes milliseconds; without a broker there is nothing to read
)
ASK_MS: Final = 1_000  # between two questions: a partition without a leader blocks who asks


def beginnings(
    consumer: Offsets,
    topics: Sequence[str],
    fences: Mapping[int, Mapping[str, str]],
    *,
    accept_gap: bool,
) -> dict[int, list[Beginning] | GapError]:
    """Find where each shard starts, by shard number.

    Args:
        consumer: who asks the brokers.
        topics: the input topics, in the order in which ties are broken.
        fences: of each claimed shard the offsets in its fence; absent = the earliest.
        accept_gap: start at the log's start where it does not hold what the fence wants.

    Returns:
        A beginning for each topic, or the gap. Shards of which a broker said nothing are left out.
    """
    places = [(topic, number) for number in fences for topic in topics]
    try:
        firsts = offsets_of(consumer, places, OFFSET_BEGINNING, ASK_SECONDS_MAX)
        ends = offsets_of(consumer, places, OFFSET_END, ASK_SECONDS_MAX)
    except KafkaException:  # they are asked again later
        return {}
    found: dict[int, list[Beginning] | GapError] = {}
    for number, fence in fences.items():
        if all((topic, number) in firsts and (topic, number) in ends for topic in topics):
            found[number] = _of_shard(number, topics, fence, firsts, ends, accept_gap=accept_gap)
    return found


def _of_shard(
    number: int,
    topics: Sequence[str],
    fence: Mapping[str, str],
    firsts: Mapping[Place, int],
    ends: Mapping[Place, int],
    *,
    accept_gap: bool,
) -> list[Beginning] | GapError:
    result = []
    for topic in topics:
        first, end = firsts[topic, number], ends[topic, number]
        position = int(fence[topic]) if topic in fence else first
        if not first <= position <= end:
            if not accept_gap:
                return GapError(number, f"{topic} {position} (it holds {first} to {end})")
            position = first
        result.append(Beginning(topic, position, end))
    return result
