"""The delivery: an action together with how far its delivery has come.

Promise   A delivery after a receipt is a function of delivery, receipt, policy and time.
How       A record that extends the action, so that its JSON has the action's members and ours side
          by side; who lists actions reads one object.

    pending    waits for its first attempt
    retrying   an attempt failed; the next is at `due_ms`
    delivered  the receiver has it
    given_up   the last attempt of the schedule failed
    rejected   nobody can take it: there is no such endpoint, or trying again cannot help
    disabled   its endpoint takes nothing any more
    stale      its cause was no news when it arrived (staleness.py), so it is not to be delivered
    withheld   its customer is held out, or the rule's stage does not reach them (rules/fires.py)
    overtaken  its alert has begun or ended since, while it waited for another attempt (overtaken.py)

Not here  Where records are kept (receipts.py).
"""

from typing import Final, Literal, TypeAlias

import msgspec

from rules.action import Action
from sinks.payload import values
from sinks.retry import Policy, due_ms
from sinks.sink import Delivered, Receipt, Rejected

Status: TypeAlias = Literal[
    "pending",
    "retrying",
    "delivered",
    "given_up",
    "rejected",
    "disabled",
    "stale",
    "withheld",
    "overtaken",
]
DEAD: Final[frozenset[Status]] = frozenset({"given_up", "rejected", "disabled"})
NOTE_CHARS_MAX: Final = 300
WITHHELD_NOTES: Final = {
    "holdout": "the customer is in the rule's hold-out",
    "canary": "the customer is not in the share for which the rule is live",
    "shadow": "the rule is in shadow: it decides and does not act",
}
NEVER_TRIED: Final[frozenset[Status]] = frozenset({"stale", "withheld"})
STALE_NOTE: Final = "when its cause arrived, it was older than `stale_after` allows"


class Delivery(Action, frozen=True, kw_only=True):
    status: Status
    updated_ms: int
    attempts: int
    due_ms: int | None  # of the next attempt; set exactly while it waits in Redis
    note: str  # what the receiver said last

    @property
    def lane(self) -> str:
        """The name of the endpoint's queue.

        Kind and name, because a webhook and a topic may share a name.
        """
        return f"{self.target.kind}:{self.target.name}"


def opened(action: Action, now_ms: int) -> Delivery:
    """The delivery of an action as it was committed: pending, or one of NEVER_TRIED and so at its end."""
    delivery = pending(action, now_ms)
    if action.withheld:
        return ended(delivery, "withheld", WITHHELD_NOTES[action.withheld], now_ms)
    return ended(delivery, "stale", STALE_NOTE, now_ms) if action.is_stale else delivery


def pending(action: Action, now_ms: int) -> Delivery:
    """The delivery of an action that is to be delivered.

    What is missing among the values goes now, as JSON would lose it anyway and bytes must not change.
    """
    fields = {name: getattr(action, name) for name in Action.__struct_fields__}
    fields |= {"data": values(action), "is_stale": False}  # the status says it from here on
    return Delivery(**fields, status="pending", updated_ms=now_ms, attempts=0, due_ms=None, note="")


def after(delivery: Delivery, receipt: Receipt, policy: Policy, now_ms: int) -> Delivery:
    """The delivery once an attempt has ended at `now_ms` with a receipt."""
    attempts = delivery.attempts + 1
    if isinstance(receipt, Delivered):
        return ended(delivery, "delivered", receipt.note, now_ms, attempts)
    if isinstance(receipt, Rejected):
        status: Status = "disabled" if receipt.disables else "rejected"
        return ended(delivery, status, receipt.reason, now_ms, attempts)
    due = due_ms(policy, delivery.id, attempts, now_ms, receipt.delay_ms)
    if due is None:
        return ended(delivery, "given_up", receipt.reason, now_ms, attempts)
    return msgspec.structs.replace(
        delivery,
        status="retrying",
        updated_ms=now_ms,
        attempts=attempts,
        due_ms=due,
        note=receipt.reason[:NOTE_CHARS_MAX],
    )


def ended(
    delivery: Delivery, status: Status, note: str, now_ms: int, attempts: int | None = None
) -> Delivery:
    """The delivery when nothing more is to be tried."""
    return msgspec.structs.replace(
        delivery,
        status=status,
        updated_ms=now_ms,
        attempts=delivery.attempts if attempts is None else attempts,
        due_ms=None,
        note=note[:NOTE_CHARS_MAX],
    )


def parked(delivery: Delivery, due_ms: int) -> Delivery:
    """The delivery while there is no room for it in memory: kept in Redis until `due_ms` at least."""
    return msgspec.structs.replace(delivery, due_ms=due_ms)
