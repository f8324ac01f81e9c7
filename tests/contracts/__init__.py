"""Suites that every implementation of a Protocol must pass, fakes as well as the real thing."""
