"""Tests that kill, stop and restart real servers and workers."""
