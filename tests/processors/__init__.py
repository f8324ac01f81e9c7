"""Tests of processors: from bytes to scores."""
