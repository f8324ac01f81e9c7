"""Rivals: the same job as others would do it, each as its own documentation shows."""
