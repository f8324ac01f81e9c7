"""11: of fifty receivers one hangs and one comes and goes; the others must not notice.

How       Twins: two relays with the same load side by side, each with a Redis of its own; the receivers
          of the one are all well, those of the other are not. What the machine does to the one it does
          to the other in the same second, so that they can be compared. The busy receivers, of whom
          two are bad, get a fifth of all actions.
Checked   By the receivers: from the commit of an action until it was taken, which takes a receiver that
          is well SERVICE_SECONDS; and when the hanging one was last asked for more than one at a time.
          Each action was taken, or waits in Redis.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.processes import Process, running
from tests.faults import steady_relay
from tests.faults.bad_receiver import Answer, Request, bad_receiver
from tests.faults.experiment import Experiment, Outcome, Run, p99
from tests.faults.steady_relay import cause_of, planned
from tests.integration.redis_server import RedisServer, running_redis

ENDPOINTS = 50
BUSY = 4
HANGING, FLAPPING = "crm-0", "crm-1"
FLAP_SECONDS = 2.0
SERVICE_SECONDS = 0.02
RATE = 200.0
SECONDS, SECONDS_MIN, SECONDS_NAIVE = 60, 25, 8
WARM_SECONDS = 3.0
START_SECONDS_MAX = 60.0
DRAIN_SECONDS_MAX = 10.0
GROWTH_MAX = 1.10
MEMORY_MB_MAX = 32.0
OPEN_SECONDS_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A request, and when its action was committed."""

    cause: str
    committed_s: float
    request: Request
    takes: bool


@dataclass
class Books:
    """What the receivers have been asked, by twin and endpoint; written by their thread."""

    began_s: float = field(default_factory=time.monotonic)
    requests: dict[tuple[str, str], list[Taken]] = field(default_factory=lambda: defaultdict(list))

    def answer(self, request: Request) -> Answer:
        _, twin, name = request.path.split("/")
        data = msgspec.json.decode(request.body)["data"]
        answer = Answer(after_s=SERVICE_SECONDS)
        if twin == "bad" and name == HANGING:
            answer = Answer("hang")
        elif twin == "bad" and name == FLAPPING and self._is_down(request.came_s):
            answer = Answer(status=500)
        committed_s = data["values"]["committed_s"]
        request.body = b""
        self.requests[twin, name].append(Taken(data["cause"], committed_s, request, answer.takes))
        return answer

    def _is_down(self, at_s: float) -> bool:
        return int((at_s - self.began_s) / FLAP_SECONDS) % 2 == 0

    def well(self, twin: str) -> Iterator[Taken]:
        """What receivers took that are well in both."""
        for (each, name), requests in list(self.requests.items()):
            if each == twin and name not in {HANGING, FLAPPING}:
                yield from (one for one in list(requests) if one.takes)

    def taken(self, twin: str) -> set[str]:
        """The causes of all that was taken."""
        found = [requests for (each, _), requests in self.requests.items() if each == twin]
        return {one.cause for requests in found for one in requests if one.takes}

    def latencies_ms(self, twin: str) -> list[float]:
        """Of receivers that are well, once all is warm."""
        return [
            1_000 * ((one.request.ended_s or time.monotonic()) - one.committed_s)
            for one in self.well(twin)
            if one.committed_s - self.began_s > WARM_SECONDS
        ]

    def by_second_ms(self, twin: str) -> Mapping[int, float]:
        """The slowest of each second, of receivers that are well."""
        found: dict[int, float] = defaultdict(float)
        for one in self.well(twin):
            took_ms = 1_000 * ((one.request.ended_s or time.monotonic()) - one.committed_s)
            second = int(one.committed_s - self.began_s)
            found[second] = max(found[second], took_ms)
        return found

    def opened_after_s(self) -> float:
        """When the hanging one was last asked while it was still asked, since the first time."""
        requests = [one.request for one in self.requests["bad", HANGING]]
        first = last = requests[0].came_s
        free_s = 0.0
        for each in requests:
            if each.came_s < free_s:
                last = each.came_s
            free_s = max(free_s, each.ended_s if each.ended_s is not None else inf)
        return last - first


