"""Timers of a worker that was frozen, as a virtual machine is that moves: never ahead of the log."""

import time
from pathlib import Path

import pytest

from tests.faults.installed import installed
from tests.faults.timer_load import DatedSender, told, wall_ms
from tests.faults.timer_rules import Happening
from tests.integration.kafka_broker import KafkaBroker
from tests.integration.reading import PARTITIONS
from tests.integration.redis_server import RedisServer
from tests.integration.shop import stored

CUSTOMERS = 40
ROUNDS = 3
RULES = b"""
[rule.unpaid]
sequence = ["order.placed", "no order.paid within 1500ms"]
then = [{ log = "remind", type = "order.unpaid" }]
"""


@pytest.mark.slow
def test_a_timer_that_was_taken_back_while_its_worker_was_frozen_does_not_fire(
    kafka: KafkaBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """The payment was in the log half a second before the reminder was due: nobody is to be reminded."""
    place = (kafka, redis_server, tmp_path / "worker", "frozen-")
    with installed(*place, rules=RULES, session_timeout_ms=10_000) as workers:
        sender = DatedSender(workers.settings)
        workers.start("one", "--no-relay")
        workers.until(lambda: len(workers.fences()) == PARTITIONS, "claimed")
        for number in range(ROUNDS):
            began = time.monotonic()
            _all(sender, "order.placed", number)
            workers.wait_until_read()
            time.sleep(max(0.0, began + 0.9 - time.monotonic()))
            workers.pause("one")
            _all(sender, "order.paid", number)
            assert time.monotonic() - began < 1.4, "the machine is too slow to tell"
            time.sleep(max(0.0, began + 2.0 - time.monotonic()))
            workers.resume("one")
            workers.wait_until_read()
        time.sleep(1.0)
        with redis_server.client() as client:
            found = stored(client)

    assert len(found.views) == ROUNDS * CUSTOMERS
    assert found.causes.total() == 0


def _all(sender: DatedSender, kind: str, number: int) -> None:
    """Such an event of each customer of a round, now."""
    for index in range(CUSTOMERS):
        name = f"c{number}-{index}"
        sender.put(told(Happening(f"{kind}-{name}", kind, wall_ms(), "k", 10.0), name))
    sender.flush()
