"""The guard's counts: what each rule did, by the hour and by the day.

Promise   The thread that folds only adds to memory; another one takes what was added, and counts it in
          Redis, where all processes add up. A rule with several targets has fired once. Hold-outs are not
          counted, and neither is what was stale: nobody gets any of it.
How       By the time of the cause. Hours are hashes, `rapport:rules:fires:<hour>`, with the fields
          `acted|<rule>` and `would|<rule>` (what shadows and canaries withhold). Days are one HyperLogLog
          a rule and word, `rapport:rules:touched:<day>:<word>|<rule>`: within 1% of how many customers.
          How many there are is estimated from SAMPLED keys drawn at random: within a tenth, mostly.
Limits    HOURS_KEPT and DAYS_KEPT, kept by Redis' own expiry. WAITING_MAX customers between two takes: of
          more, fires are counted and customers are not. What was on its way when Redis went away
          may be missing: it is never sent twice.
Not here  Judging (guard.py). When to take (guard_watch.py).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from rules.action import Action, one_of_each_fire
from streams.controls import Expected, Stage
from streams.guard import Found, Hour, expectation
from streams.store import Command, checked, number_of, text_of
from streams.store_async import AsyncConnection

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
HOURS_KEPT: Final = 8 * 24
DAYS_KEPT: Final = 3  # the day, the one before, and one that begins elsewhere earlier
WAITING_MAX: Final = 200_000
SAMPLED: Final = 400
ACTED, WOULD = "acted", "would"
_ROW: Final = b":row:"  # in the name of the key of each customer's profile (keys.py)
_SECONDS_KEPT: Final = HOURS_KEPT * 3_600
_SECONDS_A_DAY: Final = 86_400

assert DAYS_KEPT * 24 <= HOURS_KEPT, "what is expected comes from both"


@dataclass(frozen=True, slots=True)
class Did:
    """A rule, an hour, and whether it acted."""

    rule: str
    hour: int
    word: str  # ACTED or WOULD

    @property
    def day(self) -> int:
        return self.hour // 24


@dataclass(slots=True)
class Tally:
    """How often, and for whom."""

    fires: int = 0
    customers: set[str] = field(default_factory=set)


class Counts:
    """Adds up between two takes; called by any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tallies: dict[Did, Tally] = {}
        self._waiting = 0

    def add(self, actions: Sequence[Action]) -> None:
        """Count what a commit has decided."""
        fires = one_of_each_fire(
            each for each in actions if not each.is_stale and each.withheld != "holdout"
        )
        with self._lock:
            for action in fires:
                did = Did(action.rule, action.at_ms // HOUR_MS, WOULD if action.withheld else ACTED)
                tally = self._tallies.setdefault(did, Tally())
                tally.fires += 1
                if self._waiting < WAITING_MAX and action.customer_id not in tally.customers:
                    tally.customers.add(action.customer_id)
                    self._waiting += 1

    def take(self) -> dict[Did, Tally]:
        """What was added since the last time."""
        with self._lock:
            taken, self._tallies, self._waiting = self._tallies, {}, 0
        return taken


class CountStore:
    """The counts of all processes; lives in one event loop. All methods raise StoreError."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, taken: Mapping[Did, Tally]) -> None:
        """Count what was taken."""
        commands: list[Command] = []
        for did, tally in taken.items():
            hour, touched = _fires_key(did.hour), _touched_key(did.day, did.word, did.rule)
            commands.append(("HINCRBY", hour, f"{did.word}|{did.rule}", tally.fires))
            commands.append(("PFADD", touched, *tally.customers))
            commands.append(("EXPIRE", touched, DAYS_KEPT * _SECONDS_A_DAY))
        hours = {did.hour for did in taken}
        commands += [("EXPIRE", _fires_key(hour), _SECONDS_KEPT) for hour in hours]
        for reply in await self._connection.ask(commands) if commands else []:
            checked(reply)

    async def found(self, dids: Collection[Did], all_customers: int) -> list[Found]:
        """What the rules did in these hours, and in their days."""
        commands: list[Command] = []
        for did in dids:
            commands.append(("HGET", _fires_key(did.hour), f"{did.word}|{did.rule}"))
            commands.append(("PFCOUNT", _touched_key(did.day, did.word, did.rule)))
        replies = await self._connection.ask(commands) if commands else []
        return [
            Found(int(text_of(fires) or 0), number_of(customers), all_customers)
            for fires, customers in zip(replies[::2], replies[1::2], strict=True)
        ]

    async def expected(self, rule: str, stage: Stage, now_ms: int) -> Expected:
        """What the rule is to be expected to do in this stage, by what it did in the days before."""
        hour = now_ms // HOUR_MS
        asked: list[Command] = [
            ("HMGET", _fires_key(hour - k), f"{ACTED}|{rule}", f"{WOULD}|{rule}")
            for k in range(HOURS_KEPT)
        ]
        asked += [
            ("PFCOUNT", *(_touched_key(hour // 24 - k, word, rule) for word in (ACTED, WOULD)))
            for k in range(DAYS_KEPT)
        ]
        replies = await self._connection.ask(asked)
        hours = [
            Hour(*(int(text_of(each) or 0) for each in reply))
            for reply in map(checked, replies[:HOURS_KEPT])
            if isinstance(reply, list)
        ]
        touched = max(number_of(each) for each in replies[HOURS_KEPT:])
        return expectation(hours, touched, await self.customers(), stage.acts_for)

    async def customers(self) -> int:
        """About how many customers there are."""
        asked: list[Command] = [("DBSIZE",), *[("RANDOMKEY",)] * SAMPLED]
        size, *names = await self._connection.ask(asked)
        found = sum(_ROW in (text_of(each) or b"") for each in names)
        return number_of(checked(size)) * found // SAMPLED


def _fires_key(hour: int) -> str:
    return f"rapport:rules:fires:{hour}"


def _touched_key(day: int, word: str, rule: str) -> str:
    return f"rapport:rules:touched:{day}:{word}|{rule}"
