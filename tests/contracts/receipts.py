"""What every store of receipts promises. Run by tests/streams for the fake, tests/integration for Redis."""

from collections.abc import Sequence
from typing import Protocol

import pytest

from rules.action import Action
from sinks.retry import Policy
from sinks.sink import Delivered, Rejected, RetryAfter
from streams.delivery import Delivery, after, parked, pending
from streams.errors import FencedError, MismatchError
from streams.receipts import Changes, LaneState, Mark, Receipts, Survey
from tests.actions import action

NONCE = "ours"
NOW_MS = 1_714_564_900_000
KEPT_MAX = 20  # of the stores under test
LANE = "webhook:crm"


class Store(Protocol):
    """Receipts, with the shard's side of the matter."""

    @property
    def receipts(self) -> Receipts: ...

    async def own(self, number: int, nonce: str) -> None: ...

    async def commit(self, number: int, sequence: int, actions: Sequence[Action]) -> None: ...


def retrying(number: int, due_ms: int) -> Delivery:
    failed = after(pending(action(number), NOW_MS), RetryAfter("HTTP 500"), Policy(), NOW_MS)
    return parked(failed, due_ms)


def done(number: int) -> Delivery:
    return after(pending(action(number), NOW_MS), Delivered("HTTP 204"), Policy(), NOW_MS)


def dead(number: int) -> Delivery:
    return after(pending(action(number), NOW_MS), Rejected("no"), Policy(), NOW_MS)


