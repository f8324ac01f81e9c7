"""10: receivers fail in every way while workers and relays are killed.

How       An order is an action, for one of ENDPOINTS receivers by its amount. Half of the orders go to
          workers that deliver themselves, half to workers without relays and to relays alone. What was
          given up is looked up and sent again by `rapport dlq`, as an operator would.
Checked   The receiver's own books against a plain reading of what was sent: each action was taken, under
          one id, with one body. The processes run with a schedule of seconds (impatient.py).
"""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.processes import rapport
from streams import topics
from streams.kafka_settings import KafkaSettings
from tests.faults import impatient
from tests.faults.bad_receiver import Receiver, bad_receiver
from tests.faults.bands import ENDPOINTS, SECRET, Books, orders, rules, wanted
from tests.faults.crew import Crew, crew, environment
from tests.faults.experiment import Experiment, Outcome, Run
from tests.faults.shared_broker import broker_of
from tests.integration.redis_server import RedisServer, running_redis
from tests.integration.shop import Sender, Told

ACTIONS = 50_000
KILLS = 20
RATE = 900.0
PARTITIONS = 4
WAIT_SECONDS_MAX = 240.0
FIRST = 40  # orders before the first kill: by then all have started
QUIET_SECONDS = 6.0  # naively nothing says when it is done: this long without a request


@dataclass
class Site:
    """Everything that runs."""

    run: Run
    folder: Path
    kafka: KafkaSettings
    redis: RedisServer
    crew: Crew
    books: Books
    sender: Sender
    events: Iterator[Told]
    chance: random.Random
    given_up: int = 0

    def start(self, name: str) -> None:
        kind = name.partition("-")[0]
        naive = ("naive",) if self.run.naive else ()
        no_relay = ("--no-relay",) if name.startswith("worker-bare") else ()
        self.crew.start(name, (sys.executable, impatient.__file__, *naive, kind, *no_relay))

    def under_fire(self, names: Sequence[str], count: int, kills: int) -> None:
        """Orders at a steady rate to this crew, of whom one dies and comes back, again and again."""
        for name in names:
            self.start(name)
        self.sender.send(self.events, FIRST)
        self.sender.flush()
        before = self.books.asked.total()
        self._wait(lambda: self.books.asked.total() > before, "delivering")
        self.books.last_s, self.books.is_under_load = time.monotonic(), True
        each = (count - FIRST) // (2 * kills)
        for _ in range(kills):
            self.sender.send(self.events, each, rate=RATE)
            victim = self.chance.choice(names)
            self.crew.check()
            self.crew.kill(victim)
            self.sender.send(self.events, each, rate=RATE)
            self.start(victim)
        self.sender.send(self.events, count - FIRST - 2 * each * kills, rate=RATE)
        self.sender.flush()
        self.books.is_under_load = False

    def wait_until_settled(self) -> None:
        """Until all is read, and no action waits: by what Redis holds, or naively by the silence."""
        self._wait(self._is_silent if self.run.naive else self._is_settled, "settled")

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while not done():
            if time.monotonic() >= deadline:
                self._complain()
                raise AssertionError(f"not {what} within {WAIT_SECONDS_MAX:.0f} s")
            self.crew.check()
            time.sleep(0.2)

    def _complain(self) -> None:
        """Say who waits for what."""
        self.run.say(f"{self.applied()} of {len(self.sender.sent)} events are applied")
        with self.redis.client(decode_responses=True) as client:
            for number in range(PARTITIONS):
                tag = f"rapport:{{{number}}}"
                waiting = list(client.hgetall(f"{tag}:actions:waiting").items())[:2]
                due = {
                    key: client.zrange(key, 0, 1, withscores=True)
                    for key in client.scan_iter(f"{tag}:actions:due:*")
                }
                said = (client.get(f"{tag}:fence"), client.get(f"{tag}:relay"), waiting, due)
                lanes = client.hgetall(f"{tag}:actions:lanes")
                self.run.say(f"shard {number}: {said} {lanes}")
        for name in self.crew.members:
            self.run.say(f"{name}: {self.crew.last(name)}")

    def _is_silent(self) -> bool:
        return self.applied() == len(self.sender.sent) and (
            time.monotonic() - self.books.last_s > QUIET_SECONDS
        )

    def _is_settled(self) -> bool:
        if self.applied() < len(self.sender.sent):
            return False
        with self.redis.client() as client:
            for number in range(PARTITIONS):
                tag = f"rapport:{{{number}}}"
                fence = json.loads(client.get(f"{tag}:fence") or b"{}")
                cursor = int(client.get(f"{tag}:relay") or 0)
                if cursor != fence["outbox"] or client.hlen(f"{tag}:actions:waiting"):
                    return False
        return True

    def applied(self) -> int:
        """Events that views count."""
        with self.redis.client() as client:
            keys = list(client.scan_iter("rapport:{*}:customer:*", count=10_000))
            views = [msgspec.json.decode(view) for view in (client.mget(keys) if keys else [])]
        return sum(view["events_count"] for view in views)

    def dead(self) -> set[str]:
        """What was given up."""
        with self.redis.client(decode_responses=True) as client:
            hashes = [client.hkeys(f"rapport:{{{n}}}:actions:dead") for n in range(PARTITIONS)]
        return {each for keys in hashes for each in keys}

    def revive(self) -> tuple[str, ...]:
        """Send again what was given up, through the command line; what is not right about it."""
        listed = json.loads(self._dlq("actions", "--limit", str(ACTIONS), "--json"))["actions"]
        dead = self.dead()
        self.given_up = len(dead)
        shown = {each["id"] for each in listed}
        self.books.is_good = True
        before = dict(self.books.asked)
        self._dlq("resend", "--all")
        self.wait_until_settled()
        asked = {named for named, count in self.books.asked.items() if count > before.get(named, 0)}
        wrong = (
            []
            if shown == dead and dead
            else ["`rapport dlq actions` does not show what was given up."]
        )
        if asked != dead or self.dead():
            wrong.append("`rapport dlq resend` sent something else than what was given up.")
        return tuple(wrong)

    def _dlq(self, *arguments: str) -> str:
        command = [str(each) for each in rapport("dlq", *arguments)]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout


