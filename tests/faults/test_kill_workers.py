"""Workers die at any moment, and what is stored is what one reader would have stored who never died.

The same without a fence comes out wrong: else the first test would show nothing.
"""

import random
import time
from pathlib import Path

import pytest

from tests.integration.kafka_broker import KafkaBroker
from tests.integration.redis_server import RedisServer
from tests.integration.shop import Sender, Stored, Told, differences, expected, stored, told
from tests.integration.workers import Rig, rig

SEED = 20_261_122
KILLS = 20
KILLS_NAIVE = 8
RATE = 1_500.0
CUSTOMERS = 120
NAMES = ("one", "two")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def under_fire(rig: Rig, kills: int) -> list[Told]:
    """Continuous load on two workers, each of which is killed again and again; returns what was sent.

    Every third death is between sending a commit and reading its reply. The dead come back at once,
    so that now and then the other dies before the first owns anything again.
    """
    chance = random.Random(SEED)
    sender = Sender(rig.settings)
    events = told(SEED, CUSTOMERS, start_ms=time.time_ns() // 1_000_000 - 600_000)
    for name in NAMES:
        rig.start(name)
    sender.send(events, 6_000, rate=RATE)
    for number in range(kills):
        name = chance.choice(NAMES)
        if number % 3 == 2:
            rig.die_between_send_and_reply(name)
        else:
            rig.kill(name)
        sender.send(events, chance.randrange(500, 1_500), rate=RATE)
        rig.start(name)
        sender.send(events, chance.randrange(2_500, 6_000), rate=RATE)
    sender.flush()
    return sender.sent


def found_in(redis_server: RedisServer) -> Stored:
    with redis_server.client() as client:
        return stored(client)


def test_twenty_kills_lose_nothing_and_count_nothing_twice(
    kafka: KafkaBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """The promise that everything else rests on: each event counts once, each action is decided once."""
    with rig(kafka, redis_server, tmp_path, "fire-") as two:
        sent = under_fire(two, KILLS)
        two.wait_until_read()
        wanted = expected(sent)

        assert differences(wanted, found_in(redis_server)) == [], f"seed {SEED}"
        assert sum(len(each.causes) for each in wanted.values()) > KILLS, (
            "too quiet to show anything"
        )


def test_without_a_fence_the_same_comes_out_wrong(
    kafka: KafkaBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """A test that cannot fail proves nothing."""
    with rig(kafka, redis_server, tmp_path, "naive-", "--naive") as two:
        sent = under_fire(two, KILLS_NAIVE)
        two.wait_until_read(naive=True)

        assert differences(expected(sent), found_in(redis_server)) != []
