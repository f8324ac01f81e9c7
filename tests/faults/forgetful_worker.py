"""Rapport's command line, but timers are known only to the worker that has set them: for naive runs.

It is what a worker becomes that waits for times in its own memory. Who takes over a shard has its rows,
and nobody to tell whose of them wait. Run as a script, with the arguments of `rapport worker`.
"""

from collections.abc import Mapping, Sequence
from unittest.mock import patch

from processors.profiles import Table
from streams import claimer, cli
from streams.commit import StandingWatch
from streams.store import Command, Connection
from streams.timers import Entries, Timers, dues_of


class ForgetfulTimers(Timers):
    """The index in a dictionary."""

    def __init__(self, connection: Connection, watch: StandingWatch) -> None:
        super().__init__(connection, watch)
        self._dues_ms: dict[str, int] = {}

    def command(self, entries: Entries) -> Command | None:
        self._keep(dict(entries))
        return None

    def due(self, until_ms: int) -> list[str]:
        return [each for each, due_ms in self._dues_ms.items() if due_ms <= until_ms]

    def settle(self, table: Table, customer_ids: Sequence[str]) -> None:
        self._keep(dues_of(table, [each for each in customer_ids if each in table]))

    def _keep(self, dues_ms: Mapping[str, int]) -> None:
        self._dues_ms |= dues_ms
        self._dues_ms = {each: due_ms for each, due_ms in self._dues_ms.items() if due_ms}
        self.next_ms = min(self._dues_ms.values(), default=None)


if __name__ == "__main__":
    with patch.object(claimer, "Timers", ForgetfulTimers):
        cli.main()
