"""Rows are read with the layouts that they were written with, however many there have been."""

from typing import cast

from processors.layout import Layout
from streams.keys import Keys
from streams.rows import LAYOUTS_MAX, Rows
from streams.store import Command, Connection, Reply


class Memory:
    """As much of a Redis as rows ask for."""

    def __init__(self) -> None:
        self.stored: dict[bytes, bytes] = {}
        self.gets_count = 0

    def call(self, *command: bytes) -> Reply:
        _, key, value = command
        self.stored[key] = value
        return b"OK"

    def ask(self, commands: list[Command]) -> list[Reply]:
        return [self._answer(*command) for command in commands]

    def _answer(self, name: bytes | str | int, *keys: bytes | str | int) -> Reply:
        found = [self.stored.get(key) for key in keys if isinstance(key, bytes)]
        if name == "MGET":
            return list(found)
        if name == "EXISTS":
            return len(found) - found.count(None)
        self.gets_count += 1
        return found[0]


def layout(number: int) -> Layout:
    return Layout.of([("newest", 1), (f"column-{number}", 1)])


def test_layouts_of_many_reloads_are_forgotten_and_read_again_when_a_row_asks() -> None:
    """Rules may be reloaded for years under one process; an old customer's row must still be read."""
    memory = Memory()
    rows = Rows(cast("Connection", memory), 0, {})
    for number in range(3 * LAYOUTS_MAX):
        rows.keep_layout(layout(number))

    assert len(rows._layouts) <= LAYOUTS_MAX + 1

    old = layout(0)
    memory.stored[Keys.of(0).row_ + b"c"] = old.fingerprint + b"the rest"
    rows.load(["c"], lambda _fence: None)
    assert rows.layout_of(old.fingerprint) == old
    assert memory.gets_count == 1
    newest = layout(3 * LAYOUTS_MAX - 1)
    assert rows.layout_of(newest.fingerprint) == newest
