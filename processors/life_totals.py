"""Totals of a whole life: orders, returns and open tickets, as views show them and rules name them.

Promise   Counts and sums are exact and do not depend on the order of arrival.
Not here  What else a view shows (view.py).
"""

from processors.aggregate import AggregateKind, Reading
from processors.health import any_of
from processors.machine import Op
from processors.plan import PlanBuilder
from processors.register import Named, Register


def total_of(builder: PlanBuilder, name: str, event: str) -> tuple[Register, Register]:
    """How many such events in a life, and their amounts; an event without an amount adds none."""
    amount = builder.apply(Op.COALESCE, builder.number("amount"), builder.constant(0.0))
    total = builder.aggregate(AggregateKind.TOTAL, any_of(builder, [event]), amount)
    count = builder.read(total, Reading.COUNT)
    amounts = builder.read(total, Reading.SUM)
    builder.names[f"{name}_count"] = Named(count)
    builder.names[f"{name}_amount"] = Named(amounts)
    return count, amounts


def open_tickets(builder: PlanBuilder) -> Register:
    """Tickets opened or opened again, less those resolved; never below 0."""
    counts = [
        builder.read(builder.aggregate(AggregateKind.TOTAL, any_of(builder, events)), Reading.COUNT)
        for events in (["service.ticket_opened", "service.reopened"], ["service.resolved"])
    ]
    left = builder.apply(Op.SUB, *counts)
    tickets = builder.apply(Op.MAX, left, builder.constant(0.0))
    builder.names["tickets_open"] = Named(tickets)
    return tickets