def settings_file(kafka: KafkaSettings, redis: RedisServer, receiver: Receiver) -> str:
    head = (
        f'log = "kafka://{kafka.servers[0]}"\nredis = "{redis.url}"\ngroup = "{kafka.group}"\n'
        f'rules = "rules"\ntopic_prefix = "{kafka.topic_prefix}"\n'
        f"session_timeout_ms = {kafka.session_timeout_ms}\n"
    )
    return head + "".join(
        f'[endpoints.crm-{n}]\nurl = "{receiver.url(f"crm-{n}")}"\nsecret = "{SECRET}"\n'
        for n in range(ENDPOINTS)
    )


def run(run: Run) -> Outcome:
    with ExitStack() as stack:
        broker = stack.enter_context(broker_of(run))
        redis = stack.enter_context(running_redis(tcp=True))
        books = Books(random.Random(run.seed), dooms=not run.naive)
        receiver = stack.enter_context(bad_receiver(books.answer))
        kafka = KafkaSettings(
            (broker.bootstrap,),
            group=f"{run.prefix}group",
            topic_prefix=run.prefix,
            session_timeout_ms=2_000,
        )
        topics.create(kafka, PARTITIONS, 1)
        (run.folder / "rules").mkdir()
        (run.folder / "rules" / "bands.toml").write_text(rules())
        (run.folder / "rapport.toml").write_text(settings_file(kafka, redis, receiver))
        people = stack.enter_context(crew(run.folder))
        events = orders(run.seed, time.time_ns() // 1_000_000 - 600_000)
        chance = random.Random(run.seed + 1)
        site = Site(run, run.folder, kafka, redis, people, books, Sender(kafka), events, chance)
        kills, wrong = fire(site)
        return outcome(site, kills, wrong)


def fire(site: Site) -> tuple[int, tuple[str, ...]]:
    """Both ways of delivering, one after the other; how many were killed, and what went wrong."""
    half, kills = site.run.of(ACTIONS) // 2, max(1, site.run.of(KILLS) // 2)
    inside = ("worker-one", "worker-two")
    site.under_fire(inside, half, kills)
    if site.run.naive:
        site.wait_until_settled()
        return kills, ()
    site.wait_until_settled()
    site.run.say(f"{site.books.asked.total():,} requests while workers delivered and died")
    for name in inside:
        site.crew.stop(name)
    alone = ("worker-bare-one", "worker-bare-two", "relay-one", "relay-two")
    site.under_fire(alone, half, kills)
    site.wait_until_settled()
    site.run.say(f"{site.books.asked.total():,} requests after relays alone delivered and died")
    return 2 * kills, site.revive()


def outcome(site: Site, kills: int, wrong: tuple[str, ...]) -> Outcome:
    books, sent = site.books, site.sender.sent
    causes = wanted(sent)
    taken = Counter({books.named[each]: 1 for each in books.taken})
    ids = Counter(books.named.values())
    missing, surplus = (causes - taken).total(), (ids - causes).total()
    differing = sum(len(each) > 1 for each in books.bodies.values())
    sentences: Mapping[str, int] = {
        "actions were never taken": missing,
        "ids came besides the one that each action has": surplus,
        "ids came with bodies that differ": differing,
    }
    found = [f"{count:,} {what}." for what, count in sentences.items() if count]
    return Outcome(
        faults=books.faults.total() + kills,
        offered=len(sent),
        acked=len(sent),
        applied=site.applied(),
        decided=causes.total(),
        delivered=len(books.taken),
        repeated=books.asked.total() - len(books.asked),
        missing=missing,
        surplus=surplus,
        stall_ms_max=round(1_000 * books.worst_gap_s, 1),
        recover_ms_p99=None,
        figures={
            "kills": kills,
            "given_up_and_sent_again": site.given_up,
            **{f"answers_{way}": n for way, n in sorted(books.faults.items())},
        },
        wrong=(*found, *wrong),
    )


EXPERIMENT = Experiment(
    number=10,
    name="webhook_faults",
    title="receivers answer 30 % with 5xx, hang, reset and break off; workers and relays are killed",
    shows="every action is taken, each repeat has the same id and the same bytes",
    naive="actions are posted from memory after the commit, and again under a new id",
    needs_kafka=True,
    run=run,
    seconds=200.0,
)
