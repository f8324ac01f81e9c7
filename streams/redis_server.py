"""The embedded redis-server: started by `rapport up`, in a folder of its own.

Promise   One server a folder. When `start` returns it has loaded its data and answers. It outlives
          Ctrl-C, so that the engine can commit what it has in hand, and ends when we say so. A server
          that a killed Rapport has left behind is ended first.
How       A unix socket, no port, append-only file. A lock on the folder, held as long as we live, tells
          two starters apart. The server has a session of its own: signals of the terminal stop short.
Limits    LOAD_SECONDS_MAX to load, STOP_SECONDS_MAX to stop, then it is killed.
Not here  Which server: redis_executable.py. What is in it: keys.py.
"""

import fcntl
import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Literal

from streams.errors import ServerError, StoreDownError
from streams.redis_executable import redis_executable
from streams.store import Connection, StoreAddress
from streams.torn_tail import mend

LOAD_SECONDS_MAX: Final = 300.0  # a gigabyte takes about ten seconds
STOP_SECONDS_MAX: Final = 10.0
POLL_SECONDS: Final = 0.01
SOCKET_PATH_BYTES_MAX: Final = 100  # macOS allows 103, Linux 107
LOG_TAIL_CHARS: Final = 2_000

Fsync = Literal["always", "everysec"]


class RedisServer:
    """The server of one folder. For one thread."""

    def __init__(
        self, folder: Path, *, fsync: Fsync = "always", executable: Path | None = None
    ) -> None:
        """Name the folder, which is made when it is not there.

        Args:
            folder: for the data, the socket, and redis.log.
            fsync: "always": what was accepted is on disk. "everysec": a crash of the machine may cost
                the last second.
            executable: the server to start; by default the best that there is.
        """
        self.folder = folder.resolve()
        self.address = StoreAddress(path=str(_socket_of(self.folder)))
        self._fsync = fsync
        self._executable = executable
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.address.path}"

    @property
    def log(self) -> Path:
        """What the server has to say."""
        return self.folder / "redis.log"

    def start(self) -> None:
        """Start the server and wait until it has loaded its data.

        1. Lock the folder.
        2. End a server that was left behind.
        3. Start ours, and wait until it answers.
        4. Be rid of what a crash may have left at the end of its file.

        Raises:
            ServerError: There is no server to start, or another Rapport uses the folder, or it ended.
        """
        assert self._process is None, "it is running"
        executable = self._executable or redis_executable()
        if executable is None:
            raise ServerError(
                "there is no redis-server 6.2 or newer; install Redis, or name one in `redis`"
            )
        make_folder(self.folder)
        try:
            # 1.
            self._lock = _locked(self.folder)
            # 2.
            _end_left_behind(self.address, self.folder)
            # 3.
            self._process = self._started(executable)
            _until(self._answers, LOAD_SECONDS_MAX, "it did not load its data in time", self._tail)
            # 4.
            _until(
                self._is_mended, LOAD_SECONDS_MAX, "it did not mend its file in time", self._tail
            )
        except OSError as error:
            self.stop()
            raise ServerError(
                f"redis-server cannot be started in {self.folder}: {error}"
            ) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server in order, and let go of the folder."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def is_running(self) -> bool:
        """Whether the server has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def _started(self, executable: Path) -> subprocess.Popen[bytes]:
        options = {
            "port": "0",
            "unixsocket": str(self.address.path),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "logfile": str(self.log),
            "daemonize": "no",
            "save": "",
            "appendonly": "yes",
            "appendfsync": self._fsync,
            "aof-load-truncated": "yes",
            "maxmemory-policy": "noeviction",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        return subprocess.Popen(  # noqa: S603  found on the path or among our own dependencies
            [executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _answers(self) -> bool:
        if not self.is_running():
            raise ServerError(f"redis-server ended at once\n{self._tail()}")
        connection = Connection(self.address)
        try:
            connection.call("PING")
        except StoreDownError:
            return False
        finally:
            connection.close()
        return True

    def _is_mended(self) -> bool:
        connection = Connection(self.address)
        try:
            mend(connection)
        except StoreDownError:
            return False
        finally:
            connection.close()
        return True

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-LOG_TAIL_CHARS:] if self.log.exists() else ""


def _socket_of(folder: Path) -> Path:
    """A path that a unix socket may have: in the folder, or when that is too long, a short one."""
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        return path
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"rapport-{os.getuid()}-{name}"
    return short / "redis.sock"


def make_folder(folder: Path) -> None:
    """Make the folder of the data, for our eyes only, unless it is there.

    Raises:
        ServerError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ServerError(f"the folder {folder} cannot be made: {error.strerror}") from error


def _locked(folder: Path) -> IO[str]:
    lock = (folder / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise ServerError(
            f"{folder} is in use by another Rapport (process {owner}); stop it, or use another folder"
        ) from error
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _end_left_behind(address: StoreAddress, folder: Path) -> None:
    """End a server that outlived its Rapport. Nobody else can use it: we have the lock."""
    socket = Path(address.path or "")
    if socket.parent != folder:
        socket.parent.mkdir(mode=0o700, exist_ok=True)
    connection = Connection(address)
    try:
        # Not by the process id that it tells: in another namespace that is somebody else's.
        with suppress(StoreDownError):  # there is none, or it answers by ending
            connection.call("SHUTDOWN")
    finally:
        connection.close()
    # It may stay as a zombie where nobody collects orphans, but it no longer listens.
    _until(lambda: not _listens(address), STOP_SECONDS_MAX, "the one left behind does not end", str)


def _listens(address: StoreAddress) -> bool:
    connection = Connection(address)
    try:
        connection.ask([("PING",)])
    except StoreDownError:
        return False
    finally:
        connection.close()
    return True


def _until(
    is_done: Callable[[], bool], seconds_max: float, words: str, tail: Callable[[], str]
) -> None:
    deadline = time.monotonic() + seconds_max
    while not is_done():
        if time.monotonic() > deadline:
            raise ServerError(f"redis-server: {words}\n{tail()}")
        time.sleep(POLL_SECONDS)
