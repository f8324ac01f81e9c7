"""The processes around the worker whose latency is measured, each a script of its own.

sender      produces events at a steady rate; when each was produced, and where it came to stand
floor       a bare consumer: when each record arrived
observer    when the fences in Redis moved past each record
receiver    the webhook's receiver: when each action arrived

All take times from CLOCK_MONOTONIC, which is one clock for all processes of a machine, and write JSON when
they are told to end (SIGTERM).
"""
