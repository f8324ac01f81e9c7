"""Who waits for a time, in the worlds: rules with timers, and what must come of them, read by hand.

Promise   What fires, and under which cause, follows from the events of one customer in the order of the log
          and from how far the clock of whoever owned the shard had come; nothing of the engine is asked.
How       The definitions of docs/rules.md, for four rules, one event at a time. Also the time before which
          nothing has to be looked at is kept, as processors/tables.py has it: it may be too early, and
          the customer's clock moves on when it is looked at.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from tests.simulation.virtual_loop import START_MS

QUIET_ENDS_MS: Final = 1_714_564_800_000  # noon, UTC; the world begins a few seconds before
assert START_MS < QUIET_ENDS_MS < START_MS + 6_000, "while faults happen"
CART_MS: Final = 1_500
HELD_MS: Final = 2_000
SILENT_MS: Final = 700
CAP: Final = 3
CAP_MS: Final = 60_000
COOLDOWN_MS: Final = 900
ACTIONS: Final = ("add_to_cart", "search", "view", "checkout")
SESSIONS: Final = ("s0", "s1", "s2")
RULES: Final = f"""
[rule.cart]
sequence = ["click.add_to_cart", "no click.checkout within {CART_MS}ms"]
key = "session_id"
then = [{{ webhook = "crm", type = "cart" }}]

[rule.held]
when = "count(click.search, 365d) > count(click.checkout, 365d)"
for = "{HELD_MS}ms"
then = [{{ webhook = "crm", type = "held" }}]

[rule.limited]
sequence = ["click.search", "no click.view within {SILENT_MS}ms"]
cap = "{CAP} per {CAP_MS}ms"
cooldown = "{COOLDOWN_MS}ms"
then = [{{ webhook = "risk", type = "limited" }}]

