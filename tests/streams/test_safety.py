"""Which Redis is refused, with which words, and what can be allowed."""

import logging
from unittest.mock import patch

import pytest

from streams import safety
from streams.errors import UnsafeStoreError
from streams.safety import check, dangers
from streams.store import Connection, StoreAddress

SAFE = {
    "redis_version": "6.2.0",
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
    "cluster_enabled": "0",
}
NOBODY = Connection(StoreAddress())  # never asked: what INFO says is given


def checked(info: dict[str, str], *allowed: str, log_inside: bool = True) -> None:
    with patch.object(safety, "information", lambda *_: info):
        check(NOBODY, log_inside=log_inside, allowed=allowed)


def test_the_oldest_safe_one_is_taken() -> None:
    """What the documentation promises."""
    assert dangers(SAFE, log_inside=True) == []


@pytest.mark.parametrize("log_inside", [True, False])
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
def test_each_danger_is_named_with_its_mend(
    field: str, value: str, says: str, log_inside: bool
) -> None:
    """Whoever reads it at 3 a.m. must know what to type."""
    with pytest.raises(UnsafeStoreError) as caught:
        checked({**SAFE, field: value}, log_inside=log_inside)

    assert len(caught.value.problems) == 1
    assert says in caught.value.problems[0]


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [("maxmemory_policy", "allkeys-lru", "eviction"), ("aof_enabled", "0", "no-aof")],
)
def test_what_is_allowed_by_name_is_taken_and_told_at_each_start(
    field: str, value: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that nobody is reminded of becomes the rule."""
    unsafe = {**SAFE, field: value}
    with pytest.raises(UnsafeStoreError, match=f'add "{name}" to unsafe'):
        checked(unsafe, "weak-secrets")
    for start in (1, 2):
        checked(unsafe, name)

        assert len(caplog.records) == start
        assert caplog.records[-1].levelno == logging.WARNING
        assert f'allowed by "{name}"' in caplog.messages[-1]


@pytest.mark.parametrize(("field", "value"), [("redis_version", "5.0.7"), ("cluster_enabled", "1")])
def test_what_cannot_work_cannot_be_allowed(field: str, value: str) -> None:
    """No word makes commands appear that a server does not have."""
    with pytest.raises(UnsafeStoreError) as caught:
        checked({**SAFE, field: value}, "eviction", "no-aof", "")

    assert "unsafe" not in str(caught.value)


def test_what_is_allowed_and_safe_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """A warning about nothing teaches people not to read warnings."""
    checked(SAFE, "eviction", "no-aof")

    assert caplog.records == []
