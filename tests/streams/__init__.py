"""Tests of the engine in the world, without the world: no server, no real time."""
