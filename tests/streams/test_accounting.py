"""What is counted of a commit is what people read off a dashboard: it must mean what it says."""

from types import SimpleNamespace
from typing import cast

import msgspec

from streams.accounting import count
from streams.metrics import Metrics
from streams.shard import Work
from tests.actions import action


def test_a_rule_with_two_targets_has_fired_once() -> None:
    """Fires are compared with those that a cooldown held back, and those have no targets."""
    first = action()
    other = msgspec.structs.replace(first, cause="another event", id="act_3")
    outcome = SimpleNamespace(
        admitted=2,
        duplicates=0,
        late=0,
        suppressed=0,
        stage_ns=(0, 0, 0, 0, 0),
        changed_ids=[first.customer_id],
        actions=[first, msgspec.structs.replace(first, id="act_2"), other],
    )
    metrics = Metrics("1")
    count(metrics, cast("Work", SimpleNamespace(times_ms=[0, 0], dead=[], outcome=outcome)), 1, 1.0)

    assert f'rapport_fires_total{{rule="{first.rule}"}} 2.0'.encode() in metrics.text("")[1]
