"""The retry contract as a whole: every answer, through relay and breaker, on a clock moved by hand.

The oracle is the contract written down plainly: a schedule, what a receiver asked for, five days.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from rules.action import Action
from sinks import payload
from sinks.answer import judge
from sinks.sink import Receipt
from streams.clock import ManualClock
from streams.delivery import Delivery
from tests.actions import action
from tests.streams.relay_world import DAY_MS, World, settled

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
SCHEDULE_MS = [
    *(0, 5_000, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS),
    *(10 * HOUR_MS, 14 * HOUR_MS, 20 * HOUR_MS, 24 * HOUR_MS),
]
LATE_MS = 5_000  # the relay looks again that soon
TIMES_MAX = 60

ASKED_MS: Mapping[str, int | None] = {
    "": None,
    "7": 7_000,
    "3600": HOUR_MS,
    "9" * 300: DAY_MS,
    "Fri, 31 Dec 9999 23:59:59 GMT": DAY_MS,
    "Thu, 01 Jan 1970 00:00:00 GMT": 0,
    "soon": None,
    "-5": None,
}


@dataclass
class Answering:
    """A receiver that answers each time the same."""

    clock: ManualClock
    status: int
    headers: dict[str, str]
    asked_ms: list[int] = field(default_factory=list)
    bodies: set[bytes] = field(default_factory=set)

    def body(self, action: Action) -> bytes:
        return payload.body(action)

    async def deliver(self, action: Action, body: bytes) -> Receipt:
        del action
        self.asked_ms.append(self.clock.now_ms())
        self.bodies.add(body)
        return judge(self.status, self.headers, self.clock.now_ms())


async def life_of(status: int, retry_after: str, **headers: str) -> tuple[Answering, Delivery]:
    """One action for such a receiver, until nothing more is to be tried."""
    world = World()
    given = {"Retry-After": retry_after} if retry_after else {}
    sink = Answering(world.clock, status, {**given, **headers})
    world.sinks["crm"] = sink
    async with world.relay() as relay:
        world.commit(relay, [action(1)])
        await settled()
        found = world.receipts.shards[0].actions[action(1).id]
        for _ in range(TIMES_MAX):
            if found.due_ms is None:
                break
            await world.later(max(1, found.due_ms - world.clock.now_ms() - 1))
            before = len(sink.asked_ms)
            await world.later(1)
            if len(sink.asked_ms) == before:
                await world.later(LATE_MS)
            found = world.receipts.shards[0].actions[action(1).id]
    assert found.due_ms is None, "it never came to an end"
    assert world.is_settled
    return sink, found


def fits(sink: Answering, asked_ms: int | None) -> bool:
    """Whether the attempts are where the contract has them: never early, and not late."""
    pauses = [two - one for one, two in zip(sink.asked_ms, sink.asked_ms[1:], strict=False)]
    return all(
        max(0.8 * planned_ms, asked_ms or 0) - 1
        <= pause_ms
        <= max(1.2 * planned_ms, asked_ms or 0) + LATE_MS + 1
        for pause_ms, planned_ms in zip(pauses, SCHEDULE_MS[1:], strict=False)
    )


def expected(status: int, asked_ms: int | None) -> tuple[str, int | None]:
    """How it ends, and after how many attempts; None where five days of failures end it."""
    if 200 <= status <= 299:
        return "delivered", 1
    if status == 410:
        return "disabled", 1
    if asked_ms == DAY_MS:
        return "disabled", None
    return "given_up", len(SCHEDULE_MS)


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(1, 6))
async def test_every_status_has_the_attempts_of_the_contract_and_its_end(hundred: int) -> None:
    """Each with another Retry-After, so that all meet all kinds; 3xx is a failure as any other."""
    wrong = []
    for status in range(100 * hundred, 100 * hundred + 100):
        retry_after = list(ASKED_MS)[status % len(ASKED_MS)]
        asked_ms = ASKED_MS[retry_after]
        sink, found = await life_of(status, retry_after)
        ending, attempts = expected(status, asked_ms)
        if (
            found.status != ending
            or len(sink.bodies) != 1
            or not fits(sink, asked_ms)
            or (attempts is not None and len(sink.asked_ms) != attempts)
        ):
            wrong.append((status, retry_after, found.status, found.note, sink.asked_ms))

    assert wrong == []


@pytest.mark.parametrize("status", [301, 404, 429, 500, 503])
@pytest.mark.parametrize("retry_after", ASKED_MS)
async def test_every_retry_after_has_them_too(status: int, retry_after: str) -> None:
    """A number, a date, garbage, the absurd: the pause is longer, never shorter, and at most a day."""
    sink, found = await life_of(status, retry_after)
    ending, attempts = expected(status, ASKED_MS[retry_after])

    assert fits(sink, ASKED_MS[retry_after])
    assert found.status == ending
    assert attempts in {None, len(sink.asked_ms)}


@pytest.mark.parametrize("status", [200, 302, 410, 500, 503])
async def test_a_receiver_that_says_disable_is_asked_once(status: int) -> None:
    """Whatever the status is; and what it took with it is delivered."""
    sink, found = await life_of(status, "7", **{"webhook-delivery": "disable"})

    assert len(sink.asked_ms) == 1
    assert found.status == ("delivered" if status == 200 else "disabled")


async def test_five_days_of_nothing_but_failures_disable_an_endpoint_and_it_says_so() -> None:
    """A receiver that asks for a day each time would keep an action for nine."""
    sink, found = await life_of(503, "9" * 300)

    assert found.status == "disabled"
    assert "five days" in found.note
    assert 5 * DAY_MS <= sink.asked_ms[-1] - sink.asked_ms[0] <= 6 * DAY_MS + 6 * LATE_MS
