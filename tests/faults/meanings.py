"""What the further figures of the experiments mean, for the page of the results.

Promise   The page cannot be made with a figure that has no line here.
"""

from collections.abc import Mapping
from typing import Final

MEANINGS: Final[Mapping[str, str]] = {
    "answers_*": "deliveries that the receiver answered so: a status, or no whole answer",
    "asked_the_hanging": "attempts at the endpoint that never answers",
    "before_their_time": "timers whose actions were seen in Redis before they were due",
    "broken": "reloads of a file with a mistake: refused, and the old rules stayed",
    "busy_seconds": "of these, the time in which the seeds were played",
    "catch_up_times_min": "the slowest catching up after a fault, in multiples of the rate of the load",
    "claims": "times that a worker took over a shard",
    "commits": "commits that succeeded",
    "commits_in_file": "commits that stand in Redis' append-only file: each once",
    "customers": "customers of the load",
    "dead_letters": "records of the load that are no events, on purpose: each is one dead letter",
    "delivered_in_haste": (
        "timers that a worker whose clock was fast decided and delivered, before a rollback of Redis took the"
        " decision back: with the right clock it was another one"
    ),
    "descriptors_grown": "open files more at the end of the second half than at its beginning",
    "errors": "errors that the mock cluster answered with, late answers and silences",
    "events_a_second": "rate of the load while rules were reloaded",
    "events_behind": "events behind those fences, which were read and counted again",
    "events_per_second": "rate of the load",
    "faults: *": "how often this was done to the engine, over all seeds",
    "fired_in_silence": "of the fires, those after the last event of their customer",
    "given_up_and_sent_again": "deliveries that were given up, and sent again by `rapport dlq replay`",
    "handed_over": "shards that another worker claimed while a commit's reply was lost",
    "healed_seconds_a_million": "time until all was counted again, for a million events behind",
    "held_back": "fires that a cooldown or a cap held back",
    "inversions": "events of a customer that were counted in another order than they were sent",
    "kept_for_later": "actions that wait in Redis for the next attempt at the dead endpoint",
    "killed_while_owning": "of the kills, those of a worker that owned shards at that moment",
    "kills": "workers and relays killed meanwhile",
    "late_ms_p99": "how late timers were; who is killed while they are due fires them after the takeover",
    "looks": "how often memory, files, threads and series were counted",
    "median_clean_ms": "from produce to Redis, median over all turns without poison",
    "median_poisoned_ms": "the same over all turns with poison",
    "memory_mb": "memory more than that of a twin without bad endpoints",
    "network_faults": "links between workers and broker that were cut, or went silent",
    "not_in_topics": "acknowledged events that Kafka does not hold",
    "not_ready_s_max": "how long it took until `/readyz` told of a fault, at most",
    "noticed_at_rest_seconds": "until a loss was told of shards to which no event came",
    "opened_after_s": "until the hanging endpoint's breaker opened",
    "p99_clean_ms": "from produce to Redis: the median, over turns without poison, of their 99th percentiles",
    "p99_growth_percent": (
        "each turn with poison and one without beside it give one ratio of 99th percentiles: the median of"
        " these, less 1 (not the ratio of the medians)"
    ),
    "p99_growth_percent_surely": "the lower end of that median's 95 % confidence interval",
    "p99_ms": "delivery to the 48 healthy endpoints, beside a hanging and a flapping one",
    "p99_poisoned_ms": "the same over turns with poison",
    "p99_without_ms": "the same in a twin without bad endpoints, in the same seconds",
    "processed_again": "commits that began before the end of the one before: 0 after a clean stop",
    "promotions_with_loss": "promotions of a replica that was behind",
    "refused": "commits that the fence refused, because somebody else had claimed the shard",
    "refused_by_the_topic": "records of 5 MB, which Kafka did not take; tried once, not a part of the load",
    "repeated_in_topics": "events that stand in Kafka twice, because they were sent again: counted once",
    "replayed": "seeds that were played twice",
    "replayed_differing": "of these, those that went differently the second time",
    "replies_lost": "replies that the proxy swallowed, those to second tries and to claims included",
    "restarts": "restarts of the broker",
    "rollbacks_noticed": "losses of Redis that workers told of, in their metric and in what they write",
    "rss_grown_kb": "what the slope comes to over the second half",
    "rss_growth_mb": "memory more at its most than before the faults",
    "rss_mb": "memory at the end",
    "rss_slope_kb_a_minute": "slope of the memory over the second half, fitted by a line",
    "seconds": "by the clock, on all cores",
    "seeds": "seeds played",
    "seeds_wrong": "of these, those in which something came out wrong",
    "sent_again": "requests that were not acknowledged, and sent again",
    "series_grown": "metric series more at the end of the second half than at its beginning",
    "shards_fallen_back": "shards whose fence stood behind what had been committed, over all faults",
    "slowest_of_a_second_ratio_median": (
        "the slowest delivery of each second to a healthy endpoint, over the twin's of the same second:"
        " the median"
    ),
    "stale_writes": "writes of a former owner that Redis took",
    "stall_clean_ms": "the longest time without a commit in turns without poison: the machine's own",
    "stop_s_max": "from SIGTERM to exit, at most",
    "taken_back_by_events": "timers that were set and that an event took back in time",
    "taken_over_ms_max": (
        "how long after a reload was answered an event was still judged by the rules before it; 0: none was"
    ),
    "threads_grown": "threads more at the end of the second half than at its beginning",
    "timers_fired": "actions that a timer fired",
    "unclear_customers": (
        "customers whose event and timer fell into the same moment by different clocks, so that two outcomes"
        " are right: for these only repeats are checked"
    ),
    "versions_seen": "versions of the rules that stand in actions",
}


def meaning(name: str) -> str:
    """What a figure means; those of one family share a line.

    Raises:
        KeyError: Nobody has said it: write it here.
    """
    for family in ("answers_", "faults: "):
        if name.startswith(family):
            return MEANINGS[f"{family}*"]
    return MEANINGS[name]
