"""Poison: one record in ten is no event, and the others must not notice.

Promise   Each poison record is in the dead-letter topic once, with its key, value, headers and time,
          where it came from and why; each good one is counted once, as fast as without poison.
How       As many records with and without poison, in turns of a second on one worker, so that
          whatever else the machine does falls on both alike. Each pair of turns gives one ratio of
          99th percentiles (produce to Redis); the median of the ratios is what is judged, and in
          smaller runs the lower end of its confidence interval.
Limits    The beginning of a turn belongs to neither side, but for stalls. A record of 5 MB is refused by
          a topic as `rapport topics create` makes it: tried once, and not a part of the load.
"""

import math
import statistics
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Message

from benchmarks.processes import python, rapport, running
from tests.corpus import POISON
from tests.faults.experiment import Experiment, Outcome, Run, p99
from tests.faults.lone_worker import Site, site_of, worker
from tests.faults.oracle import verdict
from tests.faults.poison_load import Load
from tests.faults.records import Place, headers_of, records
from tests.integration.kafka_broker import AS_SHIPPED, running_broker
from tests.integration.reading import PARTITIONS
from tests.integration.redis_server import running_redis
from tests.integration.shop import RULES, expected, stored

PAIRS = 90  # at scale 1
PAIRS_MIN = 24  # fewer would measure the machine
GROWTH_MAX = 0.10
STALL_MS_MAX = 100.0
SECONDS_MAX = 60.0
FOLDER = Path(__file__).parents[1]
HEADERS = ("topic", "partition", "offset", "group", "message", "exception.class.name")


def letters_wrong(load: Load, letters: list[Message]) -> tuple[Counter[Place], list[str]]:
    """How often each record is in the dead-letter topic, and what is wrong with any of them."""
    found: Counter[Place] = Counter()
    wrong = []
    for letter in letters:
        headers = headers_of(letter)
        kafka = {name: headers.get(f"__dlq.errors.{name}", "") for name in HEADERS}
        place = kafka["topic"], int(kafka["partition"]), int(kafka["offset"])
        found[place] += 1
        bad = load.bad.get(place)
        if bad is None:
            wrong.append(f"A good record is a dead letter: {place}, {headers}.")
            continue
        is_whole = (letter.key(), letter.value(), letter.timestamp()[1]) == (
            *(bad.key, bad.value or (None if bad.value is None else b"")),
            bad.at_ms,
        )
        told_as = headers.get("rapport.reason"), headers.get("rapport.field")
        if not is_whole or headers.get("trace") != bad.number.decode():
            wrong.append(f"The letter of {bad.poison.name!r} is not what was sent: {headers}.")
        if told_as != (bad.poison.reason, bad.poison.field) or not all(kafka.values()):
            wrong.append(f"The headers of {bad.poison.name!r} are {headers}.")
    return found, wrong


@dataclass(frozen=True, slots=True)
class Timing:
    """How long good events took from produce to Redis."""

    growth: float
    """Of the 99th percentile with poison: the median over pairs of turns."""
    growth_surely: float
    """What it is at least, as far as so few pairs can tell: with 95 % confidence."""
    clean_p99_ms: float
    poisoned_p99_ms: float
    clean_median_ms: float
    poisoned_median_ms: float
    clean_stall_ms: float
    poisoned_stall_ms: float


