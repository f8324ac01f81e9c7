"""The controls in Redis, with the history of what was said, and the rules as files have them.

Promise   A change is made to what was read, or not at all: nobody's change is lost. With it, in the same
          script, go its entry in the history and a new number of the version, by which all processes
          see that there is something to read.
How       `rapport:rules` is a hash, rule -> JSON of its control; `rapport:rules:version` a number;
          `rapport:rules:history` a stream; `rapport:rules:known` JSON of the rules that were in force
          last, for who has no files, and to tell what a reload has changed.
Limits    CONTROLS_MAX rules about which something is said; HISTORY_MAX entries; CHANGES_TRIED_MAX tries
          against others who change the same rule.
Not here  What a change is (controls.py). When all is read again (guard_watch.py).

The script writes more than once, so Redis logs it as a transaction: one that a crash has cut is dropped
or carried out as a whole (torn_tail.py), and any part of it is a good state.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from streams.controls import NOTHING, Control, ControlError, Known
from streams.errors import DamagedError, StoreError
from streams.store import list_of, number_of, text_of
from streams.store_async import AsyncConnection

CONTROLS_KEY: Final = b"rapport:rules"
VERSION_KEY: Final = b"rapport:rules:version"
HISTORY_KEY: Final = b"rapport:rules:history"
KNOWN_KEY: Final = b"rapport:rules:known"
HISTORY_MAX: Final = 10_000
CONTROLS_MAX: Final = 2_000  # twice as many as there may be rules
CHANGES_TRIED_MAX: Final = 20
PAGE: Final = 500  # entries of the history a reply

One = TypeVar("One")

# KEYS: controls, version, history. ARGV: rule, control as it was read, control, entry, and the limits.
_CHANGE: Final = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[2] == '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then return -1 end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
redis.call('XADD', KEYS[3], 'MAXLEN', '=', ARGV[6], '*', 'entry', ARGV[4])
redis.call('INCR', KEYS[2])
return 1
"""

# KEYS: known, history. ARGV: rules as they were read, rules, entry, and the limit.
_ANNOUNCE: Final = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('XADD', KEYS[2], 'MAXLEN', '=', ARGV[4], '*', 'entry', ARGV[3])
return 1
"""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was said or done, in the history."""

    at_ms: int
    by: str
    what: str  # "promote", "pause", "resume", "snooze" or "reload"
    rule: str = ""  # of all but a reload
    said: dict[str, Any] = {}  # whatever belongs to it; msgspec copies what is empty
    rules: list[dict[str, Any]] = []  # of a reload: what has changed; the same


@dataclass(frozen=True, slots=True)
class Changed:
    """A control before and after a change."""

    before: Control
    after: Control


_control = msgspec.json.Decoder(Control)
_known = msgspec.json.Decoder(dict[str, Known])
_entry = msgspec.json.Decoder(Entry)


