"""From actions to the world: webhooks, topics, alerts, and what came of each.

What an action meets, in order:

sink          the promise that every sink keeps, and the receipts it answers with
payload       the bytes of an action, made once
signing       Standard Webhooks signatures
guard         which addresses a webhook may connect to
answer        what an HTTP answer means
post          one bounded HTTP POST
webhook       to an HTTP receiver
alertmanager  to Prometheus Alertmanager
slack         to Slack, and to what takes its incoming webhooks
topic         to a Kafka topic
console       to the terminal or the log
nowhere       where targets go that mean nothing
memory        to a list, for tests and simulations
retry         when to try again
breaker       when to leave an endpoint alone
errors        what a receipt cannot say
"""
