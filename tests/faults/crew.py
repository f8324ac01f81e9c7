"""A crew: processes by name that are killed and started again. Each is ended with the block, by its id.

Not here  What they run, and when they die (experiments/).
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

STOP_SECONDS_MAX = 20.0
LOG_CHARS = 2_000


def environment() -> dict[str, str]:
    """Ours, without what would be settings to Rapport."""
    return {name: each for name, each in os.environ.items() if not name.startswith("RAPPORT_")}


@dataclass
class Crew:
    folder: Path
    members: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str | Path]) -> None:
        """Its log goes on where the last one of that name ended."""
        assert name not in self.members, f"{name} is running"
        with self.log(name).open("ab") as log:
            self.members[name] = subprocess.Popen(
                [str(each) for each in command],
                cwd=self.folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self, name: str) -> None:
        process = self.members.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> None:
        """End it in order; kill it when it takes too long."""
        process = self.members.pop(name)
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def check(self) -> None:
        """Raises AssertionError when one has ended by itself."""
        for name, process in self.members.items():
            assert process.poll() is None, (
                f"{name} ended with {process.returncode}: {self.last(name)}"
            )

    def last(self, name: str) -> str:
        """The end of its log."""
        return self.log(name).read_text(errors="replace")[-LOG_CHARS:]

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


@contextmanager
def crew(folder: Path) -> Iterator[Crew]:
    """Nobody in it yet."""
    made = Crew(folder)
    try:
        yield made
    finally:
        for process in made.members.values():
            process.kill()
            process.wait()
