"""Actions for tests."""

from rules.action import Action, Target, action_id

AT_MS = 1_714_564_800_123


def action(
    number: int = 0,
    *,
    kind: str = "webhook",
    name: str = "crm",
    data: dict[str, float | str | None] | None = None,
    reason: str = "Health fell to 38, mostly usage",
) -> Action:
    """The `number`-th action of a made-up rule; equal numbers give equal actions."""
    customer_id, cause = f"c-{number}", f"e-{number}"
    return Action(
        id=action_id("churn-risk", 3, customer_id, cause, 0),
        rule="churn-risk",
        version=3,
        customer_id=customer_id,
        shard=0,
        cause=cause,
        at_ms=AT_MS + number,
        reason=reason,
        target=Target(kind, name, "churn.risk"),
        data={"health": 38.2, "health.top_reason": "usage"} if data is None else data,
    )
