"""Processes of a benchmark: started, measured from outside, stopped and ended by their ids.

Promise   A process that was started here is ended with its block. CPU time is the kernel's own count
          of all threads, user and system, read from /proc: the measured process does nothing for it.
Limits    Total CPU has a grain of 10 ms. Threads are told apart by their names; those of Python have
          the name of the executable.
"""

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
STOP_SECONDS_MAX: Final = 15.0
LOG_CHARS: Final = 4_000


class ProcessError(Exception):
    """A process ended, or did not come to what was waited for; with the end of what it said."""


class Process:
    """A running process and what it writes."""

    def __init__(self, arguments: Sequence[str | Path], log: Path) -> None:
        self.log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [str(each) for each in arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid

    def cpu_seconds(self) -> float:
        """CPU time of all its threads, also of those that have ended."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND

    def cpu_by_thread(self) -> dict[int, tuple[str, float]]:
        """Name and CPU seconds of each living thread."""
        found = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            name = (task / "comm").read_text().strip()
            spent_ns = int((task / "schedstat").read_text().split()[0])
            found[int(task.name)] = (name, spent_ns / 1e9)
        return found

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def wait_until(self, done: Callable[[], bool], what: str, seconds_max: float) -> None:
        """Ask `done` every few milliseconds.

        Raises:
            ProcessError: The process has ended, or time is up.
        """
        deadline = time.monotonic() + seconds_max
        while not done():
            if self._process.poll() is not None:
                raise ProcessError(f"ended with {self._process.returncode}: {self._tail()}")
            if time.monotonic() > deadline:
                raise ProcessError(f"{what}: not within {seconds_max} s: {self._tail()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it in order; kill it when it takes too long."""
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-LOG_CHARS:]


@contextmanager
def running(log: Path, *arguments: str | Path) -> Iterator[Process]:
    """A process, as long as the block lasts."""
    process = Process(arguments, log)
    try:
        yield process
    finally:
        process.stop()


def rapport(*arguments: str | Path) -> tuple[str | Path, ...]:
    """The command line of Rapport, as installed beside this Python."""
    return (Path(sys.executable).with_name("rapport"), *arguments)


def python(*arguments: str | Path) -> tuple[str | Path, ...]:
    return (sys.executable, *arguments)


def spent_by_thread(
    before: dict[int, tuple[str, float]], after: dict[int, tuple[str, float]], main: int
) -> dict[str, float]:
    """CPU seconds between two looks: librdkafka's threads, the main thread, and each other one."""
    spent: defaultdict[str, float] = defaultdict(float)
    for thread, (name, seconds) in after.items():
        kind = "main" if thread == main else "librdkafka" if name.startswith("rdk:") else "others"
        spent[kind] += seconds - before.get(thread, ("", 0.0))[1]
    return dict(spent)