def timing(load: Load, watched: dict[str, Any]) -> Timing:
    """Percentiles turn by turn, and the longest time in which something waited and nothing was committed."""
    seen: dict[Place, int] = {}
    ends: dict[tuple[str, int], int] = {}
    for seen_ns, topic, shard, position in watched["moves"]:
        for offset in range(ends.get((topic, shard), 0), position):
            seen[topic, shard, offset] = seen_ns
        ends[topic, shard] = position
    took: dict[int, list[float]] = {number: [] for number in range(len(load.turns))}
    places = iter(sorted(load.sent_ns.items(), key=lambda each: each[1]))
    place, at_ns = next(places)
    for number, turn in enumerate(load.turns):
        while at_ns < turn.end_ns:
            if turn.holds(at_ns):
                took[number].append((seen[place] - at_ns) / 1e6)
            place, at_ns = next(places, (place, load.turns[-1].end_ns + 1))
    tails = [p99(each) or 0.0 for each in took.values()]
    pairs = list(zip(load.turns[1::2], tails[1::2], tails[2::2], strict=True))
    poisoned = [first if turn.is_poisoned else second for turn, first, second in pairs]
    clean = [second if turn.is_poisoned else first for turn, first, second in pairs]
    ratios = [with_it / without for with_it, without in zip(poisoned, clean, strict=True)]
    medians = {
        is_poisoned: statistics.median(
            each
            for number, turn in enumerate(load.turns)
            for each in took[number]
            if turn.is_poisoned is is_poisoned
        )
        for is_poisoned in (False, True)
    }
    stalls = {True: 0.0, False: 0.0}
    for begin_ns, end_ns in stalls_of(watched["quiet"], load.sent_ns, seen):
        for turn in load.turns[1:]:
            if turn.begin_ns <= begin_ns < turn.end_ns:
                stall_ms = (min(end_ns, turn.end_ns) - begin_ns) / 1e6
                stalls[turn.is_poisoned] = max(stalls[turn.is_poisoned], stall_ms)
    return Timing(
        statistics.median(ratios) - 1.0,
        lowest(ratios) - 1.0,
        statistics.median(clean),
        statistics.median(poisoned),
        medians[False],
        medians[True],
        stalls[False],
        stalls[True],
    )


def stalls_of(
    quiet: Sequence[Sequence[int]], sent_ns: Mapping[Place, int], seen_ns: Mapping[Place, int]
) -> list[tuple[int, int]]:
    """The times in which nothing was committed, from when something waited: the sender rests, too.

    >>> sent = {("t", 0, 0): 10, ("t", 0, 1): 60}
    >>> stalls_of([(20, 90), (0, 9)], sent, {("t", 0, 0): 15, ("t", 0, 1): 95})
    [(60, 90)]
    """
    waited = sorted((seen_ns[place], at_ns) for place, at_ns in sent_ns.items())
    firsts = list(accumulate((at_ns for _, at_ns in reversed(waited)), min))[::-1]
    found = []
    for begin_ns, end_ns in quiet:
        place = bisect_left(waited, (end_ns, 0))  # the first that was committed after it
        since_ns = max(begin_ns, firsts[place]) if place < len(waited) else end_ns
        if since_ns < end_ns:
            found.append((since_ns, end_ns))
    return found


def lowest(values: Sequence[float]) -> float:
    """The lower end of the one-sided 95 % confidence interval of the median, by order statistics.

    >>> lowest([3.0, 1.0, 2.0, 5.0, 4.0])
    1.0
    """
    ordered, count = sorted(values), len(values)
    below = 0.0  # the chance that so few of all values lie below the median
    for rank in range(count):
        below += math.comb(count, rank) / 2**count
        if below > 0.05:
            return ordered[max(0, rank - 1)]
    return ordered[0]


def send_all(load: Load, pairs: int) -> None:
    """A turn to warm up, then pairs of turns, with poison first in every other pair."""
    load.turn(is_poisoned=False)
    for number in range(pairs):
        for is_poisoned in (number % 2 == 1, number % 2 == 0):
            load.turn(is_poisoned=is_poisoned)
    load.flush()