[rule.thanks]
on = "click.checkout"
quiet = {{ from = "11:00", to = "12:00", then = "wait" }}
then = [{{ webhook = "crm", type = "thanks" }}]
"""

Cause = tuple[str, str, str, str]  # customer, rule, cause without the run's key, endpoint
Event = Mapping[str, Any]


@dataclass(slots=True)
class Life:
    """One customer, as far as these rules go; 0 is never."""

    clock_ms: int = 0
    wait_ms: int = 0  # nothing is to be looked at before
    seen: set[str] = field(default_factory=set)
    carts: dict[str, int] = field(default_factory=dict)  # by session, since when
    searched_ms: int = 0  # since when nothing was viewed
    balance: int = 0  # searches over checkouts
    held_ms: int = 0  # when it will have held for long enough
    quiet_ms: int = 0
    limited_ms: list[int] = field(default_factory=list)  # when it fired

    def event(self, event: Event) -> list[tuple[str, str]]:
        """Rule and cause of what fires at an event, with the timers before it."""
        if event["id"] in self.seen:
            return []
        fired = self.until(event["at_ms"])
        self.seen.add(event["id"])
        self.clock_ms = max(self.clock_ms, event["at_ms"])
        return fired + [(rule, event["id"]) for rule in self._judged(event)]

    def until(self, until_ms: int) -> list[tuple[str, str]]:
        """The same of timers that are due by then."""
        fired = []
        while 0 < self.wait_ms <= until_ms:
            due_ms = self.wait_ms
            self.clock_ms = max(self.clock_ms, due_ms)
            fired += [(rule, f"timer:{due_ms}") for rule in self._judged(None)]
            carts = [at_ms + CART_MS for at_ms in self.carts.values()]
            silent = [self.searched_ms + SILENT_MS] if self.searched_ms else []
            others = [each for each in (self.held_ms, self.quiet_ms) if each]
            self.wait_ms = min([*carts, *silent, *others], default=0)
        return fired

    def _wait(self, due_ms: int) -> None:
        self.wait_ms = min(self.wait_ms or due_ms, due_ms)

    def _judged(self, event: Event | None) -> list[str]:
        """The rules that fire now."""
        action = None if event is None else event["action"]
        fired = ["cart"] * self._carts(event, action)
        fired += ["held"] * self._held(action)
        fired += ["limited"] * self._limited(event, action)
        return fired + ["thanks"] * self._thanks(action)

    def _carts(self, event: Event | None, action: str | None) -> int:
        if action not in {None, "add_to_cart", "checkout"}:
            return 0
        session = None if event is None else event["session_id"]
        at_ms = 0 if event is None else event["at_ms"]
        fired = 0
        is_open = False
        for each, since_ms in list(self.carts.items()):
            is_bought = each == session and action == "checkout" and at_ms >= since_ms
            if is_bought and at_ms < since_ms + CART_MS:
                del self.carts[each]
            elif self.clock_ms >= since_ms + CART_MS:
                del self.carts[each]
                fired += 1
            elif each == session:
                is_open = True
        if session is not None and action == "add_to_cart" and not is_open:
            self.carts[session] = at_ms
        for since_ms in self.carts.values():
            self._wait(since_ms + CART_MS)
        return fired

    def _held(self, action: str | None) -> int:
        did_hold = self.balance > 0
        self.balance += (action == "search") - (action == "checkout")
        if self.balance <= 0:
            self.held_ms = 0
        elif not did_hold:
            self.held_ms = self.clock_ms + HELD_MS
            self._wait(self.held_ms)
        elif self.held_ms and self.held_ms <= self.clock_ms:
            self.held_ms = 0
            return 1
        return 0

    def _limited(self, event: Event | None, action: str | None) -> int:
        if action not in {None, "search", "view"}:
            return 0
        at_ms, since_ms, is_over = 0 if event is None else event["at_ms"], self.searched_ms, False
        if since_ms:
            is_seen = action == "view" and at_ms >= since_ms
            if is_seen and at_ms < since_ms + SILENT_MS:
                self.searched_ms = 0
            elif self.clock_ms >= since_ms + SILENT_MS:
                self.searched_ms, is_over = 0, True
        if action == "search" and not self.searched_ms:
            self.searched_ms = at_ms
        if self.searched_ms:
            self._wait(self.searched_ms + SILENT_MS)
        fires = self.limited_ms
        if not is_over or (len(fires) >= CAP and self.clock_ms - fires[-CAP] < CAP_MS):
            return 0
        if fires and self.clock_ms - fires[-1] < COOLDOWN_MS:
            return 0
        fires.append(self.clock_ms)
        return 1

    def _thanks(self, action: str | None) -> int:
        is_wanted = action == "checkout"
        if action is None and 0 < self.quiet_ms <= self.clock_ms:
            self.quiet_ms, is_wanted = 0, True
        if is_wanted and self.clock_ms < QUIET_ENDS_MS:
            self.quiet_ms = QUIET_ENDS_MS
            self._wait(QUIET_ENDS_MS)
            return 0
        return int(is_wanted)


ENDPOINTS: Final = {"cart": "crm", "held": "crm", "limited": "risk", "thanks": "crm"}


@dataclass(slots=True)
class Waiting:
    """The customers of one shard who wait for a time."""

    lives: dict[str, Life] = field(default_factory=dict)
    causes: list[Cause] = field(default_factory=list)  # of everything that has fired

    def event(self, event: Event) -> None:
        customer = event["customer_id"]
        life = self.lives.setdefault(customer, Life())
        self._note(customer, life.event(event))

    def until(self, until_ms: int) -> None:
        for customer, life in self.lives.items():
            self._note(customer, life.until(until_ms))

    def copy(self) -> "Waiting":
        return deepcopy(self)

    @property
    def waits(self) -> dict[str, int]:
        """Who waits, and until when."""
        return {name: life.wait_ms for name, life in self.lives.items() if life.wait_ms}

    def _note(self, customer: str, fired: list[tuple[str, str]]) -> None:
        self.causes += [(customer, rule, cause, ENDPOINTS[rule]) for rule, cause in fired]


def is_waiting(customer: str) -> bool:
    return customer.startswith("w")
