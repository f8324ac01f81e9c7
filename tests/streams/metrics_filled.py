"""Metrics of which every series has a value."""

from streams.feed import Lag
from streams.metrics import Metrics
from streams.shard_status import ShardStatus


def status(number: int, **lag: Lag) -> ShardStatus:
    return ShardStatus(number, "running", "", 0, lag)


def filled() -> Metrics:
    metrics = Metrics("1.2.3")
    metrics.batch(admitted=2, duplicates=1, late=1, suppressed=1, stage_ns={"decode": 1_500})
    metrics.commit(times_ms=[1_000, 1_003], committed_ms=1_004.5, took_ns=600_000, customers=2)
    metrics.timers(fired=2, stale=1, late_ms=[4.0, 700.0])
    metrics.dead_letters(["malformed", "malformed", "late"])
    metrics.fence_refused()
    metrics.rolled_back()
    metrics.store_unavailable("loading")
    metrics.shards([status(0, orders=Lag(7, 1_500)), status(1)])
    metrics.profiles(0, 12)
    metrics.ready({"redis": True, "log": False})
    metrics.live(is_live=True)
    metrics.fired(["vip", "vip", "churn"])
    metrics.rules.in_force(2)
    metrics.rules.reloaded("refused")
    metrics.rules.paused(["churn"])
    metrics.rules.tripped()
    metrics.action("delivered", "webhook")
    metrics.endpoint_failed("crm")
    metrics.endpoints(["closed", "open"])
    metrics.paced({"crm": 3})
    metrics.delivered([2.5])
    metrics.relay(queued=3, oldest_ms=250)
    metrics.request(method="POST", route="/v1/events", status=200, seconds=0.003)
    metrics.ingested(accepted=4, rejected=["nul"])
    return metrics