class ReceiptsContract:
    @pytest.fixture
    async def receipts(self, store: Store) -> Receipts:
        await store.own(0, NONCE)
        return store.receipts

    async def test_an_empty_shard_has_nothing(self, receipts: Receipts) -> None:
        """The first start ever."""
        assert await receipts.cursor(0) == 0
        assert await receipts.entries(0, 1, 5) == []
        assert await receipts.known(0, ["a"]) == set()
        assert await receipts.survey(0) == Survey(0, {}, {})

    async def test_entries_are_found_until_they_are_settled(
        self, store: Store, receipts: Receipts
    ) -> None:
        """What is in the outbox is all that a new owner has."""
        for sequence in (1, 2, 3):
            await store.commit(0, sequence, [action(sequence)])
        await receipts.write(0, NONCE, Changes([done(2)], settled=[2], cursor=0))

        assert await receipts.entries(0, 1, 3) == [(1, [action(1)]), (3, [action(3)])]
        await receipts.write(0, NONCE, Changes([done(1)], settled=[1], cursor=2))
        assert await receipts.entries(0, 1, 3) == [(3, [action(3)])]
        assert await receipts.cursor(0) == 2

    async def test_who_is_no_longer_the_owner_changes_nothing(
        self, store: Store, receipts: Receipts
    ) -> None:
        """A worker that was stopped for a minute must not settle what the next one wrote since."""
        await store.commit(0, 1, [action(1)])
        await store.own(0, "theirs")

        with pytest.raises(FencedError):
            await receipts.write(0, NONCE, Changes([done(1)], settled=[1], cursor=1))
        assert await receipts.entries(0, 1, 1) == [(1, [action(1)])]
        assert await receipts.known(0, [action(1).id]) == set()

    async def test_known_is_what_waits_and_what_has_ended(self, receipts: Receipts) -> None:
        """A note that something is under way must not keep the next owner from delivering it."""
        under_way = pending(action(4), NOW_MS)
        some = [done(1), dead(2), retrying(3, NOW_MS), under_way]
        await receipts.write(0, NONCE, Changes(some))

        ids = [action(number).id for number in range(6)]
        assert await receipts.known(0, ids) == {action(number).id for number in (1, 2, 3)}

    async def test_due_is_what_is_due_oldest_first_and_within_the_limit(
        self, receipts: Receipts
    ) -> None:
        """And it says when to come again."""
        some = [retrying(number, NOW_MS + 10 * number) for number in (3, 1, 2, 5)]
        assert await receipts.write(0, NONCE, Changes(some)) == 4

        due = await receipts.due(0, LANE, NOW_MS + 30, 10)
        assert [each.id for each in due.deliveries] == [action(n).id for n in (1, 2, 3)]
        assert due.deliveries[0] == retrying(1, NOW_MS + 10)
        assert due.next_ms == NOW_MS + 50
        less = await receipts.due(0, LANE, NOW_MS + 30, 2)
        assert len(less.deliveries) == 2
        assert less.next_ms is not None
        assert less.next_ms <= NOW_MS + 30
        everything = await receipts.due(0, LANE, NOW_MS + 50, 10)
        assert everything.next_ms is None
        assert (await receipts.due(0, "webhook:other", NOW_MS + 50, 10)).deliveries == []

    async def test_what_has_ended_waits_no_more(self, receipts: Receipts) -> None:
        """Otherwise it would be delivered again at each start."""
        await receipts.write(0, NONCE, Changes([retrying(1, NOW_MS), retrying(2, NOW_MS)]))
        assert await receipts.write(0, NONCE, Changes([done(1)])) == 1

        due = await receipts.due(0, LANE, NOW_MS, 10)
        assert [each.id for each in due.deliveries] == [action(2).id]

    async def test_the_survey_tells_what_waits_and_how_the_endpoints_are(
        self, receipts: Receipts
    ) -> None:
        """The five days of failures go on counting after a restart."""
        state = LaneState("about", failing_since_ms=NOW_MS, disabled="")
        changes = Changes([retrying(1, NOW_MS + 9), retrying(2, NOW_MS + 5)], lanes={LANE: state})
        await receipts.write(0, NONCE, changes)

        assert await receipts.survey(0) == Survey(2, {LANE: NOW_MS + 5}, {LANE: state})
        assert await receipts.survey(1) == Survey(0, {}, {})

    async def test_a_write_may_be_repeated(self, store: Store, receipts: Receipts) -> None:
        """Its reply may have been lost."""
        await store.commit(0, 1, [action(1), action(2), action(3)])
        changes = Changes([done(1), retrying(2, NOW_MS), dead(3)], settled=[1], cursor=1)
        first = await receipts.write(0, NONCE, changes)

        assert await receipts.write(0, NONCE, changes) == first == 1
        assert await receipts.survey(0) == Survey(1, {LANE: NOW_MS}, {LANE: LaneState("")})

    async def test_a_write_whose_predecessor_is_lost_changes_nothing(
        self, store: Store, receipts: Receipts
    ) -> None:
        """Who goes on as if it were there would hide what it had settled: for ever."""
        await store.commit(0, 1, [action(1)])
        await receipts.begin(0, NONCE, "a")
        await receipts.write(0, NONCE, Changes([done(2)], mark=Mark("a", 4, known=0)))
        with pytest.raises(MismatchError):
            await receipts.write(0, NONCE, Changes([done(1)], [1], 1, mark=Mark("a", 6, known=5)))
        with pytest.raises(MismatchError):
            await receipts.write(0, NONCE, Changes([done(1)], [1], 1, mark=Mark("b", 2, known=1)))

        assert await receipts.known(0, [action(1).id]) == set()
        assert await receipts.entries(0, 1, 1)
        assert (await receipts.survey(0)).marked == ("a", 4)

    async def test_a_write_of_a_session_whose_beginning_is_lost_changes_nothing(
        self, store: Store, receipts: Receipts
    ) -> None:
        """Its books may have been read in the middle of a write that is gone by now, or there again."""
        await store.commit(0, 1, [action(1)])
        await receipts.begin(0, NONCE, "a")
        await receipts.begin(0, NONCE, "b")
        with pytest.raises(MismatchError):
            await receipts.write(0, NONCE, Changes([done(1)], [1], 1, mark=Mark("a", 1, known=0)))

        assert await receipts.entries(0, 1, 1)
        assert (await receipts.survey(0)).marked == ("b", 0)

    async def test_who_is_no_longer_the_owner_begins_nothing(self, receipts: Receipts) -> None:
        """The owner's writes would be taken for lost."""
        await receipts.begin(0, NONCE, "a")
        with pytest.raises(FencedError):
            await receipts.begin(0, "former", "b")

        assert (await receipts.survey(0)).marked == ("a", 0)

    async def test_a_write_whose_reply_was_lost_is_no_obstacle(self, receipts: Receipts) -> None:
        """It may be stored or not; what follows it names the one before it."""
        await receipts.begin(0, NONCE, "a")
        await receipts.write(0, NONCE, Changes([done(1)], mark=Mark("a", 1, known=0)))
        await receipts.write(0, NONCE, Changes([done(2)], mark=Mark("a", 2, known=1)))
        await receipts.write(0, NONCE, Changes([done(2), done(3)], mark=Mark("a", 3, known=1)))
        ids = {action(number).id for number in (1, 2, 3)}

        assert await receipts.known(0, list(ids)) == ids

    async def test_what_is_kept_is_bounded_and_what_waits_is_never_dropped(
        self, receipts: Receipts
    ) -> None:
        """A history may end somewhere; a promise may not."""
        await receipts.write(0, NONCE, Changes([retrying(n, NOW_MS) for n in range(30)]))
        await receipts.write(0, NONCE, Changes([done(n) for n in range(100, 130)]))

        assert (await receipts.survey(0)).waiting_count == 30
        assert len((await receipts.due(0, LANE, NOW_MS, 100)).deliveries) == 30
        ids = [action(number).id for number in range(100, 130)]
        assert await receipts.known(0, ids) == set(ids[-KEPT_MAX:])

    async def test_the_dead_can_be_sent_again(self, receipts: Receipts) -> None:
        """Once somebody has mended the receiver; and only those that are dead."""
        await receipts.write(0, NONCE, Changes([dead(1), dead(2), done(3)]))
        ids = [action(number).id for number in (1, 3, 9)]

        assert await receipts.revive(0, ids, NOW_MS + 5) == 1
        assert await receipts.revive(0, ids, NOW_MS + 5) == 0
        (again,) = (await receipts.due(0, LANE, NOW_MS + 5, 10)).deliveries
        assert (again.id, again.status, again.attempts) == (action(1).id, "pending", 0)

    async def test_lanes_that_nothing_waits_for_are_forgotten(self, receipts: Receipts) -> None:
        """Rules come and go; what is known of a failing endpoint stays."""
        states = {
            "webhook:well": LaneState("a"),
            "webhook:bad": LaneState("b", failing_since_ms=NOW_MS),
            "webhook:off": LaneState("c", disabled="HTTP 410"),
        }
        await receipts.write(0, NONCE, Changes([retrying(1, NOW_MS)], lanes=states))
        await receipts.forget(0, {*states, LANE, "webhook:unknown"})

        assert (await receipts.survey(0)).states.keys() == {LANE, "webhook:bad", "webhook:off"}
        await receipts.write(0, NONCE, Changes([done(1)]))
        await receipts.forget(0, {LANE})
        assert LANE not in (await receipts.survey(0)).states
