"""The benchmarks on a real broker work, and what they print makes sense. Bars are not for tests."""

import json

import pytest

from benchmarks import latency, reference, timers
from tests.machine import KAFKA_JARS, java, require

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EVENTS = 6_000


def test_the_reference_job_is_done_alike_by_both_sides(
    machine_has_kafka: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ratio says something only if the two have done the same job, and each was seen to do it."""
    reference.main(json_out=True, counts=reference.Counts(2_000, EVENTS, EVENTS))
    told = json.loads(capsys.readouterr().out)

    assert told["disagreement"] == ""
    assert 0 < told["cpu_us_per_event"] < told["rival"]["cpu_us_per_event"]
    assert told["ratio"] == pytest.approx(
        told["rival"]["cpu_us_per_event"] / told["cpu_us_per_event"], abs=0.1
    )
    assert told["events_per_second"] > 0
    assert {"columns", "fold", "score", "rules", "encode", "commit"} <= told["stages"].keys()
    assert sum(told["threads"].values()) == pytest.approx(told["cpu_us_per_event"], rel=0.3)
    assert told["rival"]["actions_of_first"] > 0


def test_every_event_is_seen_in_redis_and_every_webhook_is_received(
    machine_has_kafka: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record that the observer missed would be left out of the percentiles, the slow ones first."""
    plan = latency.Plan(rate=500, floor_seconds=1, warm_seconds=2, seconds=4)
    latency.main(json_out=True, plan=plan)
    told = json.loads(capsys.readouterr().out)
    redis, webhook, floor = (
        told[name] for name in ("produce_to_redis_ms", "produce_to_webhook_ms", "floor_ms")
    )

    assert redis["count"] == plan.count(plan.seconds)
    assert floor["count"] == plan.count(plan.floor_seconds)
    assert webhook["count"] == told["webhooks_expected"] > 0
    for found in (redis, webhook, floor):
        assert 0 < found["p50"] <= found["p99"] <= found["p99.9"] <= found["max"]
    assert told["cpu_us_per_event"] > 0
    assert 0 < told["observer_cpu_share"] < 1


def test_every_timer_that_comes_due_is_seen_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A timer that was left out would be the late one."""
    timers.main(json_out=True, counts=timers.Counts(pending=5_000, due=400))
    told = json.loads(capsys.readouterr().out)

    assert told["lateness_ms"]["count"] == 400
    assert (
        0 <= told["lateness_ms"]["min"] <= told["lateness_ms"]["p99"] <= told["lateness_ms"]["max"]
    )
    assert told["pending"]["redis_bytes_per_timer"] > 0
    assert 0 <= told["idle_worker_cpu_share"] < 1


@pytest.fixture(scope="module")
def machine_has_kafka() -> None:
    """Skip, or fail in CI, where the broker cannot run: the benchmarks themselves would just say so."""
    require("Java 17 or newer", java() is not None, "install a JRE; Kafka's broker runs on it")
    complete = (KAFKA_JARS / ".complete").exists()
    require("the jars of Kafka's broker", complete, "`make machine` fetches them with Maven")
