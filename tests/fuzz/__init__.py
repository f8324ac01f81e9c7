"""Bytes that nobody would write, thrown at what reads rules: `python -m tests.fuzz`, or `make fuzz`."""
