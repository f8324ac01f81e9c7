"""Tests of Rapport: mirrors the packages; real servers only in integration and faults."""
