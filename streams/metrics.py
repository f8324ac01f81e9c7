"""The metrics: what the engine tells Prometheus, and the one place where its units become base units.

Promise   One object holds all metrics, in a registry of its own; `/metrics` passes promtool's check.
          Counting a batch costs a few microseconds, whatever its size.
How       Methods are called once a batch, a commit, a delivery or a request, from any thread. What is
          counted once a batch is a tally (tally.py); the rest is the client library's.
Limits    Labels have few values: shards, topics, stages, and words of ours. Rules are users' words, so
          only the first RULES_MAX have a series of their own; the others share one.
Not here  Serving them (web.py). Those of rules as a whole (rule_metrics.py).
"""

from collections import Counter as Count
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client import disable_created_metrics as leave_out_created_series
from prometheus_client.exposition import choose_encoder

from processors.fault import REASONS
from streams.buckets import (
    BATCH_RECORDS,
    COMMIT_SECONDS,
    LATENCY_SECONDS,
    LATENESS_SECONDS,
    REQUEST_SECONDS,
)
from streams.makers import Makers
from streams.rule_metrics import RuleMetrics
from streams.shard_status import ShardStatus

RULES_MAX: Final = 1_000  # series of the counter by rule
OTHER_RULES: Final = "(other)"
OUTCOMES: Final = ("admitted", "duplicate", "late")
STATES: Final = ("claiming", "running", "stopped")
ENDPOINT_STATES: Final = ("closed", "open", "disabled")  # of its breaker
SECONDS_A_NS: Final = 1e-9
SECONDS_A_MS: Final = 1e-3


