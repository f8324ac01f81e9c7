"""Tests of the engine in the world, on fakes: no server and no real time."""
