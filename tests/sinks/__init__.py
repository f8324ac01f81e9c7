"""Tests of the sinks: pure policies on times handed in, and HTTP against a receiver on loopback."""
