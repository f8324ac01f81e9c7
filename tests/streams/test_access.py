"""Who may use the HTTP interface."""

import pytest
from aiohttp.web import Application

from streams.given import Address
from streams.web import application
from tests.corpus import record
from tests.streams.web_fakes import LOOPBACK, World, calling, opened

EVERYWHERE = Address("0.0.0.0", 0)  # noqa: S104  that is the point
TOKEN = "correct-horse"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "shop.example", ""])  # noqa: S104  the same
def test_without_a_token_nothing_listens_beyond_this_machine(host: str) -> None:
    """It would hand customers' data to the neighbourhood."""
    with pytest.raises(ValueError, match="set a token"):
        application(World().ports(), Address(host, 8787), None)


@pytest.mark.parametrize("address", [LOOPBACK, EVERYWHERE])
@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN}", 200),
        (None, 401),
        ("Bearer", 401),
        (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN}\xe9", 401),
    ],
)
async def test_with_a_token_it_is_asked_for(
    address: Address, header: str | None, status: int
) -> None:
    """Also on loopback, where a proxy may stand in front."""
    made = application(World().ports(), address, TOKEN)
    headers = {} if header is None else {"Authorization": header}
    async with calling(made) as client:
        posted = await client.post("/v1/events", data=record(), headers=headers)
        read = await client.get("/v1/actions", headers=headers)

        assert (posted.status, read.status) == (status, status)
        assert ("WWW-Authenticate" in posted.headers) == (status == 401)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_probes_and_metrics_need_no_token(path: str) -> None:
    """Kubernetes and Prometheus ask without; they learn nothing about customers."""
    async with opened(World(), token=TOKEN) as client:
        assert (await client.get(path)).status == 200


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({}, 200, "accepted"),
        ({"Host": "localhost:8787"}, 200, "accepted"),
        ({"Host": "[::1]:8787"}, 200, "accepted"),
        ({"Origin": "http://localhost:3000"}, 200, "accepted"),
        ({"Origin": "https://shop.example"}, 403, "only web pages of this machine"),
        ({"Origin": "null"}, 403, "only web pages of this machine"),
        ({"Host": "rebound.example:8787"}, 403, "call 127.0.0.1"),
        ({"Host": "[rubbish"}, 403, "call 127.0.0.1"),
    ],
)
async def test_without_a_token_a_web_page_cannot_reach_in(
    headers: dict[str, str], status: int, words: str
) -> None:
    """A browser posts to 127.0.0.1 for any page that asks, and any page can rename it."""
    async with opened(World()) as client:
        answer = await client.post("/v1/events", data=record(), headers=headers)

        assert answer.status == status
        assert words in await answer.text()


async def test_a_path_that_is_not_there_is_not_told_to_strangers() -> None:
    """What exists is nobody's business without the token."""
    made: Application = application(World().ports(), EVERYWHERE, TOKEN)
    async with calling(made) as client:
        assert (await client.get("/v1/nothing")).status == 401
