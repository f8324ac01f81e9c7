"""`python -m tests.fuzz [--seconds 300] [TARGET …]`: fuzzing by coverage, with atheris (libFuzzer).

Promise   Exit code 1 and the text that did it, where a law of targets.py is broken, an input takes longer
          than INPUT_SECONDS_MAX, or memory grows above MEMORY_MB_MAX; 0 when the time is over without.
How       One process a target, one after the other, with an equal share of the time; each starts from the
          seeds and the words of the language.
Limits    Where atheris has no wheel (anything but Linux on x86-64), it says so and ends with 2.
Not here  The laws (targets.py). The short search in every run of the tests (test_targets.py).
"""

import argparse
import hashlib
import importlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.machine import ROOT

INPUT_SECONDS_MAX: Final = 5
MEMORY_MB_MAX: Final = 2_048
TEXT_BYTES_MAX: Final = 2_048
SHOWN_CHARS_MAX: Final = 10_000  # of what a search says that has found something
SECONDS: Final = 300

MARKED: Final = ("rules", "lark")  # packages whose coverage leads the search


def kernels() -> list[str]:
    """Modules of rules that are compiled: numba does not take marked code."""
    return [
        f"rules.{path.stem}"
        for path in (ROOT / "rules").glob("*.py")
        if "from processors.compiled import" in path.read_text("utf-8")
    ]


def run(target: str, arguments: list[str]) -> None:
    """Fuzz one target in this process, until libFuzzer ends it."""
    import atheris  # noqa: PLC0415  only here: it is not there on every machine

    with atheris.instrument_imports(include=MARKED, exclude=kernels()):
        attempt = importlib.import_module("tests.fuzz.targets").TARGETS[target]

    def once(data: bytes) -> None:
        attempt(data.decode("utf-8", "replace"))

    atheris.Setup([sys.argv[0], *arguments], once)
    atheris.Fuzz()


def fuzz(target: str, seconds: int, scratch: Path) -> int:
    """Fuzz one target in a process of its own; its exit code."""
    seeds = importlib.import_module("tests.fuzz.seeds")
    corpus = scratch / target
    corpus.mkdir()
    for text in seeds.SEEDS[target]:
        data = text.encode()
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    words = scratch / "words"
    escaped = ["".join(f"\\x{byte:02x}" for byte in word.encode()) for word in seeds.WORDS]
    words.write_text("".join(f'"{word}"\n' for word in escaped), "utf-8")
    arguments = [
        f"-max_total_time={seconds}",
        f"-timeout={INPUT_SECONDS_MAX}",
        f"-rss_limit_mb={MEMORY_MB_MAX}",
        f"-max_len={TEXT_BYTES_MAX}",
        "-verbosity=0",
        f"-dict={words}",
        f"-artifact_prefix={scratch}/{target}-",
        str(corpus),
    ]
    command = [sys.executable, "-m", "tests.fuzz", "--run", target, "--", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    if done.returncode:
        sys.stderr.write(done.stderr[-SHOWN_CHARS_MAX:])
    for found in sorted(scratch.glob(f"{target}-*")):
        sys.stdout.write(f"{target}: {found.name}: {found.read_bytes()!r}\n")
    return done.returncode


def main(arguments: list[str]) -> int:
    """The command line."""
    if arguments[:1] == ["--run"]:
        run(arguments[1], arguments[3:])
        return 0
    seeds = list(importlib.import_module("tests.fuzz.seeds").SEEDS)
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the rules.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(seeds))
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for all targets together")
    given = parser.parse_args(arguments)
    if not set(given.targets) <= set(seeds):
        parser.error(f"targets are {', '.join(seeds)}")
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write("atheris is not installed: it exists for Linux on x86-64\n")
        return 2
    targets = given.targets or seeds
    each = max(1, given.seconds // len(targets))
    with tempfile.TemporaryDirectory() as scratch:
        broken = [name for name in targets if fuzz(name, each, Path(scratch)) != 0]
    told = f"broken: {', '.join(broken)}" if broken else f"sound: {', '.join(targets)}"
    sys.stdout.write(f"{told} ({each} s each)\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
