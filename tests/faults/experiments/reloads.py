"""Rules reloaded again and again under load: each event is decided by one version of all of them.

Promise   The actions of an event are those of one version, and of that version all: its threshold, its
          number and its words. Along a shard's log versions never go back. Files with mistakes, one
          reload in ten, change nothing. Profiles count each event once, though the shape of a row
          changes with each version.
How       Three files with a rule each; version k has k in everything that it says, another threshold
          than k + 1, and a window of its own. `rapport worker --no-relay` keeps all actions in the
          outbox, where they are read together with the log's offsets.
Limits    An event without actions says what its version was not; between two events with actions it
          may have had any version in between.
"""

import json
import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.processes import python, rapport, running
from tests.faults.experiment import Experiment, Outcome, Run
from tests.faults.load import loading
from tests.faults.lone_worker import Site, Worker, site_of, until, worker
from tests.faults.oracle import verdict
from tests.faults.versions import RULES, Checked, Noted, Reloads, outbox_of, text_of
from tests.integration.kafka_broker import running_broker
from tests.integration.redis_server import running_redis
from tests.integration.shop import expected, stored, told

RATE = 5_000
RELOADS = 500
RELOADS_NAIVE = 20
PAUSE_SECONDS = 0.2
BROKEN_ONE_IN = 10
CUSTOMERS = 400
TAKEN_OVER_MS_MAX = 1_000.0  # from the answer to the last event under older rules
SECONDS_MAX = 90.0
WRONG_MAX = 50  # sentences
FOLDER = Path(__file__).parents[1]
BREAKS = (
    lambda text: text.replace("amount", "amout"),
    lambda text: text[: len(text) // 2],
    lambda text: text.replace("version =", "versio ="),
    lambda text: text.replace("[rule.", "[rule"),
)


def write(site: Site, version: int, broken: random.Random | None = None) -> None:
    """Put a version into the folder, each file whole; `broken` breaks one of them."""
    spoilt = broken.choice(RULES) if broken is not None else None
    for name in RULES:
        text = text_of(name, version)
        if broken is not None and name == spoilt:
            text = broken.choice(BREAKS)(text)
        part = site.folder / f"{name}.part"
        part.write_text(text)
        part.rename(site.rules / f"{name}.toml")


def versions_of(text: str) -> set[int]:
    return {each["version"] for each in json.loads(text)["rules"]}


def reload(site: Site, made: Worker, count: int, chance: random.Random) -> Reloads:
    """Reload so often, a tenth of it with a mistake."""
    found = Reloads()
    for version in range(2, count + 2):
        began = time.monotonic()
        is_broken = version % BROKEN_ONE_IN == 0
        write(site, version, chance if is_broken else None)
        answer = made.ask("/v1/rules/reload", post=True)
        if answer.status != (422 if is_broken else 200):
            found.wrong.append(
                f"Version {version} is answered with {answer.status}: {answer.text}."
            )
        if is_broken:
            found.broken_count += 1
        else:
            found.good.append(version)
            found.answered_ns[version] = time.monotonic_ns()
        in_force = versions_of(made.ask("/v1/rules").text)
        if in_force != {found.good[-1]}:
            found.wrong.append(f"In force is {in_force}, and not {found.good[-1]}.")
        time.sleep(max(0.0, began + PAUSE_SECONDS - time.monotonic()))
    return found


def real(run: Run, site: Site) -> Outcome:
    chance = random.Random(run.seed)
    sender = Noted(site.settings)
    events = told(run.seed, CUSTOMERS, start_ms=time.time_ns() // 1_000_000 - 600_000)
    with worker(site, command=rapport("worker", "--no-relay")) as made:
        began = time.monotonic()
        with loading(sender, events, RATE):
            found = reload(site, made, run.of(RELOADS), chance)
        rate = len(sender.sent) / (time.monotonic() - began)
        site.wait_until_read(SECONDS_MAX)
    checked = Checked(sender, found)
    checked.check(site)
    late_ms = checked.late_ns_max / 1e6
    slow = []
    if late_ms > TAKEN_OVER_MS_MAX:
        slow.append(f"An event is decided by rules that were replaced {late_ms:.0f} ms before.")
    figures = {
        "broken": found.broken_count,
        "versions_seen": len(checked.seen),
        "events_a_second": round(rate),
        "taken_over_ms_max": round(late_ms, 1),
    }
    return replace(judged(site, checked, figures), slow=tuple(slow))


def naive(run: Run, site: Site) -> Outcome:
    """Rules that another thread replaces one after the other."""
    chance = random.Random(run.seed)
    sender, found = Noted(site.settings), Reloads()
    events = told(run.seed, CUSTOMERS, start_ms=time.time_ns() // 1_000_000 - 600_000)
    script = FOLDER / "naive_rules.py"
    command = python(script, site.broker.bootstrap, site.redis.url, site.rules)
    with running(run.folder / "rules.log", *command):
        with loading(sender, events, RATE):
            until(lambda: bool(outbox_of(site)), "the first action", SECONDS_MAX)
            for version in range(2, RELOADS_NAIVE + 2):
                is_broken = version % BROKEN_ONE_IN == 0
                write(site, version, chance if is_broken else None)
                if not is_broken:
                    found.good.append(version)
                time.sleep(PAUSE_SECONDS)
        site.wait_until_read(SECONDS_MAX, naive=True)
    checked = Checked(sender, found)
    checked.check(site)
    return judged(site, checked, {})


def judged(site: Site, checked: "Checked", figures: dict[str, float]) -> Outcome:
    """Hold views beside what was sent, and add what was found of the actions."""
    sent, reloads = checked.sender.sent, checked.reloads
    wanted = {name: replace(each, causes=[]) for name, each in expected(sent).items()}
    with site.redis.client() as client:
        found = verdict(wanted, replace(stored(client), causes=Counter()))
    return replace(
        found.outcome(len(reloads.good) - 1 + reloads.broken_count, len(sent)),
        decided=checked.decided,
        missing=found.missing + checked.missing,
        surplus=found.surplus + checked.surplus,
        figures=figures,
        wrong=(*reloads.wrong, *checked.wrong, *found.wrong)[:WRONG_MAX],
    )


def run(run: Run) -> Outcome:
    with running_broker(run.folder / "kafka") as broker, running_redis() as redis:
        site = site_of(broker, redis, run.folder)
        write(site, 1)
        return naive(run, site) if run.naive else real(run, site)


EXPERIMENT = Experiment(
    number=15,
    name="reloads",
    title="Rules reloaded again and again at 5,000 events a second, one time in ten with a mistake.",
    shows=(
        "The actions of an event are those of exactly one version, versions never go back along a"
        " shard, and a file with a mistake changes nothing."
    ),
    naive="Rules replaced one after the other while a batch is being decided.",
    needs_kafka=True,
    run=run,
    seconds=190.0,
)
