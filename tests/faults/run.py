"""Experiments side by side: each in a process of its own, `lanes` at a time.

Promise   A row an experiment, whatever becomes of its process; nothing that it started is left. The
          time of each is limited. Rows of other experiments stay in the results file.
How       The longest first. Those whose promise is a time come last, one at a time. A process that
          takes too long is interrupted, so that it ends what it started; then its group is killed.
Not here  What an experiment must fulfil (trial.py).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.faults.experiment import PROMISED
from tests.faults.trial import Row, commit, machine
from tests.machine import ROOT

SPARE_SECONDS: Final = 180.0  # servers start, kernels compile, a machine is slow
SLOWER_MAX: Final = 3.0  # times the length that an experiment says it has
GRACE_SECONDS: Final = 30.0
GONE_SECONDS_MAX: Final = 5.0
LINES_KEPT: Final = 5
LOGS: Final = ROOT / ".cache" / "faults"  # by experiment
LOG_BYTES_MAX: Final = 1_000_000  # of each, from its end


@dataclass(frozen=True, slots=True)
class Task:
    """An experiment to be run."""

    name: str
    file: Path
    seed: int
    scale: float
    seconds: float
    """Rough length at full scale."""
    alone: bool = False

    @property
    def limit_s(self) -> float:
        return SPARE_SECONDS + SLOWER_MAX * self.seconds * self.scale

    @property
    def replay(self) -> str:
        """The command that does it again."""
        return f"make faults SCALE={self.scale:g} SEED={self.seed} ONLY={self.name}"


Running = set["subprocess.Popen[str]"]


def carried_out(task: Task, say: Callable[[str], None], running: Running) -> Row:
    """Run it in a process of its own, and hand over what comes of it."""
    began = time.monotonic()
    with TemporaryDirectory(prefix="rapport-faults-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.faults.trial"),
                *(str(task.file), str(task.seed), str(task.scale), name),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
        running.add(process)
        last, left = _followed(process, task.limit_s, say)
        running.discard(process)
        wrong = [f"It took longer than {task.limit_s:.0f} s."] if left.is_late else []
        wrong += ["It left processes behind."] if left.has_processes else []
        row = folder / "row.json"
        if row.exists():
            found = _with(json.loads(row.read_text("utf-8")), wrong)
        else:
            wrong.append(f"It ended with {process.returncode} and no result: {' / '.join(last)}")
            nothing = _nothing(task.name, round(time.monotonic() - began, 1))
            found = {**nothing, "seed": task.seed, "scale": task.scale, "wrong": wrong}
        if not found["ok"]:
            keep_logs(folder, LOGS / task.name, say)
    return found


def keep_logs(folder: Path, there: Path, say: Callable[[str], None]) -> None:
    """Keep the ends of the logs of what fell short, instead of those of last time."""
    shutil.rmtree(there, ignore_errors=True)
    for log in sorted(folder.rglob("*.log")):
        if not log.is_file():
            continue
        kept = there / log.relative_to(folder)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with log.open("rb") as whole:
            whole.seek(max(0, log.stat().st_size - LOG_BYTES_MAX))
            kept.write_bytes(whole.read())
    say(f"its logs are in {there}")


@dataclass(slots=True)
class _Left:
    is_late: bool = False
    has_processes: bool = False


def _followed(
    process: "subprocess.Popen[str]", limit_s: float, say: Callable[[str], None]
) -> tuple[list[str], _Left]:
    """Say its lines until it ends, or is ended; its last lines, and what it left."""
    left = _Left()
    last: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                last[:] = [*last[1 - LINES_KEPT :], line.rstrip()]
                say(line.rstrip())

    def interrupt() -> None:
        left.is_late = True
        process.send_signal(signal.SIGINT)

    timers = [
        threading.Timer(limit_s, interrupt),
        threading.Timer(limit_s + GRACE_SECONDS, _kill_group, [process.pid]),
    ]
    for timer in timers:
        timer.start()
    reader = threading.Thread(target=read)
    reader.start()
    try:
        process.wait()
    finally:
        for timer in timers:
            timer.cancel()
        left.has_processes = not _is_group_gone(process.pid)
        _kill_group(process.pid)
        process.wait()
        reader.join()
    return last, left


def _is_group_gone(leader: int) -> bool:
    """Whether what a process has started ends within a few seconds of it."""
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            os.killpg(leader, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _with(row: dict[str, object], wrong: list[str]) -> Row:
    if wrong:
        found = row["wrong"]
        assert isinstance(found, list)
        row = {**row, "wrong": [*found, *wrong], "ok": False}
    return row


def _nothing(name: str, seconds: float) -> dict[str, object]:
    """The row of an experiment without a result."""
    zero = [
        *("faults", "events", "acked", "applied", "decided", "delivered", "repeated"),
        *("missing", "surplus", "naive_faults", "naive_missing", "naive_surplus"),
    ]
    return {
        "experiment": name,
        "number": list(PROMISED).index(name) + 1 if name in PROMISED else 0,
        **dict.fromkeys(zero, 0),
        "stall_ms_max": None,
        "recover_ms_p99": None,
        "figures": {},
        "naive_wrong": [],
        "seconds": seconds,
        "ok": False,
        "machine": machine(),
        "commit": commit(),
    }


def all_of(
    tasks: Iterable[Task],
    lanes: int,
    say: Callable[[str], None],
    done: Callable[[Row], None] = lambda _row: None,
) -> list[Row]:
    """Run all of them; `done` is told of each row as it comes. In the order of their numbers.

    Raises:
        KeyboardInterrupt: We are to end. The experiments have been ended in order.
    """
    rows: list[Row] = []
    running: Running = set()
    lock = threading.Lock()

    def one(task: Task) -> None:
        def prefixed(line: str) -> None:
            with lock:
                say(f"{task.name:18} {line}")

        prefixed(f"begins, seed {task.seed}, scale {task.scale:g}")
        row = carried_out(task, prefixed, running)
        with lock:
            rows.append(row)
            done(row)
        prefixed("ok" if row["ok"] else f"FAILS; again: {task.replay}")

    longest_first = sorted(tasks, key=lambda task: -task.seconds)
    side_by_side = [task for task in longest_first if not task.alone]
    one_by_one = [task for task in longest_first if task.alone]
    for tasks_of_turn, width in ((side_by_side, lanes), (one_by_one, 1)):
        with ThreadPoolExecutor(width) as pool:
            try:
                list(pool.map(one, tasks_of_turn))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(running):
                    process.send_signal(signal.SIGINT)
                raise
    return sorted(rows, key=place)


def place(row: Row) -> int:
    number = row["number"]
    assert isinstance(number, int)
    return number


def merged(kept: Iterable[Row], rows: Iterable[Row]) -> list[Row]:
    """The rows of a results file, with these instead of older ones."""
    by_name: Mapping[object, Row] = {
        **{row["experiment"]: row for row in kept},
        **{row["experiment"]: row for row in rows},
    }
    return sorted(by_name.values(), key=place)


def read(file: Path) -> list[Row]:
    """The rows of a results file; none where there is no file."""
    if not file.exists():
        return []
    found: list[Row] = json.loads(file.read_text("utf-8"))
    return found


def write(file: Path, rows: Iterable[Row]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(list(rows), indent=2, ensure_ascii=False) + "\n", "utf-8")
