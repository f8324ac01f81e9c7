"""Overtaken: of an alert's beginning and its end, the older is not delivered after the newer.

Promise   What waited for another attempt is not delivered once the opposite has happened to its alert
          since: a page for what is over, or an end for what has begun again. It ends in a record that
          says so. Attempts of one alert's beginning and end are never under way side by side.
How       The newest beginning and end of each alert that has come through, by event time. At equal times
          neither overtakes the other.
Limits    ALERTS_MAX alerts, the longest unused forgotten first, and in memory: what began before a restart
          and waits for another attempt is delivered even if its end was delivered before it. Then the
          alert lasts as long as its target's `resolve_after` says, or until the rule fires and ends again.
Not here  Deciding that it is over (rules/endings.py).
"""

from collections import OrderedDict
from typing import Final, TypeAlias

from rules.action import ALERT, Action

ALERTS_MAX: Final = 10_000  # about 3 MB
OVERTAKEN_NOTE: Final = "while it waited for another attempt, its alert has ended, or begun again"

Alert: TypeAlias = tuple[str, str, str, str]


class Newest:
    """When each alert has begun and ended last."""

    def __init__(self) -> None:
        self._times: OrderedDict[Alert, tuple[int, int]] = OrderedDict()  # beginning, end

    def note(self, action: Action) -> None:
        """It is about to be delivered."""
        if action.target.kind != ALERT:
            return
        alert = _alert(action)
        began_ms, ended_ms = self._times.get(alert, (0, 0))
        if action.resolves:
            ended_ms = max(ended_ms, action.at_ms)
        else:
            began_ms = max(began_ms, action.at_ms)
        self._times[alert] = began_ms, ended_ms
        self._times.move_to_end(alert)
        if len(self._times) > ALERTS_MAX:
            self._times.popitem(last=False)

    def overtakes(self, action: Action) -> bool:
        """Whether the opposite has happened since."""
        if action.target.kind != ALERT:
            return False
        began_ms, ended_ms = self._times.get(_alert(action), (0, 0))
        return (began_ms if action.resolves else ended_ms) > action.at_ms


def is_same_alert(one: Action, other: Action) -> bool:
    return one.target.kind == other.target.kind == ALERT and _alert(one) == _alert(other)


def _alert(action: Action) -> Alert:
    return (action.target.name, action.target.type, action.rule, action.customer_id)
