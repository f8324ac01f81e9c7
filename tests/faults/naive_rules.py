"""Rules as one would reload them in an afternoon: for naive runs. Run as a script; ends at SIGTERM.

A thread reads the files again and again, and puts each rule where the deciding thread finds it. A file
that cannot be read is a rule that is not there. A batch is decided rule by rule.

Run       python tests/faults/naive_rules.py BOOTSTRAP REDIS_URL FOLDER
"""

import re
import signal
import sys
import threading
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import redis

from tests.faults.naive_consumer import EMPTY, added, subscribed

THRESHOLD = re.compile(r"amount > ([0-9.]+)")
BATCH_RECORDS = 2_000

Rules = dict[str, tuple[int, float]]
"""Version and threshold, by name."""


def follow(folder: Path, rules: Rules, ended: threading.Event) -> None:
    """Keep the rules as the files say."""
    while not ended.is_set():
        for file in sorted(folder.glob("*.toml")):
            try:
                (rule,) = tomllib.loads(file.read_text())["rule"].values()
                rules[file.stem] = rule["version"], float(THRESHOLD.findall(rule["when"])[0])
            except (KeyError, IndexError, tomllib.TOMLDecodeError):
                rules.pop(file.stem, None)
        time.sleep(0.001)


def decide(events: list[tuple[int, dict[str, Any]]], rules: Rules) -> dict[int, list[object]]:
    """The actions of a batch, by shard."""
    found: dict[int, list[object]] = {}
    for name in list(rules):
        for shard, event in events:
            if event["action"] != "placed" or name not in rules:
                continue
            version, threshold = rules[name]
            if event["amount"] > threshold:
                action = {
                    "customer_id": event["customer_id"],
                    "rule": name,
                    "cause": event["id"],
                    "version": version,
                    "reason": f"by {version}",
                    "target": {"type": f"v{version}"},
                }
                found.setdefault(shard, []).append(action)
    return found


def main(bootstrap: str, url: str, folder: Path) -> None:
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    consumer = subscribed(bootstrap)
    client, rules, sequences = redis.Redis.from_url(url), Rules(), Counter[int]()
    views: dict[tuple[int, str], dict[str, Any]] = {}
    threading.Thread(target=follow, args=(folder, rules, ended), daemon=True).start()
    while not ended.is_set():
        messages = consumer.consume(BATCH_RECORDS, 0.1)
        events = [(m.partition() or 0, msgspec.json.decode(m.value() or b"")) for m in messages]
        pairs = {}
        for shard, event in events:
            place = shard, event["customer_id"]
            views[place] = added(views.get(place, dict(EMPTY)), event)
            key = f"rapport:{{{shard}}}:customer:{event['customer_id']}"
            pairs[key] = msgspec.json.encode(views[place])
        for shard, actions in decide(events, rules).items():
            sequences[shard] += 1
            key = f"rapport:{{{shard}}}:outbox:{sequences[shard]}"
            pairs[key] = msgspec.json.encode(actions)
        if pairs:
            client.mset(pairs)
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
