"""Which Redis is refused, and with which words."""

import pytest

from streams.safety import problems

SAFE = {
    "redis_version": "6.2.0",
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
    "cluster_enabled": "0",
}


def test_the_oldest_safe_one_is_taken() -> None:
    """What the documentation promises."""
    assert problems(SAFE, log_inside=True) == []


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("redis_version", "6.0.16", "Install Redis 6.2"),
        ("redis_version", "5.0.7", "Install Redis 6.2"),
        ("maxmemory_policy", "volatile-ttl", "Set it to noeviction"),
        ("aof_enabled", "0", "Set appendonly to yes"),
        ("cluster_enabled", "1", "not a cluster"),
    ],
)
def test_each_danger_is_named_with_its_mend(field: str, value: str, says: str) -> None:
    """Whoever reads it at 3 a.m. must know what to type."""
    found = problems({**SAFE, field: value}, log_inside=True)

    assert len(found) == 1
    assert says in found[0]


def test_without_the_log_a_lost_tail_is_read_again() -> None:
    """Kafka repeats what Redis forgot, fence and state together."""
    assert problems({**SAFE, "aof_enabled": "0"}, log_inside=False) == []
