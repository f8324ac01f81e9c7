"""The rows: profiles as they lie in Redis, read for the table.

Promise   A row that is handed over is the committed one. What is no row of ours stops the shard
          instead of being taken for a new customer and overwritten.
How       One MGET reads the fence and the rows together: a fence as we left it proves the rows, also
          when the server at this address is suddenly another one. EXISTS counts the keys along with
          it, because MGET answers "nothing" for a key of another type.
Limits    As many rows as a batch has customers. Layouts beyond LAYOUTS_MAX are forgotten, and read
          again when a row asks for one: each reload of the rules may make another.
Not here  What the bytes mean: processors/layout.py. Writing rows: shard.py.
"""

from collections.abc import Callable, Sequence
from typing import Final

from processors.layout import Layout, LayoutError, fingerprint_of
from streams.errors import DamagedError
from streams.keys import Keys
from streams.store import Command, Connection, list_of, number_of, text_of

LAYOUTS_MAX: Final = 64  # some 2 MB a shard


class Rows:
    """Reads rows of one shard and keeps the layouts that they were written with."""

    def __init__(self, connection: Connection, number: int, preface: dict[bytes, bytes]) -> None:
        """Read through this connection; `preface` is that of the shard's commits (commit.py)."""
        self.connection = connection
        self._preface = preface
        self._keys = Keys.of(number)
        self._layouts: dict[bytes, Layout] = {}
        self._current: Layout | None = None

    def layout_of(self, fingerprint: bytes) -> Layout:
        """The layout of a row that was read."""
        return self._layouts[fingerprint]

    def keep_layout(self, layout: Layout) -> None:
        """Store the layout, before the first row that is written with it.

        1. The layout is stored; 2. Redis falls back to before that, and no further, so that the fence
        is as we left it; 3. a row would be committed that nobody can read. So the layout is also the
        commits' preface.

        Raises:
            StoreError: It may not be stored.
        """
        if len(self._layouts) > LAYOUTS_MAX:
            self._layouts.clear()
            if self._current is not None:
                self._layouts[self._current.fingerprint] = self._current
        if layout is not self._current:
            key, encoded = self._keys.layout(layout.fingerprint), layout.encode()
            self.connection.call("SET", key, encoded)
            self._preface.clear()  # whatever was committed before stands behind its own layout
            self._preface[key] = encoded
            self._layouts[layout.fingerprint] = self._current = layout

    def load(
        self, customer_ids: Sequence[str], judge: Callable[[bytes | None], None]
    ) -> list[bytes | None]:
        """The packed rows of these customers; None for one that was never seen.

        Args:
            customer_ids: at least one.
            judge: is given the fence as it was when the rows were read, and raises if it is wrong.

        Raises:
            DamagedError: A key is no string, or its layout is unknown.
            StoreError: Redis cannot be read.
        """
        prefix = self._keys.row_
        keys = [prefix + customer_id.encode() for customer_id in customer_ids]
        rows, there = self.connection.ask(
            [("MGET", self._keys.fence, *keys), ("EXISTS", *keys)],
        )
        fence, *found = [text_of(reply) for reply in list_of(rows)]
        judge(fence)
        if number_of(there) != len(found) - found.count(None):
            self._complain(keys, found)
        self._fetch_layouts(keys, found)
        return found

    def _complain(self, keys: list[bytes], found: list[bytes | None]) -> None:
        absent = [key for key, row in zip(keys, found, strict=True) if row is None]
        types = self.connection.ask([("TYPE", key) for key in absent])
        for key, reply in zip(absent, types, strict=True):
            kind = text_of(reply)
            if kind != b"none":
                raise DamagedError(
                    key,
                    f"is a {(kind or b'').decode()} where a profile row was expected; "
                    "nothing was written. Move or delete the key",
                )

    def _fetch_layouts(self, keys: list[bytes], found: list[bytes | None]) -> None:
        unknown: dict[bytes, bytes] = {}
        for key, row in zip(keys, found, strict=True):
            if row is not None and fingerprint_of(row) not in self._layouts:
                unknown.setdefault(fingerprint_of(row), key)
        if not unknown:
            return
        asked: list[Command] = [("GET", self._keys.layout(each)) for each in unknown]
        replies = self.connection.ask(asked)
        for (fingerprint, key), reply in zip(unknown.items(), replies, strict=True):
            stored = text_of(reply)
            if stored is None:
                raise DamagedError(key, f"has the unknown row layout {fingerprint.hex()}")
            try:
                self._layouts[fingerprint] = Layout.decode(stored)
            except LayoutError as error:
                raise DamagedError(self._keys.layout(fingerprint), str(error)) from error
