"""Plain Faust doing the reference job: an agent a topic, a dictionary of customers, Redis once an event.

Run       python benchmarks/rivals/plain_faust.py BOOTSTRAP REDIS_URL TOPIC_PREFIX
How       As Faust's guide shows it: models as records, `async for` over the stream, redis.asyncio for
          the score, RPUSH for an action. Keyed topics, so no GroupBy; commits every 2.8 s, Faust's default.
Kindness  State is a dictionary and not a Faust table: no changelog, so cheaper, and lost with the process.
          No web server. The score is 60 bytes of JSON, where Rapport's view has some 400.
Promise   At least once, and what was in memory is gone after a crash: less than Rapport keeps.
"""

import sys
from dataclasses import dataclass
from math import exp2
from tempfile import TemporaryDirectory
from typing import Any, Final

import faust
import orjson
from redis.asyncio import Redis

HOUR_MS: Final = 3_600_000
VISITS, SPEND, COMPLAINTS = range(3)
HALF_LIVES_MS: Final = (6 * HOUR_MS, 12 * HOUR_MS, HOUR_MS)
THRESHOLD: Final = 55.0


class Click(faust.Record):
    id: str
    customer_id: str
    at_ms: int
    action: str


class Order(faust.Record):
    id: str
    customer_id: str
    at_ms: int
    action: str
    amount: float


class Service(faust.Record):
    id: str
    customer_id: str
    at_ms: int
    action: str


@dataclass(slots=True)
class Customer:
    """Three decayed sums as of `at_ms`."""

    values: list[float]
    at_ms: int = 0
    is_low: bool = False

    def add(self, which: int, amount: float, at_ms: int) -> float:
        """Decay to `at_ms`, add, and return the health."""
        late_ms = max(0, self.at_ms - at_ms)  # the three topics are not read in order of time
        age_ms = max(0, at_ms - self.at_ms)
        for k, half_life_ms in enumerate(HALF_LIVES_MS):
            self.values[k] *= exp2(-age_ms / half_life_ms)
        self.values[which] += amount * exp2(-late_ms / HALF_LIVES_MS[which])
        self.at_ms = max(self.at_ms, at_ms)
        visits, spend, complaints = self.values
        return (
            0.3 * (30 + 60 * visits / (visits + 20))
            + 0.3 * (30 + 60 * spend / (spend + 200))
            + 0.4 * (90 - 90 * complaints / (complaints + 1))
        )


def app_of(bootstrap: str, redis_url: str, prefix: str, folder: str) -> faust.App:
    app = faust.App(
        "plain-faust",
        broker=f"kafka://{bootstrap}",
        datadir=folder,  # for tables, of which there are none; else it is made where one stands
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=120,
        broker_request_timeout=130,
    )
    redis = Redis.from_url(redis_url)
    customers: dict[str, Customer] = {}

    async def count(event: Any, which: int, amount: float) -> None:  # noqa: ANN401  any of the records
        customer = customers.get(event.customer_id)
        if customer is None:
            customer = customers[event.customer_id] = Customer([0.0, 0.0, 0.0])
        health = customer.add(which, amount, event.at_ms)
        view = {"customer_id": event.customer_id, "health": round(health, 2)}
        await redis.set(f"customer:{event.customer_id}", orjson.dumps(view))
        is_low = health < THRESHOLD
        if is_low and not customer.is_low:
            action = {"customer_id": event.customer_id, "cause": event.id, "health": health}
            await redis.rpush("actions", orjson.dumps(action))
        customer.is_low = is_low

    @app.agent(app.topic(prefix + "clicks", value_type=Click))
    async def on_click(stream: faust.StreamT[Any]) -> None:
        async for event in stream:
            await count(event, VISITS, 1.0)

    @app.agent(app.topic(prefix + "orders", value_type=Order))
    async def on_order(stream: faust.StreamT[Any]) -> None:
        async for event in stream:
            await count(event, SPEND, event.amount)

    @app.agent(app.topic(prefix + "service", value_type=Service))
    async def on_service(stream: faust.StreamT[Any]) -> None:
        async for event in stream:
            await count(event, COMPLAINTS, 1.0 if event.action == "complaint" else 0.0)

    return app


if __name__ == "__main__":
    with TemporaryDirectory(prefix="plain-faust-") as folder:
        bootstrap, redis_url, prefix = sys.argv[1:4]
        app = app_of(bootstrap, redis_url, prefix, folder)
        faust.Worker(app, loglevel="WARNING").execute_from_commandline()