def poisoned(run: Run, site: Site) -> Outcome:
    """The real one, with everything timed."""
    load = Load(site, run.seed)
    file = run.folder / "watched.json"
    watching = python(FOLDER / "fence_watch.py", site.redis.url, str(PARTITIONS), file)
    with worker(
        site, command=rapport("worker", "--no-relay")
    ):  # so that the outbox keeps all actions
        with running(run.folder / "watch.log", *watching):
            send_all(load, max(PAIRS_MIN, run.of(PAIRS)))
            run.say(f"sent {len(load.good):,} events and {len(load.bad):,} poison records")
            site.wait_until_read(SECONDS_MAX)
            run.say("read to the end")
        refused = sum(load.is_refused(each) for each in POISON if each.name == "5 MB")
    found = timing(load, msgspec.json.decode(file.read_bytes()))
    slow = []
    # Few pairs have a wide median: then what counts is what it is at least.
    growth = found.growth if run.of(PAIRS) >= PAIRS else found.growth_surely
    if growth > GROWTH_MAX:
        slow.append(f"The 99th percentile of the others grows by {growth:.1%}.")
    # What the machine does to a load without poison is nothing that poison does.
    if found.poisoned_stall_ms > max(STALL_MS_MAX, found.clean_stall_ms):
        slow.append(f"Nothing was committed for {found.poisoned_stall_ms:.0f} ms.")
    figures = {
        "p99_growth_percent": round(found.growth * 100, 1),
        "p99_growth_percent_surely": round(found.growth_surely * 100, 1),
        "p99_clean_ms": round(found.clean_p99_ms, 2),
        "p99_poisoned_ms": round(found.poisoned_p99_ms, 2),
        "median_clean_ms": round(found.clean_median_ms, 2),
        "median_poisoned_ms": round(found.poisoned_median_ms, 2),
        "stall_clean_ms": round(found.clean_stall_ms, 1),
        "refused_by_the_topic": refused,
    }
    return replace(judged(load, figures, found.poisoned_stall_ms), slow=tuple(slow))


def naive(run: Run, site: Site) -> Outcome:
    """A consumer that skips what it cannot read."""
    load = Load(site, run.seed)
    consumer = python(FOLDER / "naive_consumer.py", site.broker.bootstrap, site.redis.url)
    with running(run.folder / "consumer.log", *consumer):
        send_all(load, 1)
        site.wait_until_read(SECONDS_MAX, naive=True)
    return judged(load, {}, None)


def judged(load: Load, figures: dict[str, float], stall_ms: float | None) -> Outcome:
    """Hold what was sent beside the dead-letter topic and beside Redis."""
    site = load.site
    letters, wrong = letters_wrong(load, records(site.settings, site.settings.dead_letters))
    lost = [place for place in load.bad if not letters[place]]
    double = sum(count - 1 for count in letters.values())
    strange = sum(place not in load.bad for place in letters)
    with site.redis.client() as client:
        found = verdict(expected(load.good), stored(client))
    wrong += [f"{len(lost)} poison records are not in the dead-letter topic."] if lost else []
    wrong += [f"{double} dead letters are there again."] if double else []
    return Outcome(
        faults=len(load.bad),
        offered=len(load.good) + len(load.bad),
        acked=len(load.sent_ns) + len(load.bad),
        applied=found.applied,
        decided=found.decided,
        delivered=0,
        repeated=double,
        missing=found.missing + len(lost),
        surplus=found.surplus + strange,
        stall_ms_max=None if stall_ms is None else round(stall_ms, 1),
        recover_ms_p99=None,
        figures=figures,
        wrong=(*wrong, *found.wrong),
    )


def run(run: Run) -> Outcome:
    # With the small heap of tests the broker rests for 20 ms each second: then that is the percentile.
    with (
        running_broker(run.folder / "kafka", java_options=AS_SHIPPED) as broker,
        running_redis() as redis,
    ):
        site = site_of(broker, redis, run.folder, RULES.decode())
        return naive(run, site) if run.naive else poisoned(run, site)


EXPERIMENT = Experiment(
    number=12,
    name="poison",
    title="One record in ten is poison: every kind of the corpus, in every input topic.",
    shows=(
        "Each is in the dead-letter topic with its headers; the others are counted once, their p99"
        " does not grow by more than 10 %, and nothing stalls for 100 ms."
    ),
    naive="A consumer that skips what it cannot read.",
    needs_kafka=True,
    run=run,
    seconds=230.0,
    alone=True,
)
