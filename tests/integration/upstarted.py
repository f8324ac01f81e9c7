"""`rapport up` in a process of its own, through the console script, as users run it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from streams.redis_executable import redis_executable
from tests.integration.free_port import free_port
from tests.machine import require

SCRIPT = str(Path(sys.executable).with_name("rapport"))
START_SECONDS_MAX = 60.0  # a cold compiler needs most of it
WAIT_SECONDS_MAX = 20.0
POLL_SECONDS = 0.02


@dataclass
class Answer:
    status: int
    body: Any


@dataclass
class Up:
    """A process and where it listens."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, body: bytes | None = None) -> Answer:
        """GET, or POST where there is a body."""
        request = Request(self.url + path, data=body)  # noqa: S310  our own loopback address
        try:
            with urlopen(request, timeout=10) as response:  # noqa: S310  the same
                return _answer(response.status, response.read())
        except HTTPError as error:
            return _answer(error.code, error.read())

    def post(self, *events: Mapping[str, object]) -> Answer:
        return self.ask("/v1/events", json.dumps(events).encode())

    def until(self, done: Callable[[], Any], within_s: float = WAIT_SECONDS_MAX) -> Any:  # noqa: ANN401  whatever is waited for
        """What `done` answers, once that is something."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            found = done()
            if found:
                return found
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"not so after {within_s} s; the log:\n{self.log.read_text()}")

    def stop(self) -> tuple[int, float]:
        """Ctrl-C; the exit code, and how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20), time.monotonic() - began


def _answer(status: int, body: bytes) -> Answer:
    try:
        return Answer(status, json.loads(body))
    except ValueError:
        return Answer(status, body.decode())


def rapport(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """A command that ends by itself."""
    command = [SCRIPT, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, timeout=100
    )


@contextmanager
def running_up(folder: Path, *arguments: str, settings: str = "") -> Iterator[Up]:
    """Started in this folder with these settings; killed at the end if it has not ended."""
    require("redis-server 6.2 or newer", redis_executable() is not None, "install Redis 6.2")
    (folder / "rapport.toml").write_text(settings)
    port, log = free_port(), folder / "up.log"
    command = [SCRIPT, "up", "--http", f"127.0.0.1:{port}", *arguments]
    with log.open("ab") as written:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=written, stderr=written
        )
    up = Up(process, port, log)
    try:
        _until_ready(up)
        yield up
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _until_ready(up: Up) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and up.process.poll() is None:
        try:
            if up.ask("/readyz").status == 200:
                return
        except (URLError, OSError):
            pass
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"it did not get ready; its log:\n{up.log.read_text()}")
