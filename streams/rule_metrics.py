"""The metrics of rules as a whole: how many are in force, their reloads, and those that are paused.

Promise   A rule that was ever paused keeps its series, at 0 when it goes on.
Limits    As many series as rules may be paused: CONTROLS_MAX (controls_redis.py).
Not here  Fires and actions (metrics.py).
"""

from collections.abc import Iterable

from streams.makers import Makers


class RuleMetrics:
    """Part of Metrics."""

    def __init__(self, make: Makers) -> None:
        self._in_force = make.gauge("rules", "Rules in force")
        self._reloads = make.counter("rules_reloads_total", "Reloads of the rules", "result")
        self._paused = make.gauge("rule_paused", "1 while a rule is paused", "rule")
        self._paused_once: set[str] = set()
        self._trips = make.counter(
            "rule_guard_trips_total", "Rules that the guard of this process has paused"
        )

    def in_force(self, count: int) -> None:
        """Set the number of rules in force."""
        self._in_force.set(count)

    def reloaded(self, result: str) -> None:
        """Count a reload of the rules: "ok" or "refused"."""
        self._reloads.labels(result).inc()

    def paused(self, rules: Iterable[str]) -> None:
        """Set which rules are paused; all others are not."""
        now = set(rules)
        self._paused_once |= now
        for rule in self._paused_once:
            self._paused.labels(rule).set(rule in now)

    def tripped(self) -> None:
        """Count a rule that the guard has paused."""
        self._trips.inc()
