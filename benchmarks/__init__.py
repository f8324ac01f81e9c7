"""Measurements, each of one question, against a rival in the same run."""
