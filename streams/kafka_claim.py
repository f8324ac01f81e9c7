"""How a worker on Kafka claims shards.

Promise   What they commit is counted and offered to who delivers; their dead letters go to Kafka.
Not here  Claiming (claimer.py). When to claim: ownership.py.
"""

from streams.accounting import ports_of
from streams.claimer import Claimer
from streams.clock import Clock
from streams.deliveries import Deliveries, telling
from streams.kafka_dead_letters import KafkaDeadLetters
from streams.kafka_settings import KafkaSettings
from streams.metrics import Metrics
from streams.ownership import Claim
from streams.store import StoreAddress
from streams.work import Engines, Stored


def claim_of(
    kafka: KafkaSettings,
    store: StoreAddress,
    engines: Engines,
    metrics: Metrics,
    clock: Clock,
    deliveries: Deliveries,
    also: Stored = lambda _work, _took_ns: None,
    stale_ms: int | None = None,
) -> Claim:
    """A claim for one thread; `also` is told of each commit. `stale_ms` is as in Claimer."""
    ports = ports_of(metrics, KafkaDeadLetters(kafka), deliveries, also)
    return telling(Claimer(store, engines, ports, clock.now_ms, stale_ms), deliveries)
