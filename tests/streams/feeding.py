"""Events through the step, without a log and a store."""

from processors.batch import RECORDS_MAX, Origin, Records
from processors.decode import decode
from processors.layout import Layout
from rules.action import Action
from streams.step import Engine, run


class Feeding:
    """One table, and the actions so far. Another engine of the same layout may take over."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.table = engine.table()
        self.actions: list[Action] = []
        self._layouts: dict[bytes, Layout] = {}  # all customers are new

    def feed(self, values: list[bytes], now_ms: int) -> None:
        """Fold valid events in this order; `now_ms` is when they all have arrived."""
        for first in range(0, len(values), RECORDS_MAX):
            batch: list[bytes | None] = list(values[first : first + RECORDS_MAX])
            records = Records(
                batch,
                [now_ms] * len(batch),
                lambda index: Origin("", 0, str(index), None, (), now_ms),
            )
            decoded = decode(records)
            assert decoded.dead == []
            missing = self.table.missing([each.customer_id for each in decoded.events])
            self.table.insert(missing, [None] * len(missing), self._layouts.__getitem__)
            outcome = run(self.engine, self.table, records, decoded, 0)
            assert (outcome.late, outcome.duplicates) == (0, 0)
            self.actions += outcome.actions
