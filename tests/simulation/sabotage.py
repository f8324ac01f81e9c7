"""The engine with one protection taken out: what a simulation that is worth anything must find.

Promise   Each of these is a mistake that somebody could make in the product; nothing of the simulation
          is changed by them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any, Final
from unittest.mock import patch

import msgspec

from rules import fires
from rules.action import action_id
from streams import owned, receipts_redis
from streams.commit import StandingWatch
from streams.delivery import Delivery
from streams.fence import Fence
from streams.receipts import is_settled
from streams.shard import Shard
from streams.store import Command, Reply
from streams.timers import Timers
from streams.work import ARRIVED, Work
from tests.simulation.memory_redis import Session

Patch = Callable[[ExitStack], object]

EARLY_MS: Final = 400


def _replaced(place: object, name: str, other: object) -> Patch:
    return lambda stack: stack.enter_context(patch.object(place, name, other))


def _unfenced(stack: ExitStack) -> None:
    """Whoever commits is believed: no watch, no comparison."""
    stack.enter_context(patch.object(StandingWatch, "judge", lambda *_: None))
    watch = Session.execute

    def execute(session: Session, words: list[bytes]) -> Any:  # noqa: ANN401  a reply
        return b"OK" if words[0] == b"WATCH" else watch(session, words)

    stack.enter_context(patch.object(Session, "execute", execute))


def _offsets_after(stack: ExitStack) -> None:
    """First the rows and the outbox, then, in a second commit, how far the log was read."""
    begin, finish = StandingWatch.begin, StandingWatch.finish
    wanted: dict[int, bytes] = {}

    def first(watch: StandingWatch, fence: bytes, pairs: list[bytes], also: Command) -> None:
        wanted[id(watch)] = fence
        offsets = Fence.decode(watch.number, watch.stored).offsets
        without = msgspec.structs.replace(Fence.decode(watch.number, fence), offsets=offsets)
        begin(watch, without.encode(), pairs, also)

    def second(watch: StandingWatch) -> Reply:
        reply = finish(watch)
        begin(watch, wanted[id(watch)], [], ("GET", b"nothing"))
        finish(watch)
        return reply

    stack.enter_context(patch.object(StandingWatch, "begin", first))
    stack.enter_context(patch.object(StandingWatch, "finish", second))


def _reconnects_blindly(watch: StandingWatch, _fence: bytes) -> bool:
    """A new connection is taken for the old one: nothing is watched, and nothing is read."""
    watch._connection.call("GET", watch._key)
    return False


def _letters_after(stack: ExitStack) -> None:
    """Dead letters are written once the fence has passed their records."""
    begin, finish = Shard.begin, Shard.finish

    def without(one: Shard, work: Work) -> None:
        work.letters = ARRIVED
        begin(one, work)

    def then(one: Shard, work: Work) -> None:
        finish(one, work)
        if work.dead:
            one.ports.dead_letters.send(work.dead)

    stack.enter_context(patch.object(Shard, "begin", without))
    stack.enter_context(patch.object(Shard, "finish", then))


def _anybody_records(stack: ExitStack) -> None:
    """The relay writes its records whoever owns the shard."""
    write = receipts_redis.RedisReceipts.write

    async def unasked(receipts: Any, number: int, _nonce: str, changes: Any) -> int:  # noqa: ANN401
        stored = await receipts._client.get(b"rapport:{%d}:fence" % number)
        nonce = "" if stored is None else Fence.decode(number, stored).nonce
        return await write(receipts, number, nonce, changes)

    stack.enter_context(patch.object(receipts_redis.RedisReceipts, "write", unasked))


def _entries_first(number: int, changes: Any) -> list[Any]:  # noqa: ANN401
    """Outbox entries go before the records of their actions are there."""
    cursor = _commands(number, changes)
    first = [each for each in cursor if each[0] == "DEL"]
    return [*first, *(each for each in cursor if each[0] != "DEL")]


_commands: Final = receipts_redis.commands


def _done_when_begun(delivery: Delivery) -> bool:
    """An action is done with as soon as it is looked at."""
    return is_settled(delivery) or delivery.status == "pending"


def _fresh_ids(stack: ExitStack) -> None:
    """Each decision has an id of its own, instead of that of its cause."""
    numbers = count()
    stack.enter_context(
        patch.object(fires, "action_id", lambda *of: f"{action_id(*of)}-{next(numbers)}")
    )


def _indexed_after(stack: ExitStack) -> None:
    """Who waits for a time is put into the index once the row is stored."""
    begin, finish = Shard.begin, Shard.finish
    kept: dict[int, Any] = {}

    def without(one: Shard, work: Work) -> None:
        if work.entries:
            kept[id(work)], work.entries = work.entries, []
        begin(one, work)

    def then(one: Shard, work: Work) -> None:
        finish(one, work)
        entries = kept.pop(id(work), [])
        command = one._timers.command(entries)
        if command is not None:
            one._rows.connection.call(*command)
            one._timers.written([due_ms for _, due_ms in entries])

    stack.enter_context(patch.object(Shard, "begin", without))
    stack.enter_context(patch.object(Shard, "finish", then))


def _moved_before(stack: ExitStack) -> None:
    """Entries of the index are removed before the commit of what they led to."""
    fire = Shard.fire

    def removing(one: Shard, until_ms: int) -> Work | None:
        work = fire(one, until_ms)
        if work is not None:
            one._watch.aside(("ZREM", one._keys.timers, *work.outcome.changed_ids))
            one._timers.written([each for each in work.outcome.dues_ms if each])
        return work

    stack.enter_context(patch.object(Shard, "fire", removing))


def _unguarded_cleaning(watch: StandingWatch, write: Command) -> bool:
    """Entries are removed whoever owns the shard by now."""
    watch._connection.call(*write)
    return True


def _fires_early(stack: ExitStack) -> None:
    """Timers fire a moment before their time."""
    fire = Shard.fire
    stack.enter_context(
        patch.object(Shard, "fire", lambda one, until_ms: fire(one, until_ms + EARLY_MS))
    )


SABOTAGES: Final[Mapping[str, Patch]] = {
    "the fence is not compared": _unfenced,
    "positions are stored after the rest": _offsets_after,
    "a new connection watches nothing": _replaced(
        StandingWatch, "_look_again", _reconnects_blindly
    ),
    "a table is kept whoever came between": _replaced(Shard, "is_as_left", lambda *_: True),
    "dead letters are written after the commit": _letters_after,
    "the relay writes whoever owns the shard": _anybody_records,
    "entries go before their records": _replaced(receipts_redis, "commands", _entries_first),
    "an action is settled when it is begun": lambda stack: [
        stack.enter_context(patch.object(place, "is_settled", _done_when_begun))
        for place in (owned, receipts_redis)
    ],
    "ids are drawn": _fresh_ids,
    "who waits is not in the index": _replaced(Timers, "command", lambda *_: None),
    "the index is written after the commit": _indexed_after,
    "the index is cleaned before the commit": _moved_before,
    "the index is cleaned by whoever was the owner": _replaced(
        StandingWatch, "aside", _unguarded_cleaning
    ),
    "timers fire early": _fires_early,
}


@contextmanager
def sabotaged(name: str) -> Iterator[None]:
    """The engine with this protection taken out, as long as the block lasts."""
    with ExitStack() as stack:
        SABOTAGES[name](stack)
        yield
