"""Errors of brokers, one at a time: what a broker answers, and what moves or goes away meanwhile.

Promise   `inject` returns when the error was met: a broker has answered with it, or what was away is
          back. What nobody meets is no error, and raises.
Not here  The brokers (mock_cluster.py).
"""

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from confluent_kafka import KafkaError

from tests.faults.mock_cluster import (
    BROKERS,
    FETCH,
    HEARTBEAT,
    LIST_OFFSETS,
    OFFSET_COMMIT,
    PRODUCE,
    MockCluster,
)

MET_SECONDS_MAX: Final = 20.0
WAIT_SECONDS_MAX: Final = 60.0
LATE_MS: Final = 3_000

# What a broker answers: to which request, with which error, how often, how late.
ANSWERS: Final = {
    "fetch: not leader": (FETCH, KafkaError.NOT_LEADER_FOR_PARTITION, 3, 0),
    "fetch: timed out": (FETCH, KafkaError.REQUEST_TIMED_OUT, 3, 0),
    "fetch: late": (FETCH, KafkaError.NO_ERROR, 1, LATE_MS),
    "fetch: connection broken": (FETCH, KafkaError._TRANSPORT, 1, 0),
    "produce: not leader": (PRODUCE, KafkaError.NOT_LEADER_FOR_PARTITION, 3, 0),
    "produce: timed out": (PRODUCE, KafkaError.REQUEST_TIMED_OUT, 3, 0),
    "commit: not coordinator": (OFFSET_COMMIT, KafkaError.NOT_COORDINATOR, 1, 0),
    "commit: late": (OFFSET_COMMIT, KafkaError.NO_ERROR, 1, LATE_MS),
    "heartbeat: no coordinator": (HEARTBEAT, KafkaError.COORDINATOR_NOT_AVAILABLE, 1, 0),
    "heartbeat: rebalance": (HEARTBEAT, KafkaError.REBALANCE_IN_PROGRESS, 1, 0),
    "heartbeat: unknown member": (HEARTBEAT, KafkaError.UNKNOWN_MEMBER_ID, 1, 0),
}
OF_COORDINATOR: Final = (OFFSET_COMMIT, HEARTBEAT)
MOVES: Final = ("leader moves", "coordinator moves", "broker away", "claim: not leader")
KINDS: Final = (*ANSWERS, *MOVES)


def until(is_so: Callable[[], bool], words: str, seconds_max: float = WAIT_SECONDS_MAX) -> None:
    deadline = time.monotonic() + seconds_max
    while not is_so():
        assert time.monotonic() < deadline, f"not so within {seconds_max} s: {words}"
        time.sleep(0.02)


def inject(cluster: MockCluster, kind: str, chance: random.Random) -> None:
    """One error; return when it was met, or when what was away is back."""
    broker = chance.randrange(BROKERS) + 1
    other = cluster.coordinator % BROKERS + 1
    if kind in ANSWERS:
        request, code, count, late_ms = ANSWERS[kind]
        at = cluster.coordinator if request in OF_COORDINATOR else broker
        answer(cluster, at, request, code, count, late_ms)
    elif kind == "coordinator moves":
        cluster.move_coordinator(other)
    elif kind == "broker away":
        cluster.stop(other)  # not the group's: that it is away takes the group a session to notice
        time.sleep(chance.uniform(0.5, 2.0))
        cluster.start(other)
    elif kind == "leader moves":
        cluster.move_leaders()
    else:  # while shards are claimed anew, their log cannot be asked where it begins
        for each in range(1, BROKERS + 1):
            cluster.fail(each, LIST_OFFSETS, KafkaError.NOT_LEADER_FOR_PARTITION, 1)
        answer(cluster, cluster.coordinator, HEARTBEAT, KafkaError.UNKNOWN_MEMBER_ID, 1)
        for each in range(1, BROKERS + 1):
            until(partial(is_met, cluster, each, LIST_OFFSETS), kind, MET_SECONDS_MAX)


def answer(
    cluster: MockCluster, broker: int, request: int, code: int, count: int, late_ms: int = 0
) -> None:
    cluster.fail(broker, request, code, count, late_ms)
    words = f"request {request} met error {code}"
    until(partial(is_met, cluster, broker, request), words, MET_SECONDS_MAX)


def is_met(cluster: MockCluster, broker: int, request: int) -> bool:
    return not cluster.left(broker, request)