class ControlStore:
    """Reads and changes the controls; lives in one event loop. All methods raise StoreError."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def version(self) -> int:
        """Another number whenever something has changed."""
        return int(text_of(await self._connection.call("GET", VERSION_KEY)) or 0)

    async def controls(self) -> dict[str, Control]:
        """All controls by rule."""
        found = [
            text_of(each) or b""
            for each in list_of(await self._connection.call("HGETALL", CONTROLS_KEY))
        ]
        return {
            rule.decode(): _decoded(CONTROLS_KEY, stored, _control)
            for rule, stored in zip(found[::2], found[1::2], strict=True)
        }

    async def known(self) -> dict[str, Known]:
        """The rules that were in force last, as their files have them; none before the first start."""
        stored = text_of(await self._connection.call("GET", KNOWN_KEY))
        return {} if stored is None else _decoded(KNOWN_KEY, stored, _known)

    async def change(
        self, rule: str, change: Callable[[Control], Control], entry: Callable[[Changed], Entry]
    ) -> Changed:
        """Change what is said about a rule, and note it in the history.

        Args:
            rule: its name.
            change: makes the new control of the one that is there; called again when others were faster.
            entry: makes the entry of both.

        Raises:
            ControlError: `change` has refused it, or there is too much said already.
        """
        for _ in range(CHANGES_TRIED_MAX):
            stored = text_of(await self._connection.call("HGET", CONTROLS_KEY, rule)) or b""
            before = _decoded(CONTROLS_KEY, stored, _control) if stored else NOTHING
            after = change(before)
            changed = Changed(before, after)
            written = b"" if after == NOTHING else msgspec.json.encode(after)
            keys = (CONTROLS_KEY, VERSION_KEY, HISTORY_KEY)
            noted = msgspec.json.encode(entry(changed))
            values = (rule, stored, written, noted, CONTROLS_MAX, HISTORY_MAX)
            done = number_of(await self._connection.call("EVAL", _CHANGE, 3, *keys, *values))
            if done == 1:
                return changed
            if done == -1:
                raise ControlError(
                    f"something is said about {CONTROLS_MAX:,} rules, which is the most; resume those"
                    " that are no more (`rapport rules history`)"
                )
        raise StoreError(f"others change the rule {rule} again and again")

    async def announce(
        self, rules: Mapping[str, Known], entry: Callable[[Mapping[str, Known]], Entry | None]
    ) -> dict[str, Known] | None:
        """Note which rules are in force, if that is news; the rules before, or None where it is none.

        Args:
            rules: as files have them.
            entry: of the rules that were known before; None: nothing has changed.
        """
        for _ in range(CHANGES_TRIED_MAX):
            stored = text_of(await self._connection.call("GET", KNOWN_KEY)) or b""
            before = _decoded(KNOWN_KEY, stored, _known) if stored else {}
            made = entry(before)
            if made is None:
                return None
            values = (stored, msgspec.json.encode(rules), msgspec.json.encode(made), HISTORY_MAX)
            keys = (KNOWN_KEY, HISTORY_KEY)
            if number_of(await self._connection.call("EVAL", _ANNOUNCE, 2, *keys, *values)) == 1:
                return before
        raise StoreError("others announce rules again and again")

    async def history(self, rule: str | None, limit: int) -> list[Entry]:
        """The newest entries first; only those about a rule where one is given."""
        found: list[Entry] = []
        last = "+"
        while len(found) < limit:
            reply = list_of(
                await self._connection.call("XREVRANGE", HISTORY_KEY, last, "-", "COUNT", PAGE)
            )
            for each in reply:
                name, fields = list_of(each)
                last = f"({(text_of(name) or b'').decode()}"
                entry = _decoded(HISTORY_KEY, text_of(list_of(fields)[1]) or b"", _entry)
                if rule is None or is_about(entry, rule):
                    found.append(entry)
            if len(reply) < PAGE:
                break
        return found[:limit]


def is_about(entry: Entry, rule: str) -> bool:
    """Whether an entry says something about the rule."""
    return entry.rule == rule or any(each["rule"] == rule for each in entry.rules)


def reloaded(before: Mapping[str, Known], after: Mapping[str, Known]) -> Sequence[dict[str, Any]]:
    """What a reload has changed, rule by rule; where the rule was not or is no more, nothing.

    >>> from streams.controls import Stage
    >>> reloaded({}, {"vip": Known(2, Stage("live"))})
    [{'rule': 'vip', 'from': None, 'to': {'version': 2, 'stage': 'live'}}]
    """

    def shown(known: Known | None) -> dict[str, Any] | None:
        return None if known is None else {"version": known.version, "stage": str(known.stage)}

    return [
        {"rule": name, "from": shown(before.get(name)), "to": shown(after.get(name))}
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _decoded(key: bytes, stored: bytes, decoder: msgspec.json.Decoder[One]) -> One:
    try:
        return decoder.decode(stored)
    except msgspec.MsgspecError as error:
        raise DamagedError(key, f"holds what is none of ours: {error}") from error
