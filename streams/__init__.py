"""The engine in the world: logs, clock, store, outbox, gateway and command line."""
