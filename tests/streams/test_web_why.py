"""Why a rule has fired or has not, over HTTP."""

from typing import Any
from urllib.parse import quote

import pytest
from yarl import URL

from streams.asked import UnknownError
from streams.errors import StoreDownError
from tests.streams.web_fakes import World, opened


class Explainer:
    """Answers with what it was asked."""

    async def why(self, rule: str, customer_id: str, at_ms: int | None = None) -> dict[str, Any]:
        if rule == "down":
            raise StoreDownError("loading", "soon")
        if rule != "vip/2":
            raise UnknownError("rule", rule, "did you mean `vip/2`?")
        return {"rule": rule, "customer_id": customer_id, "at_ms": at_ms}


def path(rule: str, customer_id: str, rest: str = "") -> URL:
    text = f"/v1/rules/{quote(rule, safe='')}/why/{quote(customer_id, safe='')}{rest}"
    return URL(text, encoded=True)


@pytest.mark.parametrize(
    ("rest", "at_ms"), [("", None), ("?at=5", 5), ("?at=2024-05-01T12:00", 1_714_564_800_000)]
)
async def test_why_is_answered_as_the_command_has_it(rest: str, at_ms: int | None) -> None:
    """Whatever the names are made of."""
    async with opened(World(), why=Explainer()) as client:
        answer = await client.get(path("vip/2", "a/b 😀", rest))

        assert (answer.status, answer.content_type) == (200, "application/json")
        assert await answer.json() == {"rule": "vip/2", "customer_id": "a/b 😀", "at_ms": at_ms}


@pytest.mark.parametrize(
    ("asked", "status", "reason", "said"),
    [
        (
            path("vip", "c"),
            404,
            "unknown_rule",
            "there is no rule 'vip' here; did you mean `vip/2`?",
        ),
        (path("vip/2", "x" * 101), 404, "unknown_customer", "there is no customer"),
        (path("vip/2", "c", "?at=soon"), 400, "bad_time", "'soon' is no time; write it as"),
        (path("down", "c"), 503, "unavailable", "soon"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem(
    asked: URL, status: int, reason: str, said: str
) -> None:
    """With the nearest name, where there is one."""
    async with opened(World(), why=Explainer()) as client:
        answer = await client.get(asked)
        told = await answer.json(content_type="application/problem+json")

        assert (answer.status, told["reason"]) == (status, reason)
        assert said in told["detail"]


async def test_a_process_that_has_no_profiles_has_no_such_route() -> None:
    """A gateway knows no customer."""
    async with opened(World()) as client:
        assert (await client.get(path("vip/2", "c"))).status == 404
