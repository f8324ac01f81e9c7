"""From actions to the world: webhooks, topics, alerts, and what came of each."""