@dataclass(frozen=True, slots=True)
class Twin:
    name: str
    redis: RedisServer
    process: Process

    def resident_mb(self) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (found,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
        return int(found) / 1024

    def kept(self) -> set[str]:
        """The causes of what is not lost: of what waits, and of outbox entries."""
        with self.redis.client() as client:
            entries = [client.get(key) or b"[]" for key in client.scan_iter("rapport:{0}:outbox:*")]
            waiting = client.hvals("rapport:{0}:actions:waiting")
        found = [action for entry in entries for action in json.loads(entry)]
        return {each["cause"] for each in (*found, *map(json.loads, waiting))}


def run(run: Run) -> Outcome:
    seconds = SECONDS_NAIVE if run.naive else max(SECONDS_MIN, run.of(SECONDS))
    count = int(RATE * seconds)
    books = Books()
    with ExitStack() as stack:
        receiver = stack.enter_context(bad_receiver(books.answer))

        def twin(name: str) -> Twin:
            redis = stack.enter_context(running_redis())
            size = ("--endpoints", str(ENDPOINTS), "--busy", str(BUSY))
            load = ("--rate", str(RATE), "--count", str(count))
            arguments = [
                *(sys.executable, steady_relay.__file__, redis.url, receiver.url(name)),
                *(*size, *load, *(("--one-queue",) if run.naive else ())),
            ]
            log = run.folder / f"{name}.log"
            return Twin(name, redis, stack.enter_context(running(log, *arguments)))

        twins = {name: twin(name) for name in ("good", "bad")}
        wanted = {
            cause_of(n)
            for n in range(count)
            if planned(n, ENDPOINTS, BUSY) not in {HANGING, FLAPPING}
        }
        resident_mb = followed(twins, books, wanted, seconds)
        for each in twins.values():
            each.process.stop()
        causes = {cause_of(n) for n in range(count)}
        left = causes - books.taken("bad")
        missing, late = len(left - twins["bad"].kept()), len(left & wanted)
    return outcome(books, resident_mb, count, missing, late)


def followed(
    twins: Mapping[str, Twin], books: Books, wanted: set[str], seconds: float
) -> Mapping[str, float]:
    """Wait until the healthy receivers have everything, or it takes too long; the most memory."""
    most: dict[str, float] = dict.fromkeys(twins, 0.0)
    for name, each in twins.items():
        each.process.wait_until(lambda n=name: any(books.well(n)), "begins", START_SECONDS_MAX)  # type: ignore[misc]  # a default binds it
    deadline = time.monotonic() + seconds + DRAIN_SECONDS_MAX
    least = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name, each in twins.items():
            most[name] = max(most[name], each.resident_mb())
        if time.monotonic() > least and all(wanted <= books.taken(name) for name in twins):
            break
        time.sleep(0.5)
    return most


def outcome(
    books: Books, resident_mb: Mapping[str, float], count: int, missing: int, late: int
) -> Outcome:
    good, bad = p99(books.latencies_ms("good")), p99(books.latencies_ms("bad"))
    assert good is not None, "the twin without bad ones has not delivered"
    if (
        bad is None
    ):  # nothing at all once it was warm: as naively everything waits for the hanging one
        bad = 1_000 * (time.monotonic() - books.began_s)
    slowest = books.by_second_ms("bad")
    beside = books.by_second_ms("good")
    ratios = [slowest[second] / beside[second] for second in slowest if second in beside]
    growth, opened_s = bad / good, books.opened_after_s()
    memory_mb = resident_mb["bad"] - resident_mb["good"]
    hanging, flapping = (books.requests["bad", name] for name in (HANGING, FLAPPING))
    faults = sum(not one.takes for one in (*hanging, *flapping))
    wrong, slow = [], []
    if missing:
        wrong.append(f"{missing:,} actions are neither taken nor kept.")
    if late:
        wrong.append(f"{late:,} actions for receivers that are well were not taken in time.")
    if growth > GROWTH_MAX:
        slow.append(f"The p99 of the healthy is {bad:.1f} ms, and {good:.1f} ms without the bad.")
    if memory_mb > MEMORY_MB_MAX:
        wrong.append(f"{memory_mb:.1f} MB more memory than without the bad ones.")
    if opened_s > OPEN_SECONDS_MAX:
        slow.append(f"The hanging one was left alone only after {opened_s:.1f} s.")
    return Outcome(
        faults=faults,
        offered=count,
        acked=count,
        applied=count,
        decided=count,
        delivered=len(books.taken("bad")),
        repeated=len(hanging) + len(flapping) - len({o.cause for o in (*hanging, *flapping)}),
        missing=missing,
        surplus=0,
        stall_ms_max=round(max(slowest.values()), 1),
        recover_ms_p99=None,
        figures={
            "p99_ms": round(bad, 2),
            "p99_without_ms": round(good, 2),
            "slowest_of_a_second_ratio_median": round(median(ratios), 3),
            "memory_mb": round(memory_mb, 1),
            "opened_after_s": round(opened_s, 1),
            "asked_the_hanging": len(hanging),
        },
        wrong=tuple(wrong),
        slow=tuple(slow),
    )


EXPERIMENT = Experiment(
    number=11,
    name="endpoint_isolation",
    title="of 50 receivers one hangs and one comes and goes",
    shows="the others' p99 grows by 10 % at most, memory by 32 MB, and the hanging one is left alone",
    naive="all receivers share one queue",
    needs_kafka=False,
    run=run,
    seconds=85.0,
    alone=True,
)
