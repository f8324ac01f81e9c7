"""A real redis-server for tests and benchmarks, on a unix socket or a loopback port.

Promise   `running_redis` hands over an empty server that answers, and ends it by its process id
          whatever happens. `kill` and `start` bring it back at the same address with the same data.
How       The server that `rapport up` would start: the system's when it will do, else a wheel's.
          Append-only file and `noeviction`, as in production.
Not here  Cluster, replicas, TLS.
"""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from streams.redis_executable import redis_executable
from tests.integration.free_port import free_port
from tests.machine import require

READY_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 20.0
POLL_SECONDS = 0.01

Fsync = Literal["always", "everysec", "no"]


@dataclass
class RedisServer:
    """A redis-server in its own folder. Not running before `start`."""

    folder: Path
    executable: Path
    port: int | None = None
    """None listens on a unix socket only."""
    fsync: Fsync = "everysec"
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "redis.sock"

    @property
    def url(self) -> str:
        if self.port is None:
            return f"unix://{self.socket}"
        return f"redis://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "redis.log"

    @property
    def append_only_files(self) -> list[Path]:
        """The files of the append-only log, oldest first: one before Redis 7, a folder since then."""
        folder = self.folder / "appendonlydir"
        if folder.exists():
            return sorted(folder.glob("*.aof"))
        return sorted(self.folder.glob("*.aof"))

    def client(self, *, decode_responses: bool = False) -> redis.Redis:
        """A client that never repeats a command by itself. Close it."""
        return redis.Redis.from_url(
            self.url, decode_responses=decode_responses, retry=Retry(NoBackoff(), 0)
        )

    def start(self) -> None:
        """Start the server and wait until it has loaded its data and answers.

        Raises:
            RuntimeError: It ended, or did not answer in READY_SECONDS_MAX; with the end of its log.
        """
        assert self.process is None, "the server is running"
        options = {
            "port": str(self.port or 0),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "logfile": str(self.log),
            "daemonize": "no",
            "save": "",
            "appendonly": "yes",
            "appendfsync": self.fsync,
            "aof-load-truncated": "yes",
            "maxmemory-policy": "noeviction",
            **self.settings,
        }
        arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
        self.process = subprocess.Popen(
            [self.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._wait_until_ready(self.process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End the server in order: it writes what it holds. Kill it when it takes too long."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self) -> None:
        """End the server as a crash would. Its data stay for the next `start`."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None

    def pause(self) -> None:
        """Freeze the server (SIGSTOP) until `resume`: it holds its connections and says nothing."""
        assert self.process is not None, "the server is not running"
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None, "the server is not running"
        self.process.send_signal(signal.SIGCONT)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        with self.client() as client:
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    client.ping()
                except redis.ConnectionError:  # not there yet, or loading its data
                    time.sleep(POLL_SECONDS)
                else:
                    return
        state = "did not answer" if process.poll() is None else f"ended with {process.returncode}"
        tail = self.log.read_text(errors="replace")[-4_000:] if self.log.exists() else ""
        raise RuntimeError(f"redis-server {state}; the end of its log:\n{tail}")


@contextmanager
def running_redis(
    *,
    tcp: bool = False,
    fsync: Fsync = "everysec",
    executable: Path | None = None,
    settings: dict[str, str] | None = None,
) -> Iterator[RedisServer]:
    """Start an empty server, and end it and remove its folder when the block ends.

    Skips the test, or fails it in CI, where there is no redis-server.
    """
    found = executable or redis_executable()
    require("redis-server 6.2 or newer", found is not None, "install Redis 6.2 or newer")
    assert found is not None, "required above"
    # Not pytest's tmp_path: a unix socket's path may have about 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="rapport-redis-"))
    port = free_port() if tcp else None
    server = RedisServer(folder, found, port, fsync, settings or {})
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
