"""The stages of the step up to the scores, over a list of events, for tests of models and scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from processors.averages import average_events
from processors.columns import EventColumns
from processors.event import Event
from processors.machine import run
from processors.model import Model
from processors.model_file import default_model
from processors.plan import PlanBuilder
from processors.profiles import Table
from processors.register import Stage
from processors.scores import Scores
from tests.processors.stream import fold_batch

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000


@dataclass
class Scored:
    """What came out: one number an event and name; the last view of each customer."""

    columns: Mapping[str, npt.NDArray[np.float64]]
    views: dict[str, bytes] = field(default_factory=dict)
    status: list[int] = field(default_factory=list)
    now_ms: list[int] = field(default_factory=list)

    def last(self, name: str) -> float:
        return float(self.columns[name][-1])


class Scorer:
    """A model with its plan; each `score` starts with empty profiles."""

    def __init__(self, model: Model | None = None) -> None:
        model = model or default_model()
        builder = PlanBuilder(
            duplicates_kept=model.admit.duplicates_kept, lateness_ms=model.admit.lateness_ms
        )
        self.scores = Scores.compile(builder, model)
        self.names = {name: named.register.number for name, named in builder.names.items()}
        self.texts = {name: named.texts for name, named in builder.names.items()}
        self.plan = builder.build()
        self.columns = EventColumns(self.plan.asked)

    def score(self, events: Sequence[Event], cuts: Sequence[int] = ()) -> Scored:
        """Fold and score the events in batches that end at `cuts` (indexes) and at the end."""
        table = Table(self.plan.layout, memos_count=self.plan.memos)
        ends = sorted({0, len(events), *(cut for cut in cuts if 0 < cut < len(events))})
        scored = Scored({name: np.full(len(events), np.nan) for name in self.names})
        for first, end in pairwise(ends):
            self._batch(table, list(events[first:end]), first, scored)
        return scored

    def _batch(self, table: Table, events: list[Event], first: int, scored: Scored) -> None:
        plan, count = self.plan, len(events)
        folded = fold_batch(plan, table, self.columns, events)
        registers, slots = folded.registers, folded.slots
        status, now_ms = folded.status, folded.now_ms
        place = (registers, table.rows, table.whole_rows, slots, now_ms, status, count)
        self.scores.run(*place)
        average_events(plan.averages, place[1], place[2], registers, *place[3:])
        run(plan.programs[Stage.SCORE], registers, count)
        for name, number in self.names.items():
            scored.columns[name][first : first + count] = registers[number]
        last = {event.customer_id: k for k, event in enumerate(events) if status[k] == 0}
        indexes = np.array(list(last.values()), dtype=np.int64)
        views = self.scores.views(registers, table.whole_rows, slots, now_ms, list(last), indexes)
        scored.views.update(zip(last, views, strict=True))
        scored.status.extend(status.tolist())
        scored.now_ms.extend(now_ms.tolist())


def event(
    name: str,
    at_ms: int,
    *,
    customer_id: str = "c",
    key: str = "",
    amount: float | None = None,
    score: float | None = None,
    sentiment: float | None = None,
) -> Event:
    """One event, such as `event("order.placed", START_MS, amount=10)`; its id from all of these."""
    kind, _, action = name.partition(".")
    event_id = f"{name}/{at_ms}/{customer_id}/{key}/{amount}/{score}/{sentiment}"
    return Event(
        event_id,
        kind,
        action,
        customer_id,
        at_ms,
        amount=amount,
        score=score,
        sentiment=sentiment,
    )
