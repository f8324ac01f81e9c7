"""What a commit costs: the standing watch against a Lua script that does the same.

Question  Round trip of one customer, and server and client CPU per customer in larger commits.
Workload  Rows of 512 random bytes and views of 600, both keys of each customer, the same customers in
          every commit; a redis-server of its own on a unix socket, once per fsync policy.
Rival     One EVALSHA: compare the fence, then MSET. In the same run, alternating per size.
Caveats   Client and server share the machine. Server CPU has the kernel's grain of 10 ms; the rounds
          make it small. A Lua call unpacks nearly 8,000 arguments, four a customer.
Run       python benchmarks/commit.py
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from streams.commit import StandingWatch
from streams.fence import Fence, take
from streams.keys import Keys
from streams.packing import pack
from streams.redis_server import Fsync, RedisServer
from streams.store import Connection, checked, information, text_of

KEYS: Final = Keys.of(0)
ROUNDS: Final = {1: 3_000, 100: 600, 1_500: 100, 3_500: 40}  # customers -> commits
SCRIPT_CUSTOMERS_MAX: Final = 1_900  # four arguments each, of Lua's nearly 8,000
SCRIPT: Final = """
local found = redis.call('GET', KEYS[1])
if found ~= ARGV[1] then
  if found == ARGV[2] then return 2 end
  return found
end
redis.call('MSET', KEYS[1], ARGV[2], unpack(ARGV, 3))
return 1
"""

Commit = Callable[[Fence, list[bytes]], None]


def pairs_of(customers: int) -> list[bytes]:
    row, view = os.urandom(512), b"v" * 600
    pairs: list[bytes] = []
    for number in range(customers):
        name = b"customer-%06d" % number
        pairs += (KEYS.row_ + name, row, KEYS.customer_ + name, view)
    return pairs


def by_watch(connection: Connection) -> Commit:
    watch = StandingWatch(connection, 0, take(connection, 0, 0, 1, "bench"))

    def commit(fence: Fence, pairs: list[bytes]) -> None:
        watch.begin(fence.encode(), pairs, ("GET", KEYS.relay))
        watch.finish()

    return commit


def by_script(connection: Connection) -> Commit:
    digest = text_of(connection.call("SCRIPT", "LOAD", SCRIPT)) or b""
    stored = text_of(connection.call("GET", KEYS.fence)) or b""

    def commit(fence: Fence, pairs: list[bytes]) -> None:
        nonlocal stored
        new = fence.encode()
        connection.send(pack([("EVALSHA", digest, 1, KEYS.fence, stored, new, *pairs)]))
        assert checked(connection.receive(1)[0]) == 1
        stored = new

    return commit


def server_seconds(connection: Connection) -> float:
    used = information(connection, "cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def measure(name: str, server: RedisServer, make: Callable[[Connection], Commit]) -> None:
    connection, asking = Connection(server.address), Connection(server.address)
    commit = make(connection)
    count = 0
    for customers, rounds in ROUNDS.items():
        if make is by_script and customers > SCRIPT_CUSTOMERS_MAX:
            print(f"{name:28} {customers:5} customers   refused: too many results to unpack")
            continue
        pairs = pairs_of(customers)
        times = []
        before, client = server_seconds(asking), time.process_time()
        for _ in range(rounds):
            count += 1
            fence = Fence(1, "bench", 0, {"log": str(count)}, 0, count)
            started = time.perf_counter()
            commit(fence, pairs)
            times.append(time.perf_counter() - started)
        each = 1e6 / rounds / customers
        print(
            f"{name:28} {customers:5} customers   p50 {statistics.median(times) * 1e6:7.0f} µs   "
            f"p99 {sorted(times)[int(rounds * 0.99)] * 1e6:7.0f} µs   "
            f"server {(server_seconds(asking) - before) * each:6.2f} µs a customer   "
            f"client {(time.process_time() - client) * each:6.2f}"
        )
    connection.close()
    asking.close()


def main() -> None:
    policies: tuple[Fsync, ...] = ("everysec", "always")
    for fsync in policies:
        for name, make in (("standing watch", by_watch), ("script", by_script)):
            with TemporaryDirectory(prefix="rapport-bench-") as folder:
                server = RedisServer(Path(folder), fsync=fsync)
                server.start()
                try:
                    start = Connection(server.address)
                    start.call("SET", KEYS.fence, Fence(0, "bench", 0, {}).encode())
                    start.close()
                    measure(f"{name}, {fsync}", server, make)
                finally:
                    server.stop()


if __name__ == "__main__":
    main()
