"""Rules with clocks, and what they must decide for one customer, read sequentially in plain Python.

Promise   `Person` says which rules fire because of which event or timer, by docs/rules.md and by nothing of
          the engine: shown a customer's events in order, and in the end how late it is.
How       A timer that is due at an event's time or before it comes first. At one moment rules are
          asked in the order of the file.
Limits    Events come in the order of their times, each at a time of its own. No customer has more open
          runs than a rule keeps.
Not here  Which events there are (timer_load.py). Holding it beside what was decided (timer_check.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

SILENCE_MS: Final = 2_000  # of `abandoned` and `unpaid`
ANSWER_MS: Final = 1_500
PLACED_AGO_MS: Final = 2_500
UNHAPPY_MS: Final = 1_000
DELAY_MS_MAX: Final = max(SILENCE_MS, ANSWER_MS, PLACED_AGO_MS, UNHAPPY_MS)
CART_CAP: Final = (2, 60_000)  # so many in such a time
TICKET_CAP: Final = (3, 60_000)
UNHAPPY_CAP: Final = (2, 60_000)
COOLDOWN_MS: Final = {"dear": 1_000, "silent": 5_000, "unpaid": 4_000}
DEAR: Final = 90.0
LOW: Final = 2

# In the order in which they are asked.
RULES: Final = b"""
[rule.abandoned]
sequence = ["click.add_to_cart", "no order.placed within 2s"]
key = "session_id"
cap = "2 per 1m"
then = [{ log = "audit", type = "abandoned" }]

[rule.dear]
on = "order.placed"
when = "amount > 90"
cooldown = "1s"
then = [{ log = "audit", type = "dear" }]

[rule.silent]
when = "since(order.placed) >= 2500ms"
cooldown = "5s"
then = [{ log = "audit", type = "silent" }]

[rule.ticket]
sequence = ["service.ticket_opened", "no service.first_response within 1500ms"]
key = "ticket_id"
cap = { per_customer = "3 per 1m", channel = "phone" }
then = [{ log = "audit", type = "ticket" }]

[rule.unhappy]
when = "last(service.csat.score) <= 2"
for = "1s"
cap = { per_customer = "2 per 1m", channel = "phone" }
then = [{ log = "audit", type = "unhappy" }]

[rule.unpaid]
sequence = ["order.placed", "no order.paid within 2s"]
cooldown = "4s"
then = [{ log = "audit", type = "unpaid" }]
"""


@dataclass(frozen=True, slots=True)
class Happening:
    """One event, as the rules look at it."""

    id: str
    kind: str
    """Such as "order.placed"."""
    at_ms: int
    key: str = ""
    """The session or the ticket."""
    amount: float = 0.0
    score: int = 0


@dataclass
class Person:
    """One customer."""

    causes: list[tuple[str, str]] = field(default_factory=list)
    """What has fired, in order: rule, and event id or timer."""
    held_back: int = 0
    broken: int = 0
    """Timers that an event has taken back."""
    _carts: dict[str, int] = field(default_factory=dict)  # of each open run, when it began
    _tickets: dict[str, int] = field(default_factory=dict)
    _unpaid_ms: int | None = None
    _placed_ms: int | None = None
    _is_silent: bool = False
    _is_unhappy: bool = False
    _unhappy_from_ms: int | None = None
    _fired_ms: dict[str, list[int]] = field(default_factory=dict)  # by rule, and by channel

    def dues_ms(self) -> list[int]:
        """When the timers are due that are set now."""
        dues = [at_ms + SILENCE_MS for at_ms in self._carts.values()]
        dues += [at_ms + ANSWER_MS for at_ms in self._tickets.values()]
        if self._unpaid_ms is not None:
            dues.append(self._unpaid_ms + SILENCE_MS)
        if self._placed_ms is not None and not self._is_silent:
            dues.append(self._placed_ms + PLACED_AGO_MS)
        if self._unhappy_from_ms is not None:
            dues.append(self._unhappy_from_ms + UNHAPPY_MS)
        return dues

    def until(self, now_ms: int) -> None:
        """Let the time come: all timers that are due by then, one after the other."""
        while (due_ms := min(self.dues_ms(), default=now_ms + 1)) <= now_ms:
            self._tick(due_ms)

    def show(self, each: Happening) -> None:
        """An event, after the timers that are due before it or with it."""
        self.until(each.at_ms)
        timers = self.dues_ms()
        match each.kind:
            case "click.add_to_cart":
                self._carts.setdefault(each.key, each.at_ms)
            case "order.placed":
                self._placed(each)
            case "order.paid":
                self._unpaid_ms = None
            case "service.ticket_opened":
                self._tickets.setdefault(each.key, each.at_ms)
            case "service.first_response":
                self._tickets.pop(each.key, None)
            case "service.csat":
                self._answered(each)
        self.broken += len(timers) - sum(due_ms in self.dues_ms() for due_ms in timers)

    def _placed(self, each: Happening) -> None:
        self._carts.pop(each.key, None)
        if each.amount > DEAR:
            self._fire("dear", each.id, each.at_ms)
        self._placed_ms, self._is_silent = each.at_ms, False
        if self._unpaid_ms is None:
            self._unpaid_ms = each.at_ms

    def _answered(self, each: Happening) -> None:
        is_low = each.score <= LOW
        if is_low and not self._is_unhappy:
            self._unhappy_from_ms = each.at_ms
        elif not is_low:
            self._unhappy_from_ms = None
        self._is_unhappy = is_low

    def _tick(self, now_ms: int) -> None:
        """What is due now, rule by rule."""
        cause = f"timer:{now_ms}"
        for key in _over(self._carts, now_ms - SILENCE_MS):
            del self._carts[key]
            self._fire("abandoned", cause, now_ms, cap=CART_CAP)
        if self._placed_ms is not None and now_ms - self._placed_ms >= PLACED_AGO_MS:
            if not self._is_silent:
                self._fire("silent", cause, now_ms)
            self._is_silent = True
        for key in _over(self._tickets, now_ms - ANSWER_MS):
            del self._tickets[key]
            self._fire("ticket", cause, now_ms, cap=TICKET_CAP, channel="phone")
        if self._unhappy_from_ms is not None and now_ms - self._unhappy_from_ms >= UNHAPPY_MS:
            self._unhappy_from_ms = None
            self._fire("unhappy", cause, now_ms, cap=UNHAPPY_CAP, channel="phone")
        if self._unpaid_ms is not None and now_ms - self._unpaid_ms >= SILENCE_MS:
            self._unpaid_ms = None
            self._fire("unpaid", cause, now_ms)

    def _fire(
        self,
        rule: str,
        cause: str,
        now_ms: int,
        *,
        cap: tuple[int, int] | None = None,
        channel: str | None = None,
    ) -> None:
        """Fire, unless a cap or a cooldown holds it back."""
        counted = self._fired_ms.setdefault(channel or rule, [])
        is_capped = cap is not None and sum(now_ms - at < cap[1] for at in counted) >= cap[0]
        is_cooling = bool(counted) and now_ms - counted[-1] < COOLDOWN_MS.get(rule, 0)
        if is_capped or is_cooling:
            self.held_back += 1
        else:
            counted.append(now_ms)
            self.causes.append((rule, cause))


def _over(runs: Mapping[str, int], began_ms: int) -> list[str]:
    """The runs that began by then, in the order of their beginnings."""
    return [key for key, at_ms in runs.items() if at_ms <= began_ms]
