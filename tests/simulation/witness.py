"""The witness: looks at each write to Redis when it happens, and at everything in the end.

Promise   Whatever breaks a promise is accused at the write that breaks it:
            each event counts once      views say what the log holds before the fence's positions
            each action once per cause  what is decided up to the fence, from a reading of the log
            each timer once, and in time  what had to fire by the clock of who fired, and nothing else
            no timer is forgotten       the index has who waits, at their time or before it
            the fence goes on           epochs rise, commits come one by one, positions never go back
            a zombie writes nothing     who writes to a shard owns it at that moment
            nothing is lost             an outbox entry goes only when all its actions are recorded
            nothing is skipped          a record that is no event is kept before the fence passes it
How       Reads JSON and counts (shop.py); nothing of the engine is asked. When Redis goes back, so does
          what was decided; what was delivered stays.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tests.simulation.memory_commands import Data, hash_of
from tests.simulation.memory_receiver import MemoryReceiver
from tests.simulation.memory_redis import MemoryRedis, Session
from tests.simulation.shop import SHARDS, TOPICS, Cause, Shop
from tests.simulation.timekeeper import Timekeeper
from tests.simulation.waiting import is_waiting
from tests.simulation.writes import KEY, cause_of, named, only_cleans

ENDED: Final = {"delivered", "given_up", "rejected", "disabled", "stale", "withheld"}

decode: Final = msgspec.json.decode


@dataclass(frozen=True, slots=True)
class Decided:
    """An outbox entry as it was committed."""

    at_write: int
    number: int
    actions: list[dict[str, Any]]


@dataclass(slots=True)
class Witness:
    shop: Shop
    receiver: MemoryReceiver
    letters: Counter[tuple[str, int, str]]
    accuse: Callable[[str], None]
    owners: dict[str, str] = field(default_factory=dict)
    """Who claimed with a nonce."""
    decided: list[Decided] = field(default_factory=list)
    commits_count: int = 0
    waiting: Timekeeper = field(default_factory=Timekeeper)

    # ---- while it goes on

    def wrote(self, session: Session, keys: list[bytes], words: Sequence[bytes]) -> None:
        before = session.redis.past[-1][1]
        if only_cleans(session.redis.data, keys, words):
            return
        for number, kind, _ in named(keys):
            if kind == "timers":
                if words[0] == b"ZREM" or b"XX" in words:
                    self._relayed(session, number, kind)
                self._indexed(session.redis.data, number)
                return
            if kind == "fence":
                self._fence(session, number, before, keys)
                self._indexed(session.redis.data, number)
                return
            self._relayed(session, number, kind)
        if words[0] == b"DEL":
            for key in keys:
                self._settled(session.redis.data, key, before.get(key))

    def fires(self, who: str, number: int, until_ms: int) -> None:
        """A process fires the timers of a shard that are due by then; its commit comes later."""
        self.waiting.untils[who, number] = until_ms

    def went_back(self, redis: MemoryRedis) -> None:
        self.decided = [each for each in self.decided if each.at_write <= redis.writes_count]
        self.waiting.went_back(redis.writes_count)
        for number in range(SHARDS):
            self._indexed(redis.data, number)

    def _indexed(self, data: Data, number: int) -> None:
        for customer in self.waiting.forgotten(data, number):
            self.accuse(f"{customer} waits, and the index of timers does not say so")

    def _fence(self, session: Session, number: int, before: Data, keys: list[bytes]) -> None:
        key = b"rapport:{%d}:fence" % number
        old_, new_ = before.get(key), session.redis.data[key]
        assert isinstance(new_, bytes)
        new = decode(new_)
        if not isinstance(old_, bytes):
            self.owners[new["nonce"]] = session.who
            return
        old = decode(old_)
        if new["nonce"] != old["nonce"] and new["commits"] == 0:
            self._claim(session, number, old, new)
        elif new["nonce"] == old["nonce"]:
            self._commit(session, number, old, new, keys)
        else:
            self.accuse(f"{session.who} commits to shard {number}, which {old['nonce']} owns")

    def _claim(self, session: Session, number: int, old: Any, new: Any) -> None:  # noqa: ANN401  JSON
        self.owners[new["nonce"]] = session.who
        if new["epoch"] <= old["epoch"]:
            self.accuse(f"the epoch of shard {number} goes from {old['epoch']} to {new['epoch']}")
        if (new["offsets"], new["outbox"]) != (old["offsets"], old["outbox"]):
            self.accuse(f"a claim of shard {number} changes what is committed: {old} {new}")

    def _commit(
        self,
        session: Session,
        number: int,
        old: Any,  # noqa: ANN401  JSON
        new: Any,  # noqa: ANN401  JSON
        keys: list[bytes],
    ) -> None:
        self.commits_count += 1
        if self.owners.get(new["nonce"]) != session.who:
            self.accuse(f"{session.who} commits to shard {number} as somebody else")
        if (new["epoch"], new["commits"]) != (old["epoch"], old["commits"] + 1):
            self.accuse(
                f"commit {old['commits']} of shard {number} is followed by {new['commits']}"
            )
        for topic in TOPICS:
            was, now = (int(each["offsets"].get(topic, "0")) for each in (old, new))
            if now < was:
                self.accuse(f"shard {number} goes back in {topic}, from {was} to {now}")
            for letter in ((topic, number, str(at)) for at in range(was, now)):
                if letter in self.shop.poison and letter not in self.letters:
                    self.accuse(f"{letter} is passed, and is no dead letter")
        data = session.redis.data
        places = [int(each["offsets"].get("clicks", "0")) for each in (old, new)]
        events = self.shop.waited(number, *places)
        has_rows = any(kind == "row" for _, kind, _ in named(keys))
        is_fired = has_rows and new["offsets"] == old["offsets"]
        self.waiting.committed(session.who, number, events, is_fired=is_fired)
        self.waiting.keep(number, session.redis.writes_count)
        for _, kind, name in named(keys):
            if kind == "customer":
                view = data[b"rapport:{%d}:customer%b" % (number, name)]
                assert isinstance(view, bytes)
                self._view(number, name[1:].decode(), decode(view), new["offsets"])
            elif kind == "outbox":
                entry = data[b"rapport:{%d}:outbox%b" % (number, name)]
                assert isinstance(entry, bytes)
                self._entry(session, number, int(name[1:]), decode(entry), (old, new))
        causes = self.shop.causes(number, new["offsets"]) + self.waiting.causes(number)
        if len(causes) != self._decided_count(number):
            self._causes(number, causes)

    def _entry(
        self,
        session: Session,
        number: int,
        sequence: int,
        actions: list[dict[str, Any]],
        fences: tuple[Any, Any],
    ) -> None:
        if not sequence == fences[1]["outbox"] == fences[0]["outbox"] + 1:
            self.accuse(f"entry {sequence} of shard {number} comes after {fences[0]['outbox']}")
        self.decided.append(Decided(session.redis.writes_count, number, actions))
        self.receiver.committed |= {action["id"] for action in actions}
        self.receiver.early |= {
            action["id"]
            for action in actions
            if (number, action["customer_id"]) in self.waiting.hasty
        }

    def _view(
        self, number: int, customer: str, view: dict[str, Any], offsets: dict[str, str]
    ) -> None:
        for name, wanted in self.shop.expected(number, customer, offsets).items():
            if view[name] != wanted:
                self.accuse(f"{name} of {customer} is {view[name]}, and must be {wanted}")

    def _relayed(self, session: Session, number: int, kind: str) -> None:
        fence = session.redis.data.get(b"rapport:{%d}:fence" % number)
        owner = decode(fence)["nonce"] if isinstance(fence, bytes) else None
        if owner is None or self.owners.get(owner) != session.who:
            self.accuse(f"{session.who} writes {kind} of shard {number}, which is not its own")

    def _settled(self, data: Data, key: bytes, entry: object) -> None:
        """An outbox entry goes: each of its actions must be on record."""
        found = KEY.fullmatch(key)
        if found is None or found[2] != b"outbox" or not isinstance(entry, bytes):
            return
        prefix = b"rapport:{%b}:actions" % found[1]
        records, waiting = hash_of(data, prefix), hash_of(data, prefix + b":waiting")
        for action in decode(entry):
            name = action["id"].encode()
            record = decode(records[name]) if name in records else {"status": "lost"}
            if name not in waiting and record["status"] not in ENDED:
                self.accuse(f"the entry of {action['id']} goes, and it is {record['status']}")

    # ---- in the end

    def finish(self, redis: MemoryRedis) -> "Ending":
        """What is to be true once everything is read and delivered."""
        missing = surplus = applied = delivered = 0
        for number in range(SHARDS):
            ends = self.shop.ends(number)
            customers = {each for topic in TOPICS for each in self.shop.counted[topic, number]}
            for customer in sorted(customers):
                wanted = self.shop.expected(number, customer, ends)
                stored = redis.data.get(f"rapport:{{{number}}}:customer:{customer}".encode(), b"{}")
                assert isinstance(stored, bytes)
                view = decode(stored)
                found = int(view.get("events_count", 0))
                applied += found
                missing += max(0, int(wanted["events_count"]) - found)
                surplus += max(0, found - int(wanted["events_count"]))
                self._view(number, customer, {**dict.fromkeys(wanted, 0), **view}, ends)
            causes = self.shop.causes(number, ends) + self.waiting.causes(number)
            lost, double = self._causes(number, causes)
            missing, surplus = missing + lost, surplus + double
            missing += self._delivered(redis, number)
        delivered = len(self.receiver.bodies)
        extra = self.receiver.bodies.keys() - {
            action["id"] for each in self.decided for action in each.actions
        }
        hasty = extra & self.receiver.early
        extra -= hasty
        for action_id in sorted(extra):
            self.accuse(f"action {action_id} was delivered, and is not decided")
        if set(self.letters) != self.shop.poison:
            self.accuse(f"dead letters are {sorted(self.letters)}, not {sorted(self.shop.poison)}")
        return Ending(applied, delivered, len(hasty), missing, surplus + len(extra))

    def _delivered(self, redis: MemoryRedis, number: int) -> int:
        """How many actions are neither delivered nor given up."""
        dead = hash_of(redis.data, b"rapport:{%d}:actions:dead" % number)
        ids = [
            action["id"]
            for each in self.decided
            if each.number == number
            for action in each.actions
        ]
        lost = [
            each for each in ids if each not in self.receiver.bodies and each.encode() not in dead
        ]
        for each in lost:
            self.accuse(f"action {each} is lost")
        return len(lost)

    def _decided_count(self, number: int) -> int:
        return sum(len(each.actions) for each in self.decided if each.number == number)

    def _causes(self, number: int, wanted: list[Cause]) -> tuple[int, int]:
        """Accuse what is decided too rarely, too often, or in another order than its causes."""
        actions = [
            action for each in self.decided if each.number == number for action in each.actions
        ]
        found = [cause_of(action) for action in actions]
        missing, surplus = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
        for cause in missing.elements():
            self.accuse(f"missing action: {cause}")
        for cause in surplus.elements():
            self.accuse(f"action too many: {cause}")
        if len({action["id"] for action in actions}) < len(actions) and not surplus:
            self.accuse(f"shard {number} has decided two actions with one id")
        others = {each[0] for each in wanted if not is_waiting(each[0])}
        for customer in others if not (missing or surplus) else ():
            ours = [each[2] for each in found if each[0] == customer]
            if ours != sorted(ours, key=lambda event_id: int(event_id[1:])):
                self.accuse(
                    f"the actions of {customer} are not in the order of their causes: {ours}"
                )
        return missing.total(), surplus.total()


@dataclass(frozen=True, slots=True)
class Ending:
    applied: int
    delivered: int
    hasty: int
    missing: int
    surplus: int
