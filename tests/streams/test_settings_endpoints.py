"""Endpoints in the settings: secrets, how many, and how fast."""

from pathlib import Path

import pytest

from streams.endpoint_table import Rate
from streams.settings import ENDPOINTS_MAX, Endpoint, read
from tests.streams.test_settings import SECRET, problems_of


def test_an_old_secret_goes_beside_a_new_one(tmp_path: Path) -> None:
    """By itself it would sign with what is to be got rid of."""
    url = {"endpoints.crm.url": "https://crm.example/"}
    environment = {"RAPPORT_ENDPOINTS_CRM_SECRET_OLD": SECRET}

    assert "secret_old" in problems_of(dict(url), environment, tmp_path)[0]
    endpoint = read({**url, "endpoints.crm.secret": SECRET}, environment, tmp_path).endpoints["crm"]
    assert (endpoint.secret, endpoint.secret_old) == (SECRET, SECRET)
    assert SECRET not in repr(endpoint)


def test_the_number_of_endpoints_is_bounded(tmp_path: Path) -> None:
    """Each endpoint has a queue of its own, so their number bounds the relay's memory."""
    most = {f"endpoints.e{number}.url": "https://crm.example/" for number in range(ENDPOINTS_MAX)}

    assert len(read(most, {}, tmp_path).endpoints) == ENDPOINTS_MAX
    assert problems_of({**most, "endpoints.more.url": "https://crm.example/"}, {}, tmp_path) == (
        "endpoints: 257 are more than 256",
    )


def test_an_endpoint_may_have_a_rate(tmp_path: Path) -> None:
    """Receivers that bill or block by the second are told of in the settings, and nowhere else."""
    url = {"endpoints.crm.url": "https://crm.example/"}

    def endpoint(**fields: object) -> Endpoint:
        given = {f"endpoints.crm.{name}": value for name, value in fields.items()}
        return read({**url, **given}, {}, tmp_path).endpoints["crm"]

    assert endpoint().rate is None
    assert endpoint(rate="10/s").rate == Rate(10, "s")
    assert endpoint(rate="10/s").burst_of_rate == 10
    assert endpoint(rate="90 / M").burst_of_rate == 1
    assert endpoint(rate="90/m", burst=5).burst_of_rate == 5
    assert endpoint(rate="3600/h").rate == Rate(3600, "h")
    assert Rate(3600, "h").a_second == Rate(60, "m").a_second == Rate(1, "s").a_second


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rate": "10"}, "must be a rate such as"),
        ({"rate": "0/s"}, "must be from 1 to 1000000"),
        ({"rate": "1/d"}, "must be a rate such as"),
        ({"rate": True}, "must be a rate such as"),
        ({"rate": "1/s", "burst": 0}, "must be from 1 to 1000000"),
        ({"burst": 5}, "burst is for a rate"),
        ({"rates": "1/s"}, "did you mean rate?"),
    ],
)
def test_a_rate_that_is_none_is_refused(
    given: dict[str, object], said: str, tmp_path: Path
) -> None:
    """A limit that is silently not kept gets somebody blocked."""
    flags: dict[str, object] = {f"endpoints.crm.{name}": each for name, each in given.items()}
    (found,) = problems_of({"endpoints.crm.url": "https://x/", **flags}, {}, tmp_path)

    assert said in found
