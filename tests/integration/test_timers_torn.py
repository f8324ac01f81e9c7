"""Timers after a crash that cut Redis' file anywhere: nobody who waits is forgotten, not even twice later."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from processors.tables import DUE
from streams.claimer import Claimer
from streams.errors import StoreDownError
from streams.keys import Keys
from streams.shard import Shard
from streams.store import StoreAddress
from tests.integration.embedded import Recorder, engine_of, now_ms
from tests.integration.redis_server import RedisServer, running_redis
from tests.simulation.virtual_loop import START_MS
from tests.streams.timed import clicks

KEYS = Keys.of(0)
CUTS_MIN = 25
RULES = b"""
[rule.cart]
sequence = ["click.add_to_cart", "no click.checkout within 1s"]
then = [{ log = "cart", type = "cart" }]
"""
ENGINE = engine_of(RULES)
COMMAND = re.compile(rb"\*\d+\r\n\$\d+\r\n[A-Za-z]")  # where one begins in the file


@contextmanager
def claimed(server: RedisServer) -> Iterator[Shard]:
    claimer = Claimer(
        StoreAddress.parse(server.url), lambda: ENGINE, Recorder().ports(), now_ms, None
    )
    shard = None
    while shard is None:
        try:
            shard = claimer(0, 0)
        except StoreDownError:  # Redis 6 rewrites its file first
            continue
    try:
        yield shard
    finally:
        shard.close()


def fold(shard: Shard, *events: tuple[str, str, int]) -> None:
    shard.step(clicks(*events), {"clicks": "1"})()


def fire(shard: Shard, at_ms: int) -> None:
    """Fire and clean."""
    for _ in range(3):
        work = shard.fire(START_MS + at_ms)
        if work is not None:
            work()


def story(server: RedisServer) -> None:
    """Waiting, firing, cleaning, waiting again."""
    with claimed(server) as shard:
        fold(shard, ("ann", "add_to_cart", 0), ("bob", "add_to_cart", 200))
        fire(shard, 1_000)
        fold(shard, ("ann", "add_to_cart", 1_500), ("cid", "add_to_cart", 1_500))
        fire(shard, 1_300)
        fold(shard, ("bob", "add_to_cart", 1_600), ("cid", "checkout", 1_700))
        fire(shard, 5_000)
        fold(shard, ("dee", "add_to_cart", 9_000))


def forgotten(server: RedisServer) -> tuple[int, list[str]]:
    """How many wait, and who of them the index does not have in time."""
    with server.client() as client, claimed(server) as shard:
        names = [key.removeprefix(KEYS.row_).decode() for key in client.keys(KEYS.row_ + b"*")]
        entries = {
            name.decode(): due_ms
            for name, due_ms in client.zrange(KEYS.timers, 0, -1, withscores=True)
        }
        if not names:
            return 0, []
        shard._rows.keep_layout(ENGINE.plan.layout)
        shard._load(shard.table.missing(names), names)
        dues_ms = shard.table.whole_rows[shard.table.slots(names), DUE].tolist()
    waits = {name: due_ms for name, due_ms in zip(names, dues_ms, strict=True) if due_ms}
    lost = [name for name, due_ms in waits.items() if entries.get(name, float("inf")) > due_ms]
    return len(waits), lost


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_whoever_waits_is_found_after_any_cut_and_any_number_of_starts() -> None:
    """Between any two commands and within each: what the first start ignores, the second one may execute."""
    with running_redis(fsync="always") as server:
        story(server)
        server.kill()
        file = max(server.append_only_files, key=lambda each: each.stat().st_mtime_ns)
        whole = file.read_bytes()
        begins = [found.start() for found in COMMAND.finditer(whole)]
        found = []
        for cut in sorted({*begins, *(each + 20 for each in begins), len(whole)}):
            file.write_bytes(whole[:cut])
            server.start()
            found.append(forgotten(server))
            with claimed(server) as shard:
                # What is there already is not written again: it must be there at the next start too.
                fold(shard, ("ann", "add_to_cart", 20_000), ("eve", "add_to_cart", 20_000))
            server.kill()
            server.start()
            found.append(forgotten(server))
            server.kill()

    assert len(found) >= 2 * CUTS_MIN
    assert [lost for _, lost in found if lost] == []
    assert {count for count, _ in found} >= {1, 2, 3}


@pytest.mark.slow
def test_entries_commits_and_cleaning_are_single_commands_in_the_file() -> None:
    """A transaction could be torn; the only ones are those that end what a crash has left open."""
    with running_redis(fsync="always") as server:
        story(server)
        with server.client() as client:
            version = int(str(client.info("server")["redis_version"]).partition(".")[0])
        server.kill()
        whole = max(server.append_only_files, key=lambda each: each.stat().st_mtime_ns).read_bytes()

    assert whole.count(b"ZREM") >= 1
    assert whole.count(b"ZADD") >= 3
    if version >= 7:
        assert whole.upper().count(b"\r\nMULTI\r\n") == whole.count(b"rapport:mended:again")
