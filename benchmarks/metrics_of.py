"""What a worker tells of itself: its /metrics, as far as a benchmark wants them."""

import re
import urllib.request
from collections.abc import Mapping
from typing import Final

STAGE: Final = re.compile(r'rapport_stage_seconds_total\{stage="(\w+)"\} (\S+)')
COMMITS: Final = re.compile(r"rapport_commit_seconds_(sum|count) (\S+)")


def stage_seconds(http: str) -> dict[str, float]:
    """Seconds in each stage so far, seconds in commits, and how many commits there were."""
    with urllib.request.urlopen(f"http://{http}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = {stage: float(seconds) for stage, seconds in STAGE.findall(text)}
    for name, value in COMMITS.findall(text):
        found["commit" if name == "sum" else "commits"] = float(value)
    return found


def per_event(
    before: Mapping[str, float], after: Mapping[str, float], events: int
) -> dict[str, float]:
    """Microseconds of wall time an event in each stage, and events a commit."""
    spent = {name: value - before.get(name, 0.0) for name, value in after.items()}
    commits = spent.pop("commits", 0.0)
    found = {name: round(seconds / events * 1e6, 3) for name, seconds in spent.items()}
    return found | {"events_per_commit": round(events / max(commits, 1.0), 1)}
