"""What a scrape tells is what was counted, in Prometheus' base units."""

from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from streams.feed import Lag
from streams.metrics import OTHER_RULES, RULES_MAX, Metrics
from tests.streams.metrics_filled import filled, status


def scraped(metrics: Metrics) -> dict[str, float]:
    """Each sample of ours by its name and labels, as Prometheus would store it."""
    _, text = metrics.text()
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): (
            sample.value
        )
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name.startswith("rapport_")
    }


def test_what_was_counted_is_what_is_scraped() -> None:
    """The names are stable: dashboards and alerts are written in them."""
    seen = scraped(filled())

    expected = {
        "rapport_build_info version=1.2.3": 1,
        "rapport_events_total outcome=admitted": 2,
        "rapport_events_total outcome=duplicate": 1,
        "rapport_events_total outcome=late": 1,
        "rapport_fires_suppressed_total": 1,
        "rapport_stage_seconds_total stage=decode": 1.5e-6,
        "rapport_dead_letters_total reason=malformed": 2,
        "rapport_dead_letters_total reason=late": 1,
        "rapport_dead_letters_total reason=nul": 0,
        "rapport_batch_records_count": 1,
        "rapport_commit_seconds_count": 1,
        "rapport_commit_seconds_bucket le=0.0005": 0,
        "rapport_commit_seconds_bucket le=0.001": 1,
        "rapport_customers_written_total": 2,
        "rapport_latency_seconds_bucket le=0.001": 0,
        "rapport_latency_seconds_bucket le=0.002": 1,
        "rapport_latency_seconds_count": 2,
        "rapport_fence_refusals_total": 1,
        "rapport_rollbacks_total": 1,
        "rapport_store_unavailable_total reason=loading": 1,
        "rapport_lag_records shard=0 topic=orders": 7,
        "rapport_lag_seconds shard=0 topic=orders": 1.5,
        "rapport_shards state=running": 2,
        "rapport_shards state=stopped": 0,
        "rapport_profiles": 12,
        "rapport_ready part=redis": 1,
        "rapport_ready part=log": 0,
        "rapport_live": 1,
        "rapport_fires_total rule=vip": 2,
        "rapport_rules": 2,
        "rapport_rules_reloads_total result=refused": 1,
        "rapport_actions_total kind=webhook result=delivered": 1,
        "rapport_delivery_seconds_bucket le=0.003": 1,
        "rapport_relay_queued": 3,
        "rapport_relay_oldest_seconds": 0.25,
        "rapport_http_request_seconds_count method=POST route=/v1/events status=200": 1,
        "rapport_ingest_events_total": 4,
        "rapport_ingest_rejections_total reason=nul": 1,
    }
    assert {name: seen[name] for name in expected} == expected


def test_two_engines_in_one_process_count_apart_from_each_other_and_from_libraries() -> None:
    """Faust counts in the global registry; a second import would register everything twice."""
    one, other = Metrics("1"), Metrics("1")
    one.rules.in_force(5)

    assert scraped(other)["rapport_rules"] == 0
    assert not any(family.name.startswith("rapport") for family in REGISTRY.collect())


def test_a_shard_that_moved_away_leaves_no_lag_behind() -> None:
    """Else its last lag would alert for ever, on the worker that no longer owns it."""
    metrics = Metrics("1")
    metrics.shards([status(0, orders=Lag(5, 10)), status(1, orders=Lag(6, 20))])
    metrics.shards([status(1, orders=Lag(4, 20))])

    seen = scraped(metrics)
    assert seen["rapport_lag_records shard=1 topic=orders"] == 4
    assert "rapport_lag_records shard=0 topic=orders" not in seen
    assert "rapport_lag_seconds shard=0 topic=orders" not in seen


def test_profiles_of_a_shard_that_moved_away_are_counted_no_more() -> None:
    """Summed over all workers, each customer would be in memory as often as its shard has moved."""
    metrics = Metrics("1")
    metrics.profiles(0, 5)
    metrics.profiles(1, 7)
    metrics.shards([status(0), status(1)])
    assert scraped(metrics)["rapport_profiles"] == 12

    metrics.shards([status(1)])
    assert scraped(metrics)["rapport_profiles"] == 7
    metrics.profiles(0, 1)  # it came back, and nobody has told yet
    metrics.shards([status(1)])
    assert scraped(metrics)["rapport_profiles"] == 8


def test_no_number_of_rules_makes_more_series_than_allowed() -> None:
    """Rules are named by users; a generated name must not bring Prometheus down."""
    metrics = Metrics("1")
    metrics.fired([f"rule-{number}" for number in range(RULES_MAX + 5)])
    metrics.fired(["rule-0", f"rule-{RULES_MAX}"])

    fires = {name: value for name, value in scraped(metrics).items() if "fires_total" in name}
    assert len(fires) == RULES_MAX + 1
    assert fires[f"rapport_fires_total rule={OTHER_RULES}"] == 6
    assert fires["rapport_fires_total rule=rule-0"] == 2
