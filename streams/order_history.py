"""The orders of a history, by customer and day: what models of churn are fitted to.

Promise   The same orders that the engine admits when it runs live: decoded, checked and without duplicates.
How       The history is replayed through the step, and the admitted events order.placed are noted.
Limits    Three numbers an order in memory, at most ORDER_DAYS_MAX (processors/order_days.py).
Not here  Sources (source.py, query.py, cdnow.py). The fits (processors/btyd_fit.py).
"""

from collections.abc import Callable

from processors.fold import ADMITTED
from processors.model_file import default_model
from processors.order_days import ORDER_DAYS_MAX, OrderDays, OrderDaysError
from rules.ruleset import RuleSet
from streams.replay import Watchers, replay
from streams.source import Source, SourceError
from streams.step import Engine, Observed


def order_days_of(
    source: Source, now_ms: int, progress: Callable[[int], None] | None = None
) -> OrderDays:
    """The order days of a source.

    Args:
        source: in any order.
        now_ms: when the rows count as having arrived.
        progress: is told how many rows have been read.

    Raises:
        SourceError: The source broke off, holds rows that are no events, or no orders.
    """
    customers: list[str] = []
    at_ms: list[int] = []
    amounts: list[float] = []

    def observe(seen: Observed) -> None:
        for event, status in zip(seen.events, seen.status.tolist(), strict=True):
            if status == ADMITTED and event.type == "order" and event.action == "placed":
                customers.append(event.customer_id)
                at_ms.append(event.at_ms)
                amounts.append(event.amount or 0.0)
        if len(customers) > ORDER_DAYS_MAX:
            raise SourceError(f"{source.name}: more than {ORDER_DAYS_MAX:,} orders: give a part")

    watchers = Watchers(observe=observe, progress=progress)
    replayed = replay(source, Engine(default_model(), RuleSet()), now_ms, watchers)
    if replayed.dead:
        first = replayed.dead[0]
        count = sum(replayed.summary.dead_letters.values())
        raise SourceError(
            f"{source.name}:{first.origin.position}: {first.detail or first.reason}; {count} rows are no"
            " events: mend them, or leave them out of the source"
        )
    try:
        return OrderDays.gather(customers, at_ms, amounts)
    except OrderDaysError as error:
        raise SourceError(f"{source.name}: {error}") from error
