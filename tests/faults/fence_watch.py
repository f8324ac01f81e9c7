"""Sees from outside when the fences in Redis move past a record. Run as a script; ends at SIGTERM.

Run       python tests/faults/fence_watch.py REDIS_URL PARTITIONS FILE
Writes    {"moves": [[seen ns, topic, shard, next position], …], "quiet": [[from ns, to ns], …]}
How       It reads the fences again and again. What a fence says was committed before the reply left
          Redis, so a move is never seen too early. Quiet is a time in which several looks found no
          move: a pause of our own is none, for nobody looked.
"""

import signal
import sys
import time
from pathlib import Path

import msgspec
import redis

NAP_SECONDS = 0.001
QUIET_NS_MIN = 20_000_000  # shorter ones are not worth a line


def watch(client: redis.Redis, partitions: int, file: Path) -> None:
    """Look until told to end, then write."""
    is_due = False

    def end(_number: int, _frame: object) -> None:
        nonlocal is_due
        is_due = True

    signal.signal(signal.SIGTERM, end)
    keys = [f"rapport:{{{number}}}:fence" for number in range(partitions)]
    looks: list[tuple[int, int, bytes]] = []
    quiet: list[tuple[int, int]] = []
    before: list[bytes | None] = []
    moved_ns = last_ns = time.monotonic_ns()
    while not is_due:
        asked_ns = time.monotonic_ns()
        found: list[bytes | None] = client.mget(keys)  # type: ignore[assignment]  # as it is told to answer
        if found == before:
            last_ns = asked_ns
        else:
            if last_ns - moved_ns > QUIET_NS_MIN:
                quiet.append((moved_ns, last_ns))
            moved_ns = last_ns = time.monotonic_ns()
            for shard, fence in enumerate(found):
                if fence is not None and (not before or before[shard] != fence):
                    looks.append((moved_ns, shard, fence))
            before = found
        time.sleep(NAP_SECONDS)
    text = msgspec.json.encode({"moves": moves_of(looks), "quiet": quiet})
    file.with_suffix(".part").write_bytes(text)
    file.with_suffix(".part").rename(file)


def moves_of(looks: list[tuple[int, int, bytes]]) -> list[tuple[int, str, int, int]]:
    """Where positions moved, in the order of looking; done at the end, as it takes CPU."""
    moves = []
    known: dict[tuple[str, int], int] = {}
    for seen_ns, shard, fence in looks:
        for topic, text in msgspec.json.decode(fence)["offsets"].items():
            if known.get((topic, shard)) != int(text):
                known[topic, shard] = int(text)
                moves.append((seen_ns, topic, shard, int(text)))
    return moves


if __name__ == "__main__":
    with redis.Redis.from_url(sys.argv[1]) as opened:
        watch(opened, int(sys.argv[2]), Path(sys.argv[3]))