class Metrics:
    """All metrics of one process."""

    def __init__(self, version: str) -> None:
        """Make them, at zero; `version` is Rapport's."""
        # Else each counter has a second series, to tell what a reset of the first tells.
        leave_out_created_series()  # type: ignore[no-untyped-call]  # the library types all but this
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        make = Makers(self.registry)
        self._counter, self._gauge = make.counter, make.gauge
        self._tally, self._histogram = make.tally, make.histogram
        self._gauge("build_info", "Always 1; the label tells", "version").labels(version).set(1)
        self.rules = RuleMetrics(make)
        self._make_for_batches()
        self._make_for_timers()
        self._make_for_shards()
        self._make_for_actions()
        self._make_for_requests()

    def text(self, accept: str = "") -> tuple[str, bytes]:
        """Content type and body of a scrape that accepts these formats."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self.registry)

    # Batches and commits

    def _make_for_batches(self) -> None:
        self._events = self._tally(
            "events_total", "Decoded events by what became of them", "outcome", OUTCOMES
        )
        self._stages = self._tally(
            "stage_seconds_total", "Time in each stage of the step", "stage", unit=SECONDS_A_NS
        )
        self._dead = self._tally("dead_letters_total", "Records put aside", "reason", REASONS)
        self._suppressed = self._counter("fires_suppressed_total", "Fires held back by a cooldown")
        self._records = self._histogram("batch_records", "Records in a batch", BATCH_RECORDS)
        self._commit = self._histogram(
            "commit_seconds", "Time of a commit; the count is the number of commits", COMMIT_SECONDS
        )
        self._customers = self._counter("customers_written_total", "Profiles written by commits")
        self._latency = self._histogram(
            "latency_seconds", "From a record's time in the log to its commit", LATENCY_SECONDS
        )

    def batch(
        self,
        *,
        admitted: int,
        duplicates: int,
        late: int,
        suppressed: int,
        stage_ns: Mapping[str, int],
    ) -> None:
        """Count a step."""
        self._events.add({"admitted": admitted, "duplicate": duplicates, "late": late})
        self._stages.add(stage_ns)
        if suppressed:
            self._suppressed.inc(suppressed)

    def commit(
        self, *, times_ms: Sequence[int], committed_ms: float, took_ns: int, customers: int
    ) -> None:
        """Count a commit.

        Args:
            times_ms: the time of each of its records; it has none where timers are all there is.
            committed_ms: when it was there, by the wall clock.
            took_ns: how long it took, with its retries.
            customers: how many profiles it wrote.
        """
        if times_ms:
            self._records.observe((len(times_ms),))
        self._commit.observe((took_ns * SECONDS_A_NS,))
        self._customers.inc(customers)
        if len(times_ms) == 1:
            self._latency.observe(((committed_ms - times_ms[0]) * SECONDS_A_MS,))
        else:
            self._latency.observe((committed_ms - np.asarray(times_ms)) * SECONDS_A_MS)

    def _make_for_timers(self) -> None:
        self._timers = self._counter(
            "timers_fired_total", "Timers that were due and were looked at"
        )
        self._stale_timers = self._counter(
            "timers_stale_total", "Actions of timers that were due too long ago to be delivered"
        )
        self._lateness = self._histogram(
            "timer_lateness_seconds",
            "From when a timer was due by the clock to its commit",
            LATENESS_SECONDS,
        )

    def timers(self, *, fired: int, stale: int, late_ms: Sequence[float]) -> None:
        """Count timers, and how late those were that the clock set off."""
        self._timers.inc(fired)
        self._stale_timers.inc(stale)
        self._lateness.observe([each * SECONDS_A_MS for each in late_ms])

    def dead_letters(self, reasons: Iterable[str]) -> None:
        """Count records that were put aside: the reason of each."""
        self._dead.add(Count(reasons))

    # Shards and the store

    def _make_for_shards(self) -> None:
        self._fence_refusals = self._counter(
            "fence_refusals_total", "Commits refused because the shard has another owner"
        )
        self._rollbacks = self._counter(
            "rollbacks_total", "Times that Redis was found to have lost commits of ours"
        )
        self._store_down = self._tally(
            "store_unavailable_total", "Times that Redis could not take a command", "reason"
        )
        self._lag_records = self._gauge("lag_records", "Records not committed", "topic", "shard")
        self._lag_seconds = self._gauge(
            "lag_seconds", "Age of the oldest record not committed", "topic", "shard"
        )
        self._lagging: set[tuple[str, str]] = set()
        self._shards = self._gauge("shards", "Shards of this worker", "state")
        self._profiles = self._gauge("profiles", "Profiles in memory")
        self._profiles_held: dict[int, int] = {}  # by shard
        self._running: set[int] = set()
        self._ready = self._gauge("ready", "1 when this part can be used", "part")
        self._live = self._gauge("live", "0 when a shard with lag makes no progress")

    def fence_refused(self) -> None:
        self._fence_refusals.inc()

    def rolled_back(self) -> None:
        self._rollbacks.inc()

    def store_unavailable(self, reason: str) -> None:
        """Count that a command could not be taken; `reason` is that of StoreDownError."""
        self._store_down.add({reason: 1})

    def shards(self, statuses: Sequence[ShardStatus]) -> None:
        """Set states and lag from all shards of this worker; a shard that has gone leaves nothing."""
        running = {status.number for status in statuses if status.state == "running"}
        for number in self._running - running:
            self._profiles_held.pop(number, None)
        self._running = running
        self._tell_profiles()
        states = Count(status.state for status in statuses)
        for state in STATES:
            self._shards.labels(state).set(states[state])
        lags = {
            (topic, str(status.number)): lag
            for status in statuses
            for topic, lag in status.lag.items()
        }
        for gone in self._lagging - set(lags):
            self._lag_records.remove(*gone)
            self._lag_seconds.remove(*gone)
        self._lagging = set(lags)
        for labels, lag in lags.items():
            self._lag_records.labels(*labels).set(lag.records)
            self._lag_seconds.labels(*labels).set(lag.age_ms * SECONDS_A_MS)

    def profiles(self, number: int, count: int) -> None:
        """Set the number of profiles that the table of a shard holds."""
        if self._profiles_held.get(number) != count:
            self._profiles_held[number] = count
            self._tell_profiles()

    def _tell_profiles(self) -> None:
        self._profiles.set(sum(list(self._profiles_held.values())))  # a copy: another thread adds

    def ready(self, parts: Mapping[str, bool]) -> None:
        """Set what the readiness probe found."""
        for part, is_ready in parts.items():
            self._ready.labels(part).set(is_ready)

    def live(self, *, is_live: bool) -> None:
        """Set what the liveness probe found."""
        self._live.set(is_live)

    # Rules, actions and the relay

    def _make_for_actions(self) -> None:
        self._fires = self._tally("fires_total", "Times that a rule fired", "rule")
        self._rules_seen: set[str] = set()
        self._actions = self._counter(
            "actions_total", "Attempts to deliver an action", "result", "kind"
        )
        self._endpoint_failures = self._counter(
            "endpoint_failures_total", "Attempts that an endpoint did not take", "endpoint"
        )
        self._endpoints = self._gauge(
            "endpoints", "Endpoints in use: closed is well, open is left alone", "state"
        )
        self._paced = self._gauge(
            "endpoint_paced", "Actions in memory that wait for an endpoint's rate", "endpoint"
        )
        self._delivery = self._histogram(
            "delivery_seconds", "From an action's commit to its delivery", LATENCY_SECONDS
        )
        self._queued = self._gauge("relay_queued", "Actions waiting for delivery")
        self._oldest = self._gauge("relay_oldest_seconds", "Age of the oldest undelivered action")

    def fired(self, rules: Iterable[str]) -> None:
        """Count actions that a batch has decided: the rule of each."""
        for rule, count in Count(rules).items():
            if rule not in self._rules_seen and len(self._rules_seen) < RULES_MAX:
                self._rules_seen.add(rule)
            self._fires.add({rule if rule in self._rules_seen else OTHER_RULES: count})

    def action(self, result: str, kind: str) -> None:
        """Count "delivered", "retry", "rejected", "expired"; all other results are never tried."""
        self._actions.labels(result, kind).inc()

    def endpoint_failed(self, endpoint: str) -> None:
        """Count an attempt that an endpoint of the settings did not take."""
        self._endpoint_failures.labels(endpoint).inc()

    def endpoints(self, states: Iterable[str]) -> None:
        """Set how the endpoints are: the state of each."""
        found = Count(states)
        for state in ENDPOINT_STATES:
            self._endpoints.labels(state).set(found[state])

    def paced(self, counts: Mapping[str, int]) -> None:
        """Set how many actions wait for the rate of each endpoint that has one."""
        for endpoint, count in counts.items():
            self._paced.labels(endpoint).set(count)

    def delivered(self, delays_ms: Sequence[float]) -> None:
        """Count how long actions took from their commit to their delivery."""
        self._delivery.observe([delay_ms * SECONDS_A_MS for delay_ms in delays_ms])

    def relay(self, *, queued: int, oldest_ms: float) -> None:
        """Set what the relay has before it; `oldest_ms` is an age, 0 when there is nothing."""
        self._queued.set(queued)
        self._oldest.set(oldest_ms * SECONDS_A_MS)

    # HTTP

    def _make_for_requests(self) -> None:
        self._requests = Histogram(
            "rapport_http_request_seconds",
            "Time of HTTP requests; the count is the number of requests",
            ["method", "route", "status"],
            buckets=REQUEST_SECONDS,
            registry=self.registry,
        )
        self._ingested = self._counter("ingest_events_total", "Events accepted over HTTP")
        self._rejected = self._tally(
            "ingest_rejections_total", "Events rejected over HTTP", "reason", REASONS
        )

    def request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is the pattern, never the path."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def ingested(self, *, accepted: int, rejected: Iterable[str]) -> None:
        """Count the events of a request: how many were made durable, and each rejection's reason."""
        self._ingested.inc(accepted)
        self._rejected.add(Count(rejected))
